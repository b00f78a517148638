// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>

#include "error.h"

static const char *about_file, *about_section;

void error_about(const char *file, const char *section)
{
	about_file = file;
	about_section = section;
}

bool error_is_about_file(void)
{
	return about_file;
}

static void say(const char *format, va_list args)
{
	/* What was printed before comes before. */
	fflush(stdout);
	fputs("dmrepctl: ", stderr);
	if (about_file)
		fprintf(stderr, "%s: ", about_file);
	if (about_section)
		fprintf(stderr, "%s: ", about_section);
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
