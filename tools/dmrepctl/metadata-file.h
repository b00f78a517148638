/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is on a metadata device, read without the module but by the module's own code:
 * metadata-file.c has dm-replication/metadata.c in it. Nothing is ever written.
 */
#ifndef DMREPCTL_METADATA_FILE_H
#define DMREPCTL_METADATA_FILE_H

#include "types.h"

/* A whole number of them is read at a time. */
#define METADATA_BLOCK	4096U

/* A map sector has so many chunks. */
#define MAP_CHUNKS	1984U
#define MAP_WORDS	(MAP_CHUNKS / 64)

enum metadata_kind {
	METADATA_SET,		/* of a set or a primary; good, so far as the superblock tells */
	METADATA_BLANK,		/* zeroes: the target would format it */
	METADATA_OTHER,		/* not ours */
	METADATA_VERSION,	/* ours, of another version */
	METADATA_DAMAGED,
	METADATA_UNREADABLE,
};

#define METADATA_UUID_BYTES	37	/* as text, with the zero behind it */

struct metadata_super {
	u32 version;
	bool primary;		/* chunks are its regions, active's bit says: clean */
	char uuid[METADATA_UUID_BYTES];
	u64 len;		/* of the secondary or primary, sectors */
	u64 epoch;
	u32 chunk_sectors;
	const char *stage, *error;
	char view[129];		/* dm's UUID of view or primary; "" if it had none */
	u64 nr_chunks;
	u32 nr_maps;		/* sectors */
	u64 need;		/* how many sectors the device has to have */
	u32 seed;		/* of the map sectors' checksums */
};

struct metadata_map {
	u32 number;
	bool unused;		/* never written */
	bool current;		/* of the superblock's epoch; else it is empty */
	u64 epoch;
	const char *damage;	/* NULL if there is none; else the rest is not to be trusted */
	u64 active[MAP_WORDS], hidden[MAP_WORDS];	/* one bit a chunk */
};

/* The errors that a set can have, "-" for none being the first; NULL behind the last one. */
const char *metadata_error_name(unsigned int nr);

/* How many sectors the metadata of such a disk needs; as the target says it. */
u64 metadata_need(u64 len, u32 chunk_sectors);

/* As those on the device, of a text. */
u32 metadata_checksum(const char *text);

/*
 * Read the superblock of a device of so many sectors. Unless it is METADATA_SET or
 * METADATA_BLANK there is a sentence in @why; @super is filled in for a set alone.
 */
enum metadata_kind read_metadata_super(int fd, u64 sectors, struct metadata_super *super,
				       char *why, size_t len);

/*
 * Read all maps: @fn gets each. A sector that cannot be read is damaged too. False if
 * memory is short.
 */
bool read_metadata_maps(int fd, const struct metadata_super *super,
			void (*fn)(void *context, const struct metadata_map *map), void *context);

#endif
