// SPDX-License-Identifier: GPL-2.0-only
#include "rig.h"

#define CHUNK_SECTORS	8

void rig_create(struct rig *rig, u64 len, u32 chunk_sectors, bool cache)
{
	memset(rig, 0, sizeof(*rig));
	rig->geometry.len = len;
	rig->geometry.chunk_sectors = chunk_sectors;
	rig->geometry.view = "view";
	rig->nr_chunks = DIV_ROUND_UP(len, chunk_sectors);
	rig->nr_sectors = DIV_ROUND_UP(rig->nr_chunks, REPL_META_CHUNKS);
	rig->disk = disk_create(repl_meta_size(len, chunk_sectors), cache);
}

void rig_destroy(struct rig *rig)
{
	if (rig->meta)
		rig_close(rig);
	disk_destroy(rig->disk);
}

/* A sentence if, and only if, it failed. */
static int check_why(const struct rig *rig, int r)
{
	check(r <= 0, "not an errno");
	check(memchr(rig->why, 0, sizeof(rig->why)), "no end");
	check(!r == !rig->why[0], "%d, \"%s\"", r, rig->why);
	return r;
}

int rig_open(struct rig *rig)
{
	struct repl_meta *meta = NULL;
	int r;

	check(!rig->meta, "opened twice");
	rig->why[0] = 0;
	r = check_why(rig, repl_meta_open(rig->disk, rig->disk->sectors, &rig->geometry, &meta,
					  &rig->state, rig->why, sizeof(rig->why)));
	check(!r == !!meta, "%d and %p", r, (void *)meta);
	rig->meta = meta;
	if (meta)
		memcpy(rig->lost, repl_meta_lost(meta), sizeof(rig->lost));
	return r;
}

static void loaded(void *context, u32 sector, const struct repl_meta_maps *maps)
{
	struct rig *rig = context;

	check(sector < rig->nr_sectors, "map sector %u of %u", sector, rig->nr_sectors);
	check(!rig->nr_loaded || sector > rig->last_loaded, "%u comes after %u", sector,
	      rig->last_loaded);
	rig->nr_loaded++;
	rig->last_loaded = sector;
	if (sector < RIG_SECTORS)
		rig->maps[sector] = *maps;
}

int rig_load(struct rig *rig)
{
	memset(rig->maps, 0, sizeof(rig->maps));
	rig->nr_loaded = 0;
	rig->why[0] = 0;
	return check_why(rig, repl_meta_load(rig->meta, loaded, rig, rig->why, sizeof(rig->why)));
}

void rig_close(struct rig *rig)
{
	repl_meta_close(rig->meta);
	rig->meta = NULL;
}

void rig_state(struct rig *rig, enum repl_stage stage, u64 epoch)
{
	int r;

	rig->state.stage = stage;
	rig->state.epoch = epoch;
	r = repl_meta_set_state(rig->meta, &rig->state);
	check(!r, "%d", r);
	check(repl_meta_epoch(rig->meta) == epoch, "%llu", repl_meta_epoch(rig->meta));
}

void rig_random_lost(u64 *lost)
{
	unsigned int i;

	memset(lost, 0, REPL_META_LOST * sizeof(*lost));
	for (i = fake_below(16); i; i--)
		lost[fake_below(REPL_META_LOST)] = fake_random();
}

void rig_format(struct rig *rig, u64 nr_chunks)
{
	struct repl_meta_state state = { .epoch = 1, .stage = REPL_RUNNING };
	int r;

	rig_create(rig, nr_chunks * CHUNK_SECTORS, CHUNK_SECTORS, true);
	disk_fill_random(rig->disk, RIG_FIRST);
	r = rig_open(rig);
	check(!r, "%s", rig->why);
	check(rig->state.stage == REPL_NONE, "%d", rig->state.stage);
	r = repl_meta_format(rig->meta, &state);
	check(!r, "%d", r);
	rig->state = state;
}

void rig_reopen(struct rig *rig)
{
	int r;

	if (rig->meta)
		rig_close(rig);
	r = rig_open(rig);
	check(!r, "%s", rig->why);
	r = rig_load(rig);
	check(!r, "%s", rig->why);
}

void rig_refused(struct rig *rig, int error, const char *why)
{
	u64 writes = rig->disk->nr_writes;
	int r;

	r = rig_open(rig);
	if (!r) {
		r = rig_load(rig);
		rig_close(rig);
	}
	check(r == error, "%d instead of %d: %s", r, error, rig->why);
	check(strstr(rig->why, why), "\"%s\" instead of \"%s\"", rig->why, why);
	check(rig->disk->nr_writes == writes, "something was written");
}

/*
 * Bits
 */

static bool bit_set(const __le64 *words, u64 bit)
{
	return le64_to_cpu(words[bit / 64]) >> bit % 64 & 1;
}

bool rig_active(const struct rig *rig, u64 chunk)
{
	return bit_set(rig->maps[chunk / REPL_META_CHUNKS].active, chunk % REPL_META_CHUNKS);
}

bool rig_hidden(const struct rig *rig, u64 chunk)
{
	return bit_set(rig->maps[chunk / REPL_META_CHUNKS].hidden, chunk % REPL_META_CHUNKS);
}

void rig_set(__le64 *words, unsigned int bit)
{
	words[bit / 64] |= cpu_to_le64(BIT_ULL(bit % 64));
}

bool rig_empty(const struct repl_meta_maps *maps)
{
	return !memchr_inv(maps, 0, sizeof(*maps));
}

void rig_random_maps(const struct rig *rig, u32 sector, struct repl_meta_maps *maps)
{
	u64 chunks = min(rig->nr_chunks - (u64)sector * REPL_META_CHUNKS, REPL_META_CHUNKS);
	unsigned int i;

	memset(maps, 0, sizeof(*maps));
	for (i = fake_below(16); i; i--)
		rig_set(maps->active, fake_below(chunks));
	for (i = fake_below(16); i; i--)
		rig_set(maps->hidden, fake_below(chunks));
	if (fake_one_in(4))
		rig_set(maps->active, chunks - 1);
	if (fake_one_in(4))
		rig_set(maps->hidden, chunks - 1);
}

/*
 * On the disk
 */

u8 *rig_super(struct rig *rig)
{
	return rig->disk->data;
}

u8 *rig_sector(struct rig *rig, u32 number)
{
	return rig->disk->data + (RIG_FIRST + number) * DISK_SECTOR;
}

static void seal(u8 *sector, u32 seed)
{
	put32(sector, 0, crc32c(seed, sector + 4, DISK_SECTOR - 4));
}

void rig_seal_super(struct rig *rig)
{
	seal(rig_super(rig), ~0);
}

void rig_seal_sector(struct rig *rig, u32 number)
{
	seal(rig_sector(rig, number), crc32c(~0, rig_super(rig) + SUPER_UUID, 16));
}

void put32(u8 *sector, unsigned int offset, u32 value)
{
	value = cpu_to_le32(value);
	memcpy(sector + offset, &value, sizeof(value));
}

void put64(u8 *sector, unsigned int offset, u64 value)
{
	value = cpu_to_le64(value);
	memcpy(sector + offset, &value, sizeof(value));
}

u32 get32(const u8 *sector, unsigned int offset)
{
	u32 value;

	memcpy(&value, sector + offset, sizeof(value));
	return le32_to_cpu(value);
}

u64 get64(const u8 *sector, unsigned int offset)
{
	u64 value;

	memcpy(&value, sector + offset, sizeof(value));
	return le64_to_cpu(value);
}
