// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata device: its format, and its reading and writing through dm-bufio.
 *
 * Block 0 is the superblock, in its first sector, and the list of lost sectors, in the
 * seven others. Then come the map sectors, eight to a block. Each sector has a checksum
 * of its own. A block that is torn by a loss of power has some of its sectors from before
 * and some from after, all of them good.
 */
#include <linux/blkdev.h>
#include <linux/crc32c.h>
#include <linux/dm-bufio.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uuid.h>

#include "metadata.h"

#define BLOCK_BYTES		REPL_META_BLOCK_BYTES
#define SECTOR_BYTES		512U
#define SECTORS_PER_BLOCK	(BLOCK_BYTES / SECTOR_BYTES)
#define FIRST_MAP_BLOCK		1U

/* How far ahead of its reading the loader has blocks read. */
#define PREFETCH_BLOCKS		128U

#define MAGIC			"DmReplMd"
#define VERSION			1U

/* Both kinds of sector begin with the checksum of the rest. */
struct super {
	__le32 crc;
	__le32 version;
	char magic[8];
	u8 uuid[REPL_META_UUID_BYTES];	/* of this set, made when it was formatted */
	__le64 len;			/* of the secondary, sectors */
	__le64 epoch;
	__le32 chunk_sectors;
	__le32 stage;
	__le32 error;
	__le32 kind;
	char view[128];			/* the dm UUID of the view; zeroes fill it */
	u8 rest[320];			/* zero */
};

/* Behind the superblock, in its block: a part of the list of lost sectors. */
struct lost_sector {
	__le32 crc;			/* as a map sector's */
	__le32 number;
	__le64 epoch;
	__le64 entry[REPL_META_LOST_ENTRIES];
};

struct map_sector {
	__le32 crc;			/* of the set's UUID and the rest */
	__le32 number;
	__le64 epoch;
	struct repl_meta_maps maps;
};

static_assert(sizeof(struct super) == SECTOR_BYTES);
static_assert(sizeof(struct map_sector) == SECTOR_BYTES);

struct repl_meta {
	struct block_device *bdev;
	struct dm_bufio_client *bufio;
	struct super super;		/* as it is on disk */
	u32 seed;			/* of the map sectors' checksums */
	u64 epoch;			/* as in @super */
	u64 lost[REPL_META_LOST];	/* of that epoch, as it is on disk */
	u64 nr_chunks;
	u32 nr_sectors;			/* of the maps */

	/* The map sector that is being changed, and its block, which is held. */
	struct dm_buffer *buffer;
	u8 *block;
	u64 block_nr;
	struct map_sector *sector;
};

static u32 checksum(u32 seed, const void *sector)
{
	return crc32c(seed, sector + sizeof(__le32), SECTOR_BYTES - sizeof(__le32));
}

static u32 nr_map_sectors(u64 len, u32 chunk_sectors)
{
	u64 chunks = DIV_ROUND_UP_ULL(len, chunk_sectors);

	return DIV_ROUND_UP_ULL(chunks, REPL_META_CHUNKS);
}

static u32 nr_map_blocks(const struct repl_meta *meta)
{
	return DIV_ROUND_UP(meta->nr_sectors, SECTORS_PER_BLOCK);
}

u64 repl_meta_size(u64 len, u32 chunk_sectors)
{
	u32 sectors = nr_map_sectors(len, chunk_sectors);

	return (FIRST_MAP_BLOCK + (u64)DIV_ROUND_UP(sectors, SECTORS_PER_BLOCK)) *
		SECTORS_PER_BLOCK;
}

/*
 * Opening
 */

static const char * const kinds[] = {
	[REPL_META_SECONDARY]	= "secondary",
	[REPL_META_PRIMARY]	= "primary",
};

/* Whether an owner of this kind can be in a stage. */
static bool has_stage(enum repl_meta_kind kind, u32 stage)
{
	return stage == REPL_RUNNING || stage == REPL_DONE ||
		(kind == REPL_META_SECONDARY && stage > REPL_RUNNING && stage < REPL_DONE);
}

/* 0, or why a superblock is not for this set. */
static int check_super(const struct super *super, const struct repl_meta_geometry *geometry,
		       char *why, size_t len)
{
	u32 stage = le32_to_cpu(super->stage);

	if (memcmp(super->magic, MAGIC, sizeof(super->magic))) {
		snprintf(why, len,
			 "it has other content; to have it formatted, zero its first 4 KiB");
		return -EINVAL;
	}
	if (le32_to_cpu(super->crc) != checksum(~0, super)) {
		snprintf(why, len, "its superblock is damaged: the checksum is wrong");
		return -EILSEQ;
	}
	if (le32_to_cpu(super->version) != VERSION) {
		snprintf(why, len, "it has version %u of the format, this module knows %u",
			 le32_to_cpu(super->version), VERSION);
		return -EINVAL;
	}
	if (le32_to_cpu(super->kind) > REPL_META_PRIMARY) {
		snprintf(why, len, "its superblock makes no sense: kind %u",
			 le32_to_cpu(super->kind));
		return -EILSEQ;
	}
	if (le32_to_cpu(super->kind) != geometry->kind) {
		snprintf(why, len, "it belongs to a %s", kinds[le32_to_cpu(super->kind)]);
		return -EINVAL;
	}
	if (le64_to_cpu(super->len) != geometry->len) {
		snprintf(why, len,
			 "it belongs to a %s of %llu sectors, the table has %llu; make the table with %llu, its devices may be longer",
			 kinds[geometry->kind], le64_to_cpu(super->len), geometry->len,
			 le64_to_cpu(super->len));
		return -EINVAL;
	}
	if (le32_to_cpu(super->chunk_sectors) != geometry->chunk_sectors) {
		snprintf(why, len, "it belongs to a set with chunks of %u sectors, not %u",
			 le32_to_cpu(super->chunk_sectors), geometry->chunk_sectors);
		return -EINVAL;
	}
	if (super->view[0] && geometry->view[0] &&
	    strncmp(super->view, geometry->view, sizeof(super->view))) {
		snprintf(why, len, "it belongs to the view with UUID %.*s",
			 (int)sizeof(super->view), super->view);
		return -EINVAL;
	}
	if (!has_stage(geometry->kind, stage) ||
	    le32_to_cpu(super->error) >= REPL_NR_ERRORS) {
		snprintf(why, len, "its superblock makes no sense: stage %u, error %u", stage,
			 le32_to_cpu(super->error));
		return -EILSEQ;
	}
	return 0;
}

/* A new device's superblock, which is not written yet. */
static void new_super(struct super *super, const struct repl_meta_geometry *geometry)
{
	memset(super, 0, sizeof(*super));
	memcpy(super->magic, MAGIC, sizeof(super->magic));
	super->version = cpu_to_le32(VERSION);
	generate_random_uuid(super->uuid);
	super->kind = cpu_to_le32(geometry->kind);
	super->len = cpu_to_le64(geometry->len);
	super->chunk_sectors = cpu_to_le32(geometry->chunk_sectors);
	memcpy(super->view, geometry->view,
	       min_t(size_t, strlen(geometry->view), sizeof(super->view)));
}

/*
 * What a host wrote before it died may be in the device's cache alone. Nobody writes again
 * what is read from it, so it is made durable first.
 */
static int make_durable(struct repl_meta *meta, char *why, size_t len)
{
	int r = blkdev_issue_flush(meta->bdev);

	if (r)
		snprintf(why, len, "it cannot be flushed");
	return r;
}

/* Take over the list of lost sectors, from the block of the superblock. */
static int read_lost(struct repl_meta *meta, const u8 *block, char *why, size_t len)
{
	u32 seed = crc32c(~0, meta->super.uuid, sizeof(meta->super.uuid));
	unsigned int i, j;

	for (i = 0; i < REPL_META_LOST_SECTORS; i++) {
		const struct lost_sector *sector = (const void *)(block + (1 + i) * SECTOR_BYTES);

		if (!memchr_inv(sector, 0, SECTOR_BYTES))
			continue;
		if (le32_to_cpu(sector->crc) != checksum(seed, sector) ||
		    le32_to_cpu(sector->number) != i) {
			snprintf(why, len, "its list of lost sectors is damaged");
			return -EILSEQ;
		}
		if (sector->epoch != meta->super.epoch)
			continue;
		for (j = 0; j < REPL_META_LOST_ENTRIES; j++)
			meta->lost[i * REPL_META_LOST_ENTRIES + j] = le64_to_cpu(sector->entry[j]);
	}
	return 0;
}

/*
 * A sector of the list without an entry is all zeroes.
 *
 * A superblock of another epoch is written with the list as it is on disk. That epoch
 * makes it void; and if the write fails, or is torn so that the superblock is the old
 * one, that one still has its list.
 */
static void write_lost(const struct repl_meta *meta, const u64 *lost, u8 *block)
{
	unsigned int i, j;

	for (i = 0; i < REPL_META_LOST_SECTORS; i++) {
		struct lost_sector *sector = (void *)(block + (1 + i) * SECTOR_BYTES);
		const u64 *entry = lost + i * REPL_META_LOST_ENTRIES;

		if (!memchr_inv(entry, 0, REPL_META_LOST_ENTRIES * sizeof(*entry)))
			continue;
		sector->number = cpu_to_le32(i);
		sector->epoch = cpu_to_le64(meta->epoch);
		for (j = 0; j < REPL_META_LOST_ENTRIES; j++)
			sector->entry[j] = cpu_to_le64(entry[j]);
		sector->crc = cpu_to_le32(checksum(meta->seed, sector));
	}
}

/* If it fails, what was read before still stands. */
static int read_super(struct repl_meta *meta, const struct repl_meta_geometry *geometry,
		      char *why, size_t len)
{
	struct super *super = &meta->super, old = *super;
	struct dm_buffer *buffer;
	u8 *block;
	int r = 0;

	block = dm_bufio_read(meta->bufio, 0, &buffer);
	if (IS_ERR(block)) {
		snprintf(why, len, "its superblock cannot be read");
		return PTR_ERR(block);
	}
	if (memchr_inv(block, 0, BLOCK_BYTES)) {
		memcpy(super, block, sizeof(*super));
		r = check_super(super, geometry, why, len) ?:
			read_lost(meta, block, why, len) ?: make_durable(meta, why, len);
	} else {
		new_super(super, geometry);
	}
	dm_bufio_release(buffer);
	if (r)
		*super = old;
	return r;
}

/* Read what the device has, in @state. */
static int read_state(struct repl_meta *meta, const struct repl_meta_geometry *geometry,
		      struct repl_meta_state *state, char *why, size_t len)
{
	int r;

	memset(meta->lost, 0, sizeof(meta->lost));
	r = read_super(meta, geometry, why, len);
	if (r)
		return r;
	meta->epoch = le64_to_cpu(meta->super.epoch);
	meta->seed = crc32c(~0, meta->super.uuid, sizeof(meta->super.uuid));
	state->epoch = meta->epoch;
	state->stage = le32_to_cpu(meta->super.stage);
	state->error = le32_to_cpu(meta->super.error);
	return 0;
}

int repl_meta_open(struct block_device *bdev, u64 sectors,
		   const struct repl_meta_geometry *geometry, struct repl_meta **result,
		   struct repl_meta_state *state, char *why, size_t len)
{
	u64 need = repl_meta_size(geometry->len, geometry->chunk_sectors);
	struct repl_meta *meta;
	int r = -ENOMEM;

	if (sectors < need) {
		snprintf(why, len, "it has %llu sectors; %llu are needed", sectors, need);
		return -ENOSPC;
	}
	meta = kzalloc(sizeof(*meta), GFP_KERNEL);
	if (!meta)
		goto no_memory;
	meta->bdev = bdev;
	meta->nr_chunks = DIV_ROUND_UP_ULL(geometry->len, geometry->chunk_sectors);
	meta->nr_sectors = nr_map_sectors(geometry->len, geometry->chunk_sectors);
	/* One buffer is held at a time. */
	meta->bufio = dm_bufio_client_create(bdev, BLOCK_BYTES, 1, 0, NULL, NULL, 0);
	if (IS_ERR(meta->bufio)) {
		r = PTR_ERR(meta->bufio);
		goto no_memory;
	}
	r = read_state(meta, geometry, state, why, len);
	if (r)
		repl_meta_close(meta);
	else
		*result = meta;
	return r;

no_memory:
	kfree(meta);
	snprintf(why, len, "out of memory");
	return r;
}

/* A change that is under way is not to be. */
static void drop_block(struct repl_meta *meta)
{
	if (meta->buffer)
		dm_bufio_release(meta->buffer);
	meta->buffer = NULL;
	meta->sector = NULL;
}

int repl_meta_reopen(struct repl_meta *meta, const struct repl_meta_geometry *geometry,
		     struct repl_meta_state *state, char *why, size_t len)
{
	/* A buffer that is dirty, or being written, could not be dropped. */
	dm_bufio_write_dirty_buffers(meta->bufio);
	drop_block(meta);
	dm_bufio_forget_buffers(meta->bufio, 0, FIRST_MAP_BLOCK + nr_map_blocks(meta));
	return read_state(meta, geometry, state, why, len);
}

void repl_meta_close(struct repl_meta *meta)
{
	drop_block(meta);
	dm_bufio_client_destroy(meta->bufio);
	kfree(meta);
}

/*
 * Loading
 */

/* Whether the map sector has bits of chunks that there are not. */
static bool out_of_range(const struct repl_meta *meta, const struct map_sector *sector, u32 number)
{
	u64 first = (u64)number * REPL_META_CHUNKS;
	unsigned int chunk, word;

	if (meta->nr_chunks - first >= REPL_META_CHUNKS)
		return false;
	for (chunk = meta->nr_chunks - first; chunk < REPL_META_CHUNKS; chunk++) {
		word = chunk / 64;
		if ((le64_to_cpu(sector->maps.active[word] | sector->maps.hidden[word]) >>
		     (chunk % 64)) & 1)
			return true;
	}
	return false;
}

/* What is wrong with a map sector that is not all zeroes; NULL if nothing is. */
static const char *sector_damage(const struct repl_meta *meta, const struct map_sector *sector,
				 u32 number)
{
	if (le32_to_cpu(sector->crc) != checksum(meta->seed, sector))
		return "the checksum is wrong";
	if (le32_to_cpu(sector->number) != number)
		return "it is another one";
	if (le64_to_cpu(sector->epoch) > meta->epoch)
		return "its epoch is yet to come";
	if (out_of_range(meta, sector, number))
		return "it has chunks that are not";
	return NULL;
}

static bool is_unused(const void *sector)
{
	return !memchr_inv(sector, 0, SECTOR_BYTES);
}

static int load_block(struct repl_meta *meta, u32 nr, const u8 *block,
		      void (*fn)(void *context, u32 sector, const struct repl_meta_maps *maps),
		      void *context, char *why, size_t len)
{
	u32 number = nr * SECTORS_PER_BLOCK;
	u32 end = min(number + SECTORS_PER_BLOCK, meta->nr_sectors);

	for (; number < end; number++, block += SECTOR_BYTES) {
		const struct map_sector *sector = (const void *)block;
		const char *damage;

		if (is_unused(sector))
			continue;
		damage = sector_damage(meta, sector, number);
		if (damage) {
			snprintf(why, len, "its map sector %u is damaged: %s", number, damage);
			return -EILSEQ;
		}
		if (le64_to_cpu(sector->epoch) == meta->epoch)
			fn(context, number, &sector->maps);
	}
	return 0;
}

int repl_meta_load(struct repl_meta *meta,
		   void (*fn)(void *context, u32 sector, const struct repl_meta_maps *maps),
		   void *context, char *why, size_t len)
{
	u32 nr, nr_blocks = nr_map_blocks(meta);
	struct dm_buffer *buffer;
	u8 *block;
	int r = 0;

	for (nr = 0; !r && nr < nr_blocks; nr++) {
		if (nr % PREFETCH_BLOCKS == 0)
			dm_bufio_prefetch(meta->bufio, FIRST_MAP_BLOCK + nr,
					  min(PREFETCH_BLOCKS, nr_blocks - nr));
		block = dm_bufio_read(meta->bufio, FIRST_MAP_BLOCK + nr, &buffer);
		if (IS_ERR(block)) {
			snprintf(why, len, "its map block %u cannot be read", nr);
			return PTR_ERR(block);
		}
		r = load_block(meta, nr, block, fn, context, why, len);
		dm_bufio_release(buffer);
		/* The maps are in memory now; once is enough. */
		dm_bufio_forget(meta->bufio, FIRST_MAP_BLOCK + nr);
		cond_resched();
	}
	return r;
}

/* Done with a map sector. */
static void seal_sector(struct repl_meta *meta)
{
	if (meta->sector)
		meta->sector->crc = cpu_to_le32(checksum(meta->seed, meta->sector));
	meta->sector = NULL;
}

static void put_block(struct repl_meta *meta)
{
	seal_sector(meta);
	if (meta->buffer) {
		dm_bufio_mark_buffer_dirty(meta->buffer);
		dm_bufio_release(meta->buffer);
	}
	meta->buffer = NULL;
}

/*
 * The superblock
 */

const u8 *repl_meta_uuid(struct repl_meta *meta)
{
	return meta->super.uuid;
}

u64 repl_meta_epoch(struct repl_meta *meta)
{
	return meta->epoch;
}

/* Write the superblock and a list of lost sectors, and all else that is dirty; durable. */
static int write_super(struct repl_meta *meta, const u64 *lost)
{
	struct super *super = &meta->super;
	struct dm_buffer *buffer;
	u8 *block;

	super->crc = cpu_to_le32(checksum(~0, super));
	/* A map sector that is being changed is of the epoch before. */
	put_block(meta);
	block = dm_bufio_new(meta->bufio, 0, &buffer);
	if (IS_ERR(block))
		return PTR_ERR(block);
	memset(block, 0, BLOCK_BYTES);
	memcpy(block, super, sizeof(*super));
	write_lost(meta, lost, block);
	dm_bufio_mark_buffer_dirty(buffer);
	dm_bufio_release(buffer);
	return dm_bufio_write_dirty_buffers(meta->bufio);
}

int repl_meta_set_state(struct repl_meta *meta, const struct repl_meta_state *state)
{
	struct super *super = &meta->super, old = *super;
	int r;

	super->epoch = cpu_to_le64(state->epoch);
	super->stage = cpu_to_le32(state->stage);
	super->error = cpu_to_le32(state->error);
	r = write_super(meta, meta->lost);
	if (r) {
		*super = old;
		return r;
	}
	if (meta->epoch != state->epoch)
		memset(meta->lost, 0, sizeof(meta->lost));
	meta->epoch = state->epoch;
	return 0;
}

const u64 *repl_meta_lost(struct repl_meta *meta)
{
	return meta->lost;
}

int repl_meta_set_lost(struct repl_meta *meta, const u64 *lost)
{
	int r = write_super(meta, lost);

	if (!r)
		memcpy(meta->lost, lost, sizeof(meta->lost));
	return r;
}

int repl_meta_format(struct repl_meta *meta, const struct repl_meta_state *state)
{
	sector_t first = FIRST_MAP_BLOCK * SECTORS_PER_BLOCK;
	sector_t n = (sector_t)nr_map_blocks(meta) * SECTORS_PER_BLOCK;
	int r;

	/*
	 * Until the superblock is there, the device is one to be formatted. A thin device
	 * keeps the space of the maps, for a pool that is full later would fail them.
	 */
	r = blkdev_issue_zeroout(meta->bdev, first, n, GFP_NOIO,
				 BLKDEV_ZERO_NOUNMAP);
	if (!r)
		r = blkdev_issue_flush(meta->bdev);
	return r ?: repl_meta_set_state(meta, state);
}

/*
 * Changing maps
 */

/* Begin to change a map sector, or go on with it. Its block is held till the next. */
static int get_sector(struct repl_meta *meta, u32 number)
{
	u64 nr = FIRST_MAP_BLOCK + number / SECTORS_PER_BLOCK;
	struct map_sector *sector;
	bool unused;

	if (!meta->buffer || meta->block_nr != nr) {
		put_block(meta);
		meta->block = dm_bufio_read(meta->bufio, nr, &meta->buffer);
		if (IS_ERR(meta->block)) {
			meta->buffer = NULL;
			return PTR_ERR(meta->block);
		}
		meta->block_nr = nr;
	}
	sector = (void *)(meta->block + number % SECTORS_PER_BLOCK * SECTOR_BYTES);
	if (sector == meta->sector)
		return 0;
	seal_sector(meta);
	unused = is_unused(sector);
	/* It was good when it was loaded; what has become bad must not get a new checksum. */
	if (!unused && sector_damage(meta, sector, number))
		return -EILSEQ;
	meta->sector = sector;
	if (unused || le64_to_cpu(sector->epoch) != meta->epoch) {
		memset(sector, 0, sizeof(*sector));
		sector->number = cpu_to_le32(number);
		sector->epoch = cpu_to_le64(meta->epoch);
	}
	return 0;
}

void repl_meta_prefetch(struct repl_meta *meta, u32 number)
{
	dm_bufio_prefetch(meta->bufio, FIRST_MAP_BLOCK + number / SECTORS_PER_BLOCK, 1);
}

int repl_meta_add_hidden(struct repl_meta *meta, u64 first, u64 end)
{
	u32 number, bit;
	int r;

	for (; first < end; first++) {
		number = div_u64_rem(first, REPL_META_CHUNKS, &bit);
		r = get_sector(meta, number);
		if (r)
			return r;
		meta->sector->maps.hidden[bit / 64] |= cpu_to_le64(BIT_ULL(bit % 64));
	}
	return 0;
}

int repl_meta_replace(struct repl_meta *meta, u32 number, const struct repl_meta_maps *maps,
		      bool hidden)
{
	int r = get_sector(meta, number);

	if (r)
		return r;
	memcpy(meta->sector->maps.active, maps->active, sizeof(maps->active));
	if (hidden)
		memcpy(meta->sector->maps.hidden, maps->hidden, sizeof(maps->hidden));
	return 0;
}

int repl_meta_commit(struct repl_meta *meta)
{
	put_block(meta);
	return dm_bufio_write_dirty_buffers(meta->bufio);
}
