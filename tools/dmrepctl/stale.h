/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Metadata devices that failed, and so do not have what has happened since. When such a
 * device works again, what it says would be believed. So this host keeps a note. The note is
 * on the view or the primary: each metadata device that knows the view or primary is refused, but
 * for the one that has replaced the others.
 */
#ifndef DMREPCTL_STALE_H
#define DMREPCTL_STALE_H

#include "device.h"
#include "metadata-file.h"

#define STALE_BYTES	128

/* What such a device may lack. */
#define NEW_REPLICA	"the new replica"
#define LATEST_WRITES	"what was written since"

struct stale_note {
	char what[STALE_BYTES];	/* that the metadata device lacks; "": there is no note */
	char good[METADATA_UUID_BYTES];	/* of the superblock that lacks nothing; "": none */
};

/* Its metadata device has failed, and does not have @what: keep a note. */
void keep_stale_note(const struct device *device, const char *what);

/* Have the note that there was before, or none, in place of one that need not be kept. */
void restore_stale_note(const struct device *device, const struct stale_note *before);

/*
 * The metadata device that it has now has everything, and none that it had before: what was the
 * note @before says so, or that it was @replaced.
 */
void settle_stale_note(const struct device *device, const struct stale_note *before,
		       bool replaced);

/* The same as a note, said aloud, with what to do. */
enum outcome error_stale(const struct device *device, const char *what);

/* Of a view that has failed over, or is done: whether its metadata device has that. */
enum outcome check_recorded(const struct device *device);

/* Whether there is a note on what was of this UUID. */
bool find_stale_note(const char *uuid, struct stale_note *note);

#endif
