// SPDX-License-Identifier: GPL-2.0-only
#include <libdevmapper.h>
#include <stdarg.h>
#include <stdio.h>

#include "library.h"

/* Of the library's levels: what is below is worse. */
#define LEVEL_MASK	7
#define LEVEL_ERROR	3
#define LEVEL_WARNING	4
#define LEVEL_STDERR	0x80	/* a warning, not a line of a report */

static char last_error[512];
static void (*print_line)(void *context, const char *line);
static void *print_context;
static bool print_warnings;

static void FORMAT_PRINTF(5, 6) log_line(int level, const char *file, int number, int class,
					 const char *format, ...)
{
	char line[4096];
	va_list args;

	(void)file;
	(void)number;
	(void)class;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if ((level & LEVEL_MASK) <= LEVEL_ERROR) {
		/* The first one knows the reason. */
		if (!last_error[0])
			snprintf(last_error, sizeof(last_error), "%.*s",
				 (int)sizeof(last_error) - 1, line);
	} else if ((level & LEVEL_MASK) == LEVEL_WARNING) {
		if (level & LEVEL_STDERR) {
			if (print_warnings)
				puts(line);
		} else if (print_line) {
			print_line(print_context, line);
		} else {
			puts(line);
		}
	}
}

void library_init(void)
{
	dm_log_with_errno_init(log_line);
}

const char *library_error(void)
{
	return last_error;
}

void library_forget(void)
{
	last_error[0] = '\0';
}

void library_print_to(void (*print)(void *context, const char *line), void *context)
{
	print_line = print;
	print_context = context;
}

void library_print_warnings(bool print)
{
	print_warnings = print;
}
