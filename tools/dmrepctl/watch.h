/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waiting for anything to happen to any dm device, without asking again and again.
 */
#ifndef DMREPCTL_WATCH_H
#define DMREPCTL_WATCH_H

#include "error.h"

struct watch {
	int control;		/* for dm's events, and devices that come and go */
	int uevents;		/* for tables that have been changed; -1: not to be had */
};

enum outcome watch_open(struct watch *watch);

/* What happens from now on ends watch_wait(). Before one looks at the devices. */
enum outcome watch_arm(struct watch *watch);

/* Until something has happened; or so many milliseconds, -1 being for ever. */
enum outcome watch_wait(struct watch *watch, int timeout);

void watch_close(struct watch *watch);

#endif
