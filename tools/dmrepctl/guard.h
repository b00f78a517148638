/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For what must not be left half done, whatever becomes of us, KILL included: another
 * process waits for our end, and takes back what we have not said is done.
 */
#ifndef DMREPCTL_GUARD_H
#define DMREPCTL_GUARD_H

#include "error.h"

struct guard {
	int fd;		/* what the other process reads; -1: there is none */
};

/* From now on @undo is called with @context, by another process, if we die. */
enum outcome guard_begin(struct guard *guard, void (*undo)(const void *context),
			 const void *context);

/* It is done, or taken back. */
void guard_end(struct guard *guard);

#endif
