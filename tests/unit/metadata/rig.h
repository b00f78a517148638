/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A metadata device on a disk, opened and loaded; and the format of what is on the
 * disk, written down a second time.
 */
#ifndef METADATA_RIG_H
#define METADATA_RIG_H

#include "disk.h"
#include "metadata.h"

/* Where on the disk the map sectors begin. */
#define RIG_FIRST	8U

/* So many map sectors a rig takes note of. */
#define RIG_SECTORS	24U

enum super_offset {
	SUPER_CRC = 0,
	SUPER_VERSION = 4,
	SUPER_MAGIC = 8,
	SUPER_UUID = 16,
	SUPER_LEN = 32,
	SUPER_EPOCH = 40,
	SUPER_CHUNK_SECTORS = 48,
	SUPER_STAGE = 52,
	SUPER_ERROR = 56,
	SUPER_KIND = 60,
	SUPER_VIEW = 64,
};

enum map_offset {
	MAP_CRC = 0,
	MAP_NUMBER = 4,
	MAP_EPOCH = 8,
	MAP_ACTIVE = 16,
	MAP_HIDDEN = 16 + 8 * REPL_META_WORDS,
};

struct rig {
	struct repl_meta_geometry geometry;
	u64 nr_chunks;
	u32 nr_sectors;			/* of the maps */
	struct block_device *disk;

	struct repl_meta *meta;
	struct repl_meta_state state;
	unsigned int nr_loaded;
	u32 last_loaded;
	struct repl_meta_maps maps[RIG_SECTORS];
	u64 lost[REPL_META_LOST];	/* as it was opened */
	char why[256];
};

/* With a disk of zeroes, as big as it has to be; without its cache if it is very big. */
void rig_create(struct rig *rig, u64 len, u32 chunk_sectors, bool cache);
void rig_destroy(struct rig *rig);

/* As the functions of metadata.h, but that they check the sentences. */
int rig_open(struct rig *rig);
int rig_load(struct rig *rig);
void rig_close(struct rig *rig);

/* A set_state that has to succeed. */
void rig_state(struct rig *rig, enum repl_stage stage, u64 epoch);

/* A list of lost sectors with random entries in random places. */
void rig_random_lost(u64 *lost);

/* So many chunks of 4 KiB: opened, and formatted in stage running, epoch 1. */
void rig_format(struct rig *rig, u64 nr_chunks);

/* Close if it is open, then open and load again. */
void rig_reopen(struct rig *rig);

/* As rig_open() and rig_load(): it is refused, and nothing is written. */
void rig_refused(struct rig *rig, int error, const char *why);

/* The bits of loaded maps. */
bool rig_active(const struct rig *rig, u64 chunk);
bool rig_hidden(const struct rig *rig, u64 chunk);
void rig_set(__le64 *words, unsigned int bit);
bool rig_empty(const struct repl_meta_maps *maps);

/* Random maps, with bits of chunks only that there are. */
void rig_random_maps(const struct rig *rig, u32 sector, struct repl_meta_maps *maps);

/* What is on the disk; seal for a checksum that is right. */
u8 *rig_super(struct rig *rig);
u8 *rig_sector(struct rig *rig, u32 number);
void rig_seal_super(struct rig *rig);
void rig_seal_sector(struct rig *rig, u32 number);
void put32(u8 *sector, unsigned int offset, u32 value);
void put64(u8 *sector, unsigned int offset, u64 value);
u32 get32(const u8 *sector, unsigned int offset);
u64 get64(const u8 *sector, unsigned int offset);

#endif
