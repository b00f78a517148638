/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far a long job is: a bar on a terminal, lines elsewhere.
 */
#ifndef DMREPCTL_PROGRESS_H
#define DMREPCTL_PROGRESS_H

#include "types.h"

#define PROGRESS_BYTES	320

struct progress {
	const char *name;	/* of the device */
	const char *what;	/* "merging" */
	bool terminal;
	bool begun;
	u64 first;		/* bytes that were done when it began */
	double begin;		/* seconds */
};

void progress_begin(struct progress *progress, const char *name, const char *what);

/* How often to call progress_show(), microseconds. */
unsigned int progress_interval(const struct progress *progress);

void progress_show(struct progress *progress, u64 done, u64 all);

/* Nothing is in the way of other lines after this. */
void progress_end(struct progress *progress);

/* Since it began. */
u64 progress_seconds(const struct progress *progress);

/* Of the one that stdout is. */
unsigned int terminal_columns(void);

/* The line, in so many columns; @bytes were done in these seconds. For tests, too. */
void format_progress(char line[PROGRESS_BYTES], const char *name, u64 done, u64 all, u64 bytes,
		     double seconds, unsigned int columns);

#endif
