// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changing maps: what is changed, what is not, and what it costs.
 */
#include "unit.h"

#define CHUNKS	(19 * REPL_META_CHUNKS + 1)

static void commit(struct rig *rig)
{
	check(!repl_meta_commit(rig->meta), "failed");
	check(!rig->disk->nr_pending, "not durable");
}

static void add(struct rig *rig, u64 first, u64 end)
{
	int r = repl_meta_add_hidden(rig->meta, first, end);

	check(!r, "%d for %llu to %llu", r, first, end);
}

/* Hidden has these chunks, of all that there are, and active has none. */
static void check_hidden(const struct rig *rig, u64 first, u64 end)
{
	u64 chunk;

	for (chunk = 0; chunk < rig->nr_chunks; chunk++) {
		check(rig_hidden(rig, chunk) == (chunk >= first && chunk < end), "chunk %llu",
		      chunk);
		check(!rig_active(rig, chunk), "chunk %llu", chunk);
	}
}

/* Ranges at, and across, the borders of words, map sectors and blocks, and the end. */
static void ranges(void)
{
	static const u64 border[] = {
		0, 1, 63, 64, 65, REPL_META_CHUNKS - 1, REPL_META_CHUNKS, REPL_META_CHUNKS + 1,
		8 * REPL_META_CHUNKS - 1, 8 * REPL_META_CHUNKS, 8 * REPL_META_CHUNKS + 1,
		CHUNKS - 2, CHUNKS - 1, CHUNKS,
	};
	unsigned int i, j;
	struct rig rig;

	rig_format(&rig, CHUNKS);
	for (i = 0; i < ARRAY_SIZE(border); i++) {
		for (j = i; j < ARRAY_SIZE(border); j++) {
			add(&rig, border[i], border[j]);
			commit(&rig);
			rig_reopen(&rig);
			check_hidden(&rig, border[i], border[j]);
			rig_state(&rig, REPL_RUNNING, rig.state.epoch + 1);
		}
	}
	rig_destroy(&rig);
}

/* A range of nothing, and a commit of nothing: not written. */
static void nothing(void)
{
	struct rig rig;

	rig_format(&rig, CHUNKS);
	disk_settle(rig.disk);
	add(&rig, 17, 17);
	commit(&rig);
	check(!rig.disk->nr_writes && !rig.disk->nr_reads, "I/O");
	check(rig.disk->nr_flushes == 1, "%llu flushes", rig.disk->nr_flushes);
	rig_destroy(&rig);
}

/* A write for each block that is changed, and a flush for all of them. */
static void writes(void)
{
	struct rig rig;
	u64 chunk;

	rig_format(&rig, CHUNKS);
	disk_settle(rig.disk);
	for (chunk = 0; chunk < 6 * REPL_META_CHUNKS; chunk += 100)
		add(&rig, chunk, chunk + 1);
	commit(&rig);
	check(rig.disk->nr_writes == 1, "%llu writes", rig.disk->nr_writes);
	check(rig.disk->nr_flushes == 1, "%llu flushes", rig.disk->nr_flushes);

	disk_settle(rig.disk);
	for (chunk = 50; chunk < CHUNKS; chunk += 100)
		add(&rig, chunk, chunk + 1);
	commit(&rig);
	check(rig.disk->nr_writes == 3, "%llu writes", rig.disk->nr_writes);
	check(rig.disk->nr_flushes == 1, "%llu flushes", rig.disk->nr_flushes);
	rig_destroy(&rig);
}

/* Replacing active's map leaves hidden's, if so wanted. */
static void replace(void)
{
	struct repl_meta_maps maps, expected[20] = { 0 };
	unsigned int i, number;
	struct rig rig;
	bool hidden;

	rig_format(&rig, CHUNKS);
	for (i = 0; i < 50; i++) {
		hidden = fake_one_in(2);
		for (number = fake_below(4); number < 20; number += 1 + fake_below(8)) {
			rig_random_maps(&rig, number, &maps);
			check(!repl_meta_replace(rig.meta, number, &maps, hidden), "failed");
			memcpy(expected[number].active, maps.active, sizeof(maps.active));
			if (hidden)
				expected[number] = maps;
		}
		commit(&rig);
		for (number = fake_below(4); number < 20; number += 1 + fake_below(8)) {
			u64 bit = number == 19 ? 0 : fake_below(REPL_META_CHUNKS);
			u64 chunk = (u64)number * REPL_META_CHUNKS + bit;

			add(&rig, chunk, chunk + 1);
			rig_set(expected[number].hidden, bit);
		}
		commit(&rig);
		rig_reopen(&rig);
		check(!memcmp(rig.maps, expected, sizeof(expected)), "round %u", i);
	}
	rig_destroy(&rig);
}

/* The map sectors of a block, each of them in the epoch that it was changed in. */
static void epochs(void)
{
	u8 super[DISK_SECTOR], *before;
	struct rig rig;
	unsigned int i;
	u64 epoch;
	size_t size;

	rig_format(&rig, CHUNKS);
	size = rig.disk->sectors * DISK_SECTOR;
	before = fake_alloc(size);
	for (epoch = 1; epoch <= 20; epoch++) {
		u64 chunk = (20 - epoch) * REPL_META_CHUNKS;

		add(&rig, chunk, chunk + 1);
		commit(&rig);
		check(get64(rig_sector(&rig, 20 - epoch), MAP_EPOCH) == epoch, "another epoch");
		rig_reopen(&rig);
		check_hidden(&rig, chunk, chunk + 1);

		/* A checkpoint is a write of the superblock, no matter what the maps have. */
		memcpy(before, rig.disk->data, size);
		disk_settle(rig.disk);
		rig_state(&rig, REPL_RUNNING, epoch + 1);
		check(rig.disk->nr_writes == 1 && rig.disk->nr_flushes == 1 &&
		      !rig.disk->nr_reads, "more I/O than that");
		check(!memcmp(before + DISK_SECTOR, rig.disk->data + DISK_SECTOR,
			      size - DISK_SECTOR), "more than the superblock has changed");
		rig_reopen(&rig);
		check(!rig.nr_loaded, "the maps are not empty");
	}

	/* Old bits do not come back with new ones of the same sector. */
	for (i = 0; i < 20; i++)
		add(&rig, i * REPL_META_CHUNKS, i * REPL_META_CHUNKS + (i < 19 ? 3 : 1));
	commit(&rig);
	rig_state(&rig, REPL_RUNNING, 100);
	add(&rig, 2 * REPL_META_CHUNKS + 1, 2 * REPL_META_CHUNKS + 2);
	commit(&rig);
	rig_reopen(&rig);
	check_hidden(&rig, 2 * REPL_META_CHUNKS + 1, 2 * REPL_META_CHUNKS + 2);
	rig_state(&rig, REPL_RUNNING, 101);
	memset(rig.maps, 0, sizeof(rig.maps));
	check(!repl_meta_replace(rig.meta, 2, &rig.maps[3], false), "failed");
	commit(&rig);
	rig_reopen(&rig);
	check_hidden(&rig, 0, 0);

	/* The same epoch in another stage: all stays. */
	add(&rig, 0, 3000);
	commit(&rig);
	memcpy(super, rig_super(&rig), DISK_SECTOR);
	rig_state(&rig, REPL_FAILOVER, 101);
	check(memcmp(super, rig_super(&rig), DISK_SECTOR), "not written");
	rig_reopen(&rig);
	check_hidden(&rig, 0, 3000);
	kfree(before);
	rig_destroy(&rig);
}

/* 16 TiB in chunks of 4 KiB: no number is too big. */
static void big(void)
{
	const u64 nr_chunks = 1ULL << 32;
	struct repl_meta_maps maps;
	struct rig rig;
	u32 last;

	rig_create(&rig, nr_chunks * 8, 8, false);
	check(!rig_open(&rig), "%s", rig.why);
	rig.state.stage = REPL_RUNNING;
	rig.state.epoch = 1;
	check(!repl_meta_format(rig.meta, &rig.state), "failed");
	last = rig.nr_sectors - 1;
	add(&rig, 5, 6);
	rig_random_maps(&rig, last, &maps);
	check(!repl_meta_replace(rig.meta, last, &maps, true), "failed");
	commit(&rig);
	add(&rig, nr_chunks - 1, nr_chunks);
	commit(&rig);
	rig_reopen(&rig);
	check(rig.nr_loaded == 2 && rig.last_loaded == last, "map sector %u", rig.last_loaded);
	check(rig_hidden(&rig, 5), "the first is lost");
	rig_set(maps.hidden, (nr_chunks - 1) % REPL_META_CHUNKS);
	check(!memcmp(rig_sector(&rig, last) + MAP_ACTIVE, &maps, sizeof(maps)),
	      "the last is lost");

	rig_close(&rig);
	rig_set(maps.hidden, nr_chunks % REPL_META_CHUNKS);
	memcpy(rig_sector(&rig, last) + MAP_ACTIVE, &maps, sizeof(maps));
	rig_seal_sector(&rig, last);
	rig_refused(&rig, -EILSEQ, "it has chunks that are not");
	rig_destroy(&rig);
}

const struct unit_test unit_maps[] = {
	{ "ranges", ranges },
	{ "nothing", nothing },
	{ "writes", writes },
	{ "replace", replace },
	{ "epochs", epochs },
	{ "big", big },
	{ NULL, NULL }
};
