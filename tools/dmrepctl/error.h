/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How anything ends, and the one way in which that is told. A function that can fail
 * returns DONE or another of these, and whoever finds out what is wrong calls error().
 */
#ifndef DMREPCTL_ERROR_H
#define DMREPCTL_ERROR_H

#include "types.h"

/* The exit status, which is documented. */
enum outcome {
	DONE = 0,
	FAILED = 1,
	WRONG_USAGE = 2,
	REFUSED = 3,		/* for safety: there is an option to insist, or a next step */
};

/*
 * Say why: what it is about (a device, say), the reason, and the next step. Returns
 * @outcome.
 */
enum outcome error(enum outcome outcome, const char *format, ...) FORMAT_PRINTF(2, 3);

/* The same, but nothing has failed. */
void warning(const char *format, ...) FORMAT_PRINTF(1, 2);

enum outcome out_of_memory(void);

/*
 * From now on everything that is said is about this part of a file, and begins with it.
 * NULL: about the command line. It is not copied.
 */
void error_about(const char *file, const char *section);
bool error_is_about_file(void);

#endif
