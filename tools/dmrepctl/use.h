/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who uses a block device, from /proc and /sys.
 */
#ifndef DMREPCTL_USE_H
#define DMREPCTL_USE_H

#include "types.h"

/* Is given one device after the other, until it returns true. */
typedef bool (*visit_fn)(void *context, u32 major, u32 minor);

/*
 * What lies on a device: whoever holds it, its partitions, loop devices; and what a device
 * lies on. Whether the function has returned true.
 */
bool visit_above(u32 major, u32 minor, visit_fn fn, void *context);
bool visit_below(u32 major, u32 minor, visit_fn fn, void *context);

/*
 * Whether it is mounted or swapped to, or what lies on it is: partitions, other dm
 * devices, loop devices. @text says which and where.
 */
bool find_mount(u32 major, u32 minor, char *text, size_t len);

/*
 * Whether somebody has claimed it of whom the above knows nothing, as if it was mounted
 * in another namespace. What lies on it is not meant.
 */
bool is_claimed_elsewhere(const char *path, u32 major, u32 minor);

bool is_open_by_process(u32 major, u32 minor);

/*
 * Mounted, swapped to, or below another device, but one of which @ours, which may be NULL,
 * is true: that does not end by itself.
 */
bool is_used_for_long(u32 major, u32 minor, visit_fn ours, void *context);

/* Who uses it, so far as that can be told; for people. @ours as above. */
void describe_use(u32 major, u32 minor, visit_fn ours, void *context, char *text, size_t len);

/* What people call it: dm's name, if it has one. */
void describe_device(u32 major, u32 minor, char *name, size_t len);

/* Its usual path. */
void device_path(u32 major, u32 minor, char *path, size_t len);

/*
 * udev and monitors have a device open for a moment, after its last writer has closed it,
 * say. Whether it is still busy after so long; returns as soon as it is not.
 */
bool lasts(bool (*busy)(void *context), void *context, unsigned int milliseconds);

/* As dmsetup remove --retry waits; and where somebody waits for us, milliseconds. */
#define LONG_MOMENT	5000U
#define SHORT_MOMENT	1000U

#endif
