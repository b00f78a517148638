/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The metadata device of a set: what survives removal, reboot and loss of power.
 *
 * This header is all that the rest knows of it; Documentation/metadata.rst has the
 * format, byte by byte. Nothing here knows of sets, bios or the maps in memory, so
 * that the same code is tested in user space (tests/unit/metadata).
 *
 * All functions may sleep and do I/O, and one at a time may be called for a device:
 * by the constructor, and afterwards by the set's ordered worker alone (commit.c).
 * Never while a bio is being mapped: dm-bufio does not allow it.
 *
 * What is written is durable after repl_meta_commit() or another function that says
 * so. It may be before: so it has to be allowed to be, from the call on.
 */
#ifndef DM_REPLICATION_METADATA_H
#define DM_REPLICATION_METADATA_H

#include <linux/types.h>

struct block_device;
struct repl_meta;

/* What is written at once; the device's logical blocks must not be larger. */
#define REPL_META_BLOCK_BYTES	4096U

/* The values are on disk. */
enum repl_stage {
	REPL_NONE = 0,
	REPL_RUNNING = 1,
	REPL_FAILOVER = 2,
	REPL_FAILOVER_FAILED = 3,
	REPL_DONE = 4,
};

/* The values are on disk. */
enum repl_error {
	REPL_NO_ERROR = 0,
	REPL_COW_IO = 1,		/* old content could not be saved to hidden */
	REPL_ACTIVE_IO = 2,
	REPL_HIDDEN_IO = 3,
	REPL_SECONDARY_IO = 4,
	REPL_MERGE_IO = 5,
	REPL_METADATA_IO = 6,
	REPL_LOCAL_IO = 7,		/* of a primary, as is the next */
	REPL_REPLICA_IO = 8,
	REPL_COW_NOSPC = 9,		/* as REPL_COW_IO, for hidden has no space left */
	REPL_ACTIVE_NOSPC = 10,
	REPL_SECONDARY_NOSPC = 11,
	REPL_MERGE_NOSPC = 12,		/* as REPL_MERGE_IO: the secondary has no space left */
	REPL_MERGE_LOST = 13,		/* the secondary lacks, or may lack, a part of the merge */
	REPL_CHECKPOINT_HELD = 14,	/* refused; never recorded: it is over with the view */
	REPL_NR_ERRORS
};

/*
 * A map sector: 512 bytes with the bits of so many chunks for both stores. A device
 * writes a sector wholly or not at all, so both bits of a chunk change together.
 */
#define REPL_META_WORDS		31
#define REPL_META_UUID_BYTES	16
#define REPL_META_CHUNKS	(64U * REPL_META_WORDS)

/* Whose metadata it is. The values are on disk. */
enum repl_meta_kind {
	REPL_META_SECONDARY = 0,
	REPL_META_PRIMARY = 1,		/* chunks are its regions; active's bit: it is clean */
};

/* What a set or a primary has to be, to have this metadata. */
struct repl_meta_geometry {
	enum repl_meta_kind kind;
	u64 len;			/* sectors */
	u32 chunk_sectors;
	const char *view;		/* the dm UUID of the view, "" if it has none */
};

/* What one write of the superblock changes, atomically. */
struct repl_meta_state {
	u64 epoch;			/* of the maps: those of others are empty */
	enum repl_stage stage;		/* REPL_NONE: the device is to be formatted */
	enum repl_error error;
};

/* The maps of REPL_META_CHUNKS chunks, as they are on disk. */
struct repl_meta_maps {
	__le64 active[REPL_META_WORDS];
	__le64 hidden[REPL_META_WORDS];
};

/* A list of lost sectors has so many entries; see lost.c. */
#define REPL_META_LOST_SECTORS	7
#define REPL_META_LOST_ENTRIES	62	/* of each of these sectors */
#define REPL_META_LOST		(REPL_META_LOST_SECTORS * REPL_META_LOST_ENTRIES)

/* How many sectors a metadata device needs. Does not sleep. */
u64 repl_meta_size(u64 len, u32 chunk_sectors);

/*
 * Open and check; reads only. @state says what the device has. 0, or a negative errno
 * with a sentence in @why.
 */
int repl_meta_open(struct block_device *bdev, u64 sectors,
		   const struct repl_meta_geometry *geometry, struct repl_meta **meta,
		   struct repl_meta_state *state, char *why, size_t len);
void repl_meta_close(struct repl_meta *meta);

/*
 * Check again what the device has, and use nothing that is cached of it. Changes that are
 * not committed may reach the device or not. Returns as repl_meta_open(); if it fails
 * @meta is good for this function, repl_meta_uuid() and repl_meta_close() only.
 *
 * Unlike repl_meta_open() and repl_meta_close() it does not wait for memory reclaim
 * (dm-bufio registers a shrinker), so it may be called while the target is suspended.
 */
int repl_meta_reopen(struct repl_meta *meta, const struct repl_meta_geometry *geometry,
		     struct repl_meta_state *state, char *why, size_t len);

/*
 * Read the maps: @fn gets those that are not empty, in order, @sector being the
 * number of the map sector. Returns as repl_meta_open().
 */
int repl_meta_load(struct repl_meta *meta,
		   void (*fn)(void *context, u32 sector, const struct repl_meta_maps *maps),
		   void *context, char *why, size_t len);

/* Make a new device, with empty maps; durable. 0 or a negative errno. */
int repl_meta_format(struct repl_meta *meta, const struct repl_meta_state *state);

/*
 * Write the superblock alone; durable. 0, or a negative errno: the device has either
 * state then, and repl_meta_epoch() is as before.
 */
int repl_meta_set_state(struct repl_meta *meta, const struct repl_meta_state *state);

/* The set's UUID, REPL_META_UUID_BYTES of them, new with each format. Does not sleep. */
const u8 *repl_meta_uuid(struct repl_meta *meta);

/* The epoch as the superblock has it. Does not sleep. */
u64 repl_meta_epoch(struct repl_meta *meta);

/* The list of lost sectors of the epoch, REPL_META_LOST entries. Does not sleep. */
const u64 *repl_meta_lost(struct repl_meta *meta);

/*
 * Write the list of lost sectors; durable. When another epoch is durable it is empty.
 * 0, or a negative errno: then repl_meta_lost() is as before.
 */
int repl_meta_set_lost(struct repl_meta *meta, const u64 *lost);

/*
 * Between two commits these are called in the order of the chunks, each of them at
 * most once: a buffer may be on its way to the device when the next is being changed.
 */

/* Have the block of a map sector read, which is going to be changed. */
void repl_meta_prefetch(struct repl_meta *meta, u32 sector);

/* Add chunks to hidden's map; @end is behind the last one. 0 or a negative errno. */
int repl_meta_add_hidden(struct repl_meta *meta, u64 first, u64 end);

/*
 * Replace the maps of a map sector: active's, and hidden's if @hidden. 0 or a
 * negative errno.
 */
int repl_meta_replace(struct repl_meta *meta, u32 sector, const struct repl_meta_maps *maps,
		      bool hidden);

/* Make durable what has been changed. 0 or a negative errno. */
int repl_meta_commit(struct repl_meta *meta);

#endif
