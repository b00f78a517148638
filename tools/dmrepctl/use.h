/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who uses a block device, from /proc and /sys.
 */
#ifndef DMREPCTL_USE_H
#define DMREPCTL_USE_H

#include "types.h"

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

/* Who has claimed it, so far as that can be told; for people. */
void describe_use(u32 major, u32 minor, char *text, size_t len);

#endif
