// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>

#include "error.h"

static void say(const char *format, va_list args)
{
	/* What was printed before comes before. */
	fflush(stdout);
	fputs("dmrepctl: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

enum outcome error(enum outcome outcome, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return outcome;
}

void warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

enum outcome out_of_memory(void)
{
	return error(FAILED, "out of memory");
}
