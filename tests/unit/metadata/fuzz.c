// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz - whatever is on the device: it is refused, in a sentence and without being
 * written to, or it is loaded, and then it can be used.
 *
 * For libFuzzer; -D gives fuzz_one() and fuzz_begin() the names that it calls. At the
 * end it prints how often what came out.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "rig.h"

/* What may come of it, by a part of the sentence. */
static struct {
	const char *why;
	unsigned long count;
} result[] = {
	{ "has other content", 0 },
	{ "superblock is damaged: the checksum", 0 },
	{ "of the format, this module", 0 },
	{ "belongs to a primary", 0 },
	{ "belongs to a secondary of", 0 },
	{ "belongs to a set with chunks of", 0 },
	{ "belongs to the view with UUID", 0 },
	{ "makes no sense", 0 },
	{ "list of lost sectors is damaged", 0 },
	{ "damaged: the checksum is wrong", 0 },
	{ "it is another one", 0 },
	{ "its epoch is yet to come", 0 },
	{ "it has chunks that are not", 0 },
	{ "", 0 },
};

static unsigned long unformatted;

static void print_results(void)
{
	unsigned int i;

	for (i = 0; i + 1 < ARRAY_SIZE(result); i++)
		printf("refused, %s: %lu\n", result[i].why, result[i].count);
	printf("to be formatted: %lu\nloaded: %lu\n", unformatted, result[i].count);
}

static void count_result(const char *why)
{
	unsigned int i = 0;

	while (!strstr(why, result[i].why))
		i++;
	check(!why[0] || result[i].why[0], "an unknown reason: %s", why);
	result[i].count++;
}

/*
 * The disk
 */

static void put_identity(struct rig *rig)
{
	u8 *super = rig_super(rig);

	put32(super, SUPER_VERSION, 1);
	memcpy(super + SUPER_MAGIC, "DmReplMd", 8);
	put64(super, SUPER_LEN, rig->geometry.len);
	put32(super, SUPER_CHUNK_SECTORS, rig->geometry.chunk_sectors);
	put32(super, SUPER_KIND, rig->geometry.kind);
	memset(super + SUPER_VIEW, 0, 128);
}

static void make_disk(struct rig *rig, u8 flags, const u8 *data, size_t size)
{
	static const u64 lengths[] = FUZZ_LENGTHS;
	size_t first = flags & FUZZ_RAW ? RIG_FIRST * DISK_SECTOR : DISK_SECTOR, maps;
	u32 number;

	rig_create(rig, lengths[flags & FUZZ_LEN], 8, true);
	if (flags & FUZZ_NO_VIEW)
		rig->geometry.view = "";
	first = min(first, size);
	maps = min(size - first, (size_t)(rig->disk->sectors - RIG_FIRST) * DISK_SECTOR);
	memcpy(rig->disk->data, data, first);
	memcpy(rig_sector(rig, 0), data + first, maps);
	if (flags & FUZZ_IDENTITY)
		put_identity(rig);
	if (flags & FUZZ_SEAL_SUPER)
		rig_seal_super(rig);
	for (number = 0; flags & FUZZ_SEAL_MAPS && number < rig->nr_sectors; number++) {
		if (memchr_inv(rig_sector(rig, number), 0, DISK_SECTOR))
			rig_seal_sector(rig, number);
	}
	disk_settle(rig->disk);
}

/*
 * Using what was loaded
 */

static void check_chunks(const struct rig *rig)
{
	u64 chunk;

	for (chunk = rig->nr_chunks; chunk < (u64)rig->nr_sectors * REPL_META_CHUNKS; chunk++)
		check(!rig_active(rig, chunk) && !rig_hidden(rig, chunk), "chunk %llu", chunk);
}

/* The next time it has the same state, and these maps. */
static void check_reopened(struct rig *rig, const struct repl_meta_maps *maps)
{
	struct repl_meta_state state = rig->state;

	rig_reopen(rig);
	check(state.stage == rig->state.stage && state.epoch == rig->state.epoch &&
	      state.error == rig->state.error, "another state");
	check(!memcmp(rig->maps, maps, sizeof(rig->maps)), "other maps");
}

static void change(struct rig *rig, struct repl_meta_maps *maps)
{
	u64 first = fake_below(rig->nr_chunks), chunk;
	u64 end = min(first + 1 + fake_below(100), rig->nr_chunks);
	u32 number = fake_below(rig->nr_sectors);

	check(!repl_meta_add_hidden(rig->meta, first, end), "failed");
	check(!repl_meta_commit(rig->meta), "failed");
	for (chunk = first; chunk < end; chunk++)
		rig_set(maps[chunk / REPL_META_CHUNKS].hidden, chunk % REPL_META_CHUNKS);
	rig_random_maps(rig, number, &maps[number]);
	check(!repl_meta_replace(rig->meta, number, &maps[number], true), "failed");
	check(!repl_meta_commit(rig->meta), "failed");
}

static void use(struct rig *rig)
{
	struct repl_meta_maps maps[RIG_SECTORS];

	check_chunks(rig);
	/* A set has its maps in epochs from 1 on, and will never see the last one. */
	if (!rig->state.epoch)
		rig_state(rig, REPL_RUNNING, 1);
	rig_reopen(rig);
	memcpy(maps, rig->maps, sizeof(maps));
	change(rig, maps);
	check_reopened(rig, maps);
	rig_state(rig, 1 + fake_below(REPL_DONE), rig->state.epoch);
	check_reopened(rig, maps);
	if (rig->state.epoch + 1) {
		rig_state(rig, REPL_RUNNING, rig->state.epoch + 1);
		memset(maps, 0, sizeof(maps));
		check_reopened(rig, maps);
		change(rig, maps);
		check_reopened(rig, maps);
	}
}

static void format(struct rig *rig)
{
	struct repl_meta_state state = { .epoch = 1, .stage = REPL_RUNNING };

	unformatted++;
	check(!repl_meta_format(rig->meta, &state), "failed");
	rig_reopen(rig);
	check(!rig->nr_loaded && rig->state.stage == REPL_RUNNING, "not as formatted");
}

int fuzz_one(const u8 *data, size_t size)
{
	struct rig rig;
	int r;

	if (!size)
		return 0;
	fake_seed(crc32c(~0, data, size));
	make_disk(&rig, data[0], data + 1, size - 1);
	r = rig_open(&rig);
	if (!r && rig.state.stage != REPL_NONE)
		r = rig_load(&rig);
	check(!rig.disk->nr_writes, "something was written");
	count_result(rig.why);
	if (!r) {
		if (rig.state.stage == REPL_NONE)
			format(&rig);
		use(&rig);
	}
	rig_destroy(&rig);
	check(!fake_allocated(), "%u pieces of memory have leaked", fake_allocated());
	return 0;
}

int fuzz_begin(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return atexit(print_results);
}
