/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which disk a set belongs to. The metadata of a small set fits any larger disk, and would be
 * believed of it. So the UUID that dmrepctl gives to a view or a primary, which the metadata
 * device keeps, ends with a number that is made of what the kernel knows its disk by.
 */
#ifndef DMREPCTL_IDENTITY_H
#define DMREPCTL_IDENTITY_H

#include "signature.h"

/* Have the UUID, which has at least as many digits, end with the number of this disk. */
void put_identity(char *uuid, const struct block_device *disk);

/* False, too, of a UUID that dmrepctl did not make for a disk. */
bool has_identity(const char *uuid, const struct block_device *disk);

/*
 * Whether the number says which disk it is. Else it is made of a path that any other disk may
 * have got meanwhile, such as /dev/vdb, and proves nothing.
 */
bool is_identified(const struct block_device *disk);

#endif
