// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <unistd.h>

#include "../../dm-replication/metadata.c"
#include "metadata-file.h"

/* So many blocks are read at a time. */
#define READ_BLOCKS	256U

static_assert(METADATA_BLOCK == BLOCK_BYTES);
static_assert(MAP_CHUNKS == REPL_META_CHUNKS);

static const char * const stages[] = {
	[REPL_NONE]		= "none",
	[REPL_RUNNING]		= "running",
	[REPL_FAILOVER]		= "failover",
	[REPL_FAILOVER_FAILED]	= "failover-failed",
	[REPL_DONE]		= "done",
};

static const char * const errors[] = {
	[REPL_NO_ERROR]		= "-",
	[REPL_COW_IO]		= "cow-io",
	[REPL_ACTIVE_IO]	= "active-io",
	[REPL_HIDDEN_IO]	= "hidden-io",
	[REPL_SECONDARY_IO]	= "secondary-io",
	[REPL_MERGE_IO]		= "merge-io",
	[REPL_METADATA_IO]	= "metadata-io",
	[REPL_LOCAL_IO]		= "local-io",
	[REPL_REPLICA_IO]	= "replica-io",
	[REPL_COW_NOSPC]	= "cow-nospc",
	[REPL_ACTIVE_NOSPC]	= "active-nospc",
	[REPL_SECONDARY_NOSPC]	= "secondary-nospc",
	[REPL_MERGE_NOSPC]	= "merge-nospc",
	[REPL_MERGE_LOST]	= "merge-lost",
	[REPL_CHECKPOINT_HELD]	= "checkpoint-held",
};

static_assert(ARRAY_SIZE(errors) == REPL_NR_ERRORS);

/* What the target takes, as its tables' constructors do. */
static const struct {
	const char *chunks;
	u32 min, max;		/* sectors */
	u64 max_chunks;
} limits[] = {
	[REPL_META_SECONDARY]	= { "chunks", 8, 2048, 1ULL << 32 },
	[REPL_META_PRIMARY]	= { "regions", 128, 8192, 1ULL << 24 },
};

static_assert(ARRAY_SIZE(limits) == ARRAY_SIZE(kinds));

const char *metadata_error_name(unsigned int nr)
{
	return nr < ARRAY_SIZE(errors) ? errors[nr] : NULL;
}

u64 metadata_need(u64 len, u32 chunk_sectors)
{
	return repl_meta_size(len, chunk_sectors);
}

u32 metadata_checksum(const char *text)
{
	return crc32c(~0, text, strlen(text));
}

static bool read_all(int fd, void *buffer, size_t bytes, u64 offset)
{
	u8 *at = buffer;
	ssize_t n;

	while (bytes) {
		n = pread(fd, at, bytes, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			/* The end of it, or what it says. */
			if (!n)
				errno = EIO;
			return false;
		}
		at += n;
		offset += n;
		bytes -= n;
	}
	return true;
}

/*
 * The superblock
 */

/* What the target compares with its table is not known here, but what cannot be is. */
static bool possible(const struct super *super, u64 sectors, char *why, size_t len)
{
	u64 length = le64_to_cpu(super->len), need;
	u32 chunk = le32_to_cpu(super->chunk_sectors), kind = le32_to_cpu(super->kind);

	if (chunk < limits[kind].min || chunk > limits[kind].max || chunk & (chunk - 1)) {
		snprintf(why, len, "its superblock makes no sense: %s of %u sectors",
			 limits[kind].chunks, chunk);
		return false;
	}
	if (!length || length > chunk * limits[kind].max_chunks) {
		snprintf(why, len, "its superblock makes no sense: a %s of %llu sectors",
			 kinds[kind], length);
		return false;
	}
	need = repl_meta_size(length, chunk);
	if (sectors < need) {
		snprintf(why, len, "it has %llu sectors; %llu are needed", sectors, need);
		return false;
	}
	return true;
}

static void format_uuid(const u8 *bytes, char text[METADATA_UUID_BYTES])
{
	unsigned int i, at = 0;

	for (i = 0; i < 16; i++)
		at += sprintf(text + at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
			      bytes[i]);
}

static void fill_super(struct metadata_super *to, const struct super *from)
{
	memset(to, 0, sizeof(*to));
	to->version = le32_to_cpu(from->version);
	to->primary = le32_to_cpu(from->kind) == REPL_META_PRIMARY;
	format_uuid(from->uuid, to->uuid);
	to->len = le64_to_cpu(from->len);
	to->epoch = le64_to_cpu(from->epoch);
	to->chunk_sectors = le32_to_cpu(from->chunk_sectors);
	to->stage = stages[le32_to_cpu(from->stage)];
	to->error = errors[le32_to_cpu(from->error)];
	snprintf(to->view, sizeof(to->view), "%.*s", (int)sizeof(from->view), from->view);
	to->nr_chunks = DIV_ROUND_UP_ULL(to->len, to->chunk_sectors);
	to->nr_maps = nr_map_sectors(to->len, to->chunk_sectors);
	to->need = repl_meta_size(to->len, to->chunk_sectors);
	to->seed = crc32c(~0, from->uuid, sizeof(from->uuid));
}

static enum metadata_kind check_block(const u8 *block, u64 sectors, struct metadata_super *result,
				      char *why, size_t len)
{
	const struct super *super = (const void *)block;
	struct repl_meta_geometry geometry = {
		.kind = le32_to_cpu(super->kind),
		.len = le64_to_cpu(super->len),
		.chunk_sectors = le32_to_cpu(super->chunk_sectors),
		.view = "",
	};
	int r;

	if (!memchr_inv(block, 0, BLOCK_BYTES))
		return METADATA_BLANK;
	if (memcmp(super->magic, MAGIC, sizeof(super->magic))) {
		snprintf(why, len, "it is no metadata device: it has other content");
		return METADATA_OTHER;
	}
	r = check_super(super, &geometry, why, len);
	if (r)
		return r == -EILSEQ ? METADATA_DAMAGED : METADATA_VERSION;
	if (!possible(super, sectors, why, len))
		return METADATA_DAMAGED;
	fill_super(result, super);
	return METADATA_SET;
}

enum metadata_kind read_metadata_super(int fd, u64 sectors, struct metadata_super *super,
				       char *why, size_t len)
{
	enum metadata_kind kind = METADATA_UNREADABLE;
	void *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);

	if (!block)
		snprintf(why, len, "out of memory");
	else if (sectors < SECTORS_PER_BLOCK)
		snprintf(why, len, "it is too small for a superblock");
	else if (!read_all(fd, block, BLOCK_BYTES, 0))
		snprintf(why, len, "its superblock cannot be read: %s", strerror(errno));
	else
		kind = check_block(block, sectors, super, why, len);
	free(block);
	return kind;
}

/*
 * The maps
 */

static void fill_map(struct metadata_map *map, const struct map_sector *sector, u64 epoch)
{
	unsigned int i;

	map->epoch = le64_to_cpu(sector->epoch);
	map->current = map->epoch == epoch;
	for (i = 0; i < MAP_WORDS; i++) {
		map->active[i] = le64_to_cpu(sector->maps.active[i]);
		map->hidden[i] = le64_to_cpu(sector->maps.hidden[i]);
	}
}

/* The map sectors of a block, which is NULL if it could not be read. */
static void give_block(const struct repl_meta *meta, u32 nr, const u8 *block,
		       void (*fn)(void *context, const struct metadata_map *map), void *context)
{
	u32 number = nr * SECTORS_PER_BLOCK;
	u32 end = min(number + SECTORS_PER_BLOCK, meta->nr_sectors);

	for (; number < end; number++) {
		struct metadata_map map = { .number = number };

		if (!block) {
			map.damage = "it cannot be read";
		} else {
			const struct map_sector *sector = (const void *)block;

			map.unused = is_unused(sector);
			if (!map.unused)
				map.damage = sector_damage(meta, sector, number);
			fill_map(&map, sector, meta->epoch);
			block += SECTOR_BYTES;
		}
		fn(context, &map);
	}
}

/* Block by block, where they cannot be read together. */
static void give_blocks(int fd, const struct repl_meta *meta, u32 first, u32 n, u8 *buffer,
			void (*fn)(void *context, const struct metadata_map *map), void *context)
{
	u64 offset = (u64)(FIRST_MAP_BLOCK + first) * BLOCK_BYTES;
	bool all = read_all(fd, buffer, (size_t)n * BLOCK_BYTES, offset);
	u32 i;

	for (i = 0; i < n; i++) {
		u8 *block = buffer + (size_t)i * BLOCK_BYTES;

		if (!all && !read_all(fd, block, BLOCK_BYTES, offset + (u64)i * BLOCK_BYTES))
			block = NULL;
		give_block(meta, first + i, block, fn, context);
	}
}

bool read_metadata_maps(int fd, const struct metadata_super *super,
			void (*fn)(void *context, const struct metadata_map *map), void *context)
{
	struct repl_meta meta = {
		.seed = super->seed,
		.epoch = super->epoch,
		.nr_chunks = super->nr_chunks,
		.nr_sectors = super->nr_maps,
	};
	u32 nr, nr_blocks = nr_map_blocks(&meta);
	u8 *buffer = aligned_alloc(BLOCK_BYTES, min(READ_BLOCKS, nr_blocks) * BLOCK_BYTES);

	for (nr = 0; buffer && nr < nr_blocks; nr += READ_BLOCKS)
		give_blocks(fd, &meta, nr, min(READ_BLOCKS, nr_blocks - nr), buffer, fn, context);
	free(buffer);
	return buffer;
}
