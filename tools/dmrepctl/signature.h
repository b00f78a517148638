/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looking at a device before somebody writes to it.
 */
#ifndef DMREPCTL_SIGNATURE_H
#define DMREPCTL_SIGNATURE_H

#include "error.h"
#include "metadata-file.h"

struct block_device {
	const char *role;	/* "active" */
	const char *path;
	u32 major, minor;
	u64 sectors;
};

/* Find out what there is to know. It is an error if it is no block device. */
enum outcome look_at_device(const char *role, const char *path, struct block_device *device);

/* Whether both are loop devices of one file, and what they have of it overlaps. */
bool share_file(const struct block_device *a, const struct block_device *b);

/* An NBD device that takes no flushes may be a server with a cache, and then none is durable. */
void warn_of_cache(const struct block_device *device);

/* Says so: a network device that is not connected has no length. */
enum outcome empty_replica(const struct block_device *device);

/* Refused if it is mounted, or somebody else has claimed it. */
enum outcome check_unused(const struct block_device *device);

/* Refused if there is a filesystem on it, or anything else that has a signature. */
enum outcome check_signature(const struct block_device *device);

/* What it has as a metadata device, as read_metadata_super(). */
enum metadata_kind look_at_metadata(const struct block_device *device,
				    struct metadata_super *super, char *why, size_t len);

/* What its first 4 KiB have, for people: the first bytes that are not zero. */
void describe_content(const struct block_device *device, char *text, size_t len);

/* Write zeroes over the first 4 KiB. */
enum outcome zero_metadata(const struct block_device *device);

#endif
