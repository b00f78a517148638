/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk in memory with a volatile write cache. What is written is pending, sector by
 * sector, until the next flush: a loss of power leaves any of it, or none.
 */
#ifndef METADATA_DISK_H
#define METADATA_DISK_H

#include "fake.h"

#define DISK_SECTOR	512U

struct disk_write {
	u64 sector;
	u8 data[DISK_SECTOR];
};

enum disk_io {
	DISK_READ = 1,
	DISK_WRITE = 2,
	DISK_FLUSH = 4,
	DISK_ANY = 7,
};

struct block_device {
	u64 sectors;
	u8 *data;			/* as it is read */
	u8 *durable;			/* as of the last flush; NULL: not kept */
	struct disk_write *pending;	/* since then, in order */
	unsigned int nr_pending;
	unsigned int max_pending;

	/* After each sector that is written, and each flush. */
	void (*hook)(struct block_device *disk);

	u64 nr_reads, nr_writes, nr_flushes;
	bool shared;			/* others write to it: what is cached may be old */
	bool unmapped;			/* zeroes were written that may free the space */

	/* The fail_nth from now of these fails, once. */
	enum disk_io fail;
	unsigned int fail_nth;
	bool failed;
};

/* Without @cache, which is for very big ones, it is only what is read. */
struct block_device *disk_create(u64 sectors, bool cache);
void disk_destroy(struct block_device *disk);

/* Fill it with what somebody else might have left, from @sector on. */
void disk_fill_random(struct block_device *disk, u64 sector);

/* Everything is durable, and the counters begin again. */
void disk_settle(struct block_device *disk);

/* A disk like the other one, as it is read. Both keep their caches. */
void disk_copy(struct block_device *to, const struct block_device *from);

void disk_fail(struct block_device *disk, enum disk_io io, unsigned int nth);

int disk_read(struct block_device *disk, u64 sector, unsigned int n, void *data);

/* NULL is for zeroes. */
int disk_write(struct block_device *disk, u64 sector, u64 n, const void *data);
int disk_flush(struct block_device *disk);

#endif
