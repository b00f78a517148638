/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Metadata devices that failed, and so do not have what has happened since. When such a
 * device works again, what it says would be believed. So this host keeps a note.
 */
#ifndef DMREPCTL_STALE_H
#define DMREPCTL_STALE_H

#include "device.h"

#define STALE_BYTES	128

struct stale_note {
	char what[STALE_BYTES];	/* that the metadata device lacks; "": there is no note */
};

/* Its metadata device has failed, and does not have @what: keep a note. */
void keep_stale_note(const struct device *device, const char *what);

/* Have the note that there was before, or none, in place of one that need not be kept. */
void restore_stale_note(const struct device *device, const struct stale_note *before);

/* Its metadata device has everything again. */
void drop_stale_note(const struct device *device);

/* The same as a note, said aloud, with what to do. */
enum outcome error_stale(const struct device *device, const char *what);

/* Of a view that has failed over, or is done: whether its metadata device has that. */
enum outcome check_recorded(const struct device *device);

/* Whether there is a note on what was of this UUID. */
bool find_stale_note(const char *uuid, struct stale_note *note);

#endif
