// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every I/O of every function fails in turn. The function says so, the device can be
 * closed, and what a later opening finds is from before or after.
 */
#include "unit.h"

#define SECTORS		20
#define CHUNKS		(19 * REPL_META_CHUNKS + 77)

struct step {
	const char *name;
	int (*run)(struct rig *rig);
	bool opened;			/* and loaded, without an error, before it */
	bool reads;			/* only */
};

static int run_open(struct rig *rig)
{
	return rig_open(rig);
}

static int run_load(struct rig *rig)
{
	int r = rig_open(rig);

	return r ? r : rig_load(rig);
}

/* Without an end: what is dirty is written when it is closed, and nobody hears how. */
static int run_change(struct rig *rig)
{
	return repl_meta_add_hidden(rig->meta, 0, CHUNKS);
}

static int run_add_hidden(struct rig *rig)
{
	int r = run_change(rig);

	return r ? r : repl_meta_commit(rig->meta);
}

static int run_replace(struct rig *rig)
{
	struct repl_meta_maps maps = { 0 };
	int r = 0;
	u32 number;

	memset(maps.active, 0xff, 8);
	memset(maps.hidden, 0xff, 8);
	for (number = 0; !r && number < SECTORS; number++)
		r = repl_meta_replace(rig->meta, number, &maps, number % 2);
	return r ? r : repl_meta_commit(rig->meta);
}

static int run_state(struct rig *rig)
{
	struct repl_meta_state state = { .epoch = 8, .stage = REPL_FAILOVER };
	u64 epoch = repl_meta_epoch(rig->meta);
	int r = repl_meta_set_state(rig->meta, &state);

	check(repl_meta_epoch(rig->meta) == (r ? epoch : 8), "%llu", repl_meta_epoch(rig->meta));
	return r;
}

static int run_lost(struct rig *rig)
{
	u64 lost[REPL_META_LOST] = { 0x10001 };
	int r;

	lost[REPL_META_LOST - 1] = 0x20002;
	r = repl_meta_set_lost(rig->meta, lost);
	check(!memcmp(repl_meta_lost(rig->meta), r ? rig->lost : lost, sizeof(lost)),
	      "%d, and another list", r);
	return r;
}

static const struct step step[] = {
	{ "open", run_open, false, true },
	{ "load", run_load, false, true },
	{ "change and close", run_change, true, false },
	{ "add hidden", run_add_hidden, true, false },
	{ "replace", run_replace, true, false },
	{ "set state", run_state, true, false },
	{ "set lost", run_lost, true, false },
};

/* Formatted, with every other map sector in use, and a list of lost sectors. */
static void prepare(struct rig *rig)
{
	struct repl_meta_maps maps;
	u64 lost[REPL_META_LOST];
	u32 number;

	rig_format(rig, CHUNKS);
	rig_state(rig, REPL_RUNNING, 7);
	for (number = 0; number < SECTORS; number += 2) {
		rig_random_maps(rig, number, &maps);
		check(!repl_meta_replace(rig->meta, number, &maps, true), "failed");
	}
	check(!repl_meta_commit(rig->meta), "failed");
	rig_random_lost(lost);
	check(!repl_meta_set_lost(rig->meta, lost), "failed");
}

/* How it is after the step has been done without an error. */
static void expect_after(const struct step *step, struct rig *after)
{
	prepare(after);
	if (!step->opened)
		rig_close(after);
	check(!step->run(after), "%s", step->name);
	rig_reopen(after);
}

/* A sector of the list may be written, and another not. */
static void check_lost(const struct rig *rig, const struct rig *one, const struct rig *other)
{
	const size_t bytes = REPL_META_LOST_ENTRIES * sizeof(u64);
	u32 i;

	for (i = 0; i < REPL_META_LOST; i += REPL_META_LOST_ENTRIES)
		check(!memcmp(rig->lost + i, one->lost + i, bytes) ||
		      !memcmp(rig->lost + i, other->lost + i, bytes),
		      "a third list of lost sectors, from %u on", i);
}

static void check_either(const struct rig *rig, const struct rig *before,
			 const struct rig *after)
{
	bool old = rig->state.epoch == before->state.epoch;
	bool same = after->state.epoch == before->state.epoch;
	const struct rig *state = old ? before : after;
	u32 i;

	check(!memcmp(&rig->state, &state->state, sizeof(rig->state)), "a third state");
	check_lost(rig, state, same ? after : state);
	for (i = 0; i < SECTORS; i++) {
		if (same && !memcmp(&rig->maps[i], &after->maps[i], sizeof(rig->maps[i])))
			continue;
		check(!memcmp(&rig->maps[i], &state->maps[i], sizeof(rig->maps[i])),
		      "map sector %u has third content", i);
	}
}

/* In spite of an error. */
static bool may_succeed(const struct step *step, enum disk_io io)
{
	/* Nobody hears of a read ahead; the next one may have succeeded. */
	if (io == DISK_READ)
		return step->run == run_load;
	return step->run == run_change;
}

/* True if there was such an I/O. */
static bool fail_at(const struct step *step, enum disk_io io, unsigned int nth, u64 seed)
{
	struct rig rig, before, after;
	bool failed;
	int r;

	/* The same content for all of them. */
	fake_seed(seed);
	prepare(&before);
	rig_reopen(&before);
	fake_seed(seed);
	expect_after(step, &after);
	fake_seed(seed);
	prepare(&rig);
	if (step->opened)
		rig_reopen(&rig);
	else
		rig_close(&rig);
	fake_seed(seed + nth);
	disk_settle(rig.disk);

	disk_fail(rig.disk, io, nth);
	r = step->run(&rig);
	failed = rig.disk->failed;
	check(r == (failed ? -EIO : 0) || (!r && may_succeed(step, io)),
	      "%s: %d after I/O %u failed", step->name, r, nth);
	if (rig.meta)
		rig_close(&rig);
	failed = rig.disk->failed;
	disk_fail(rig.disk, DISK_ANY, 0);
	check(!step->reads || !rig.disk->nr_writes, "something was written");
	rig_reopen(&rig);
	check_either(&rig, &before, &after);
	/* And it can be used. */
	rig_state(&rig, REPL_DONE, 9);
	rig_reopen(&rig);
	check(!rig.nr_loaded, "not empty");
	rig_close(&rig);
	rig_close(&before);
	rig_close(&after);
	rig_destroy(&rig);
	rig_destroy(&before);
	rig_destroy(&after);
	return failed;
}

static void fail_all(enum disk_io io)
{
	unsigned int i, nth, round, failures = 0;

	for (i = 0; i < ARRAY_SIZE(step); i++)
		for (round = 0; round < 20; round++)
			for (nth = 1; fail_at(&step[i], io, nth, 1000 * round); nth++)
				failures++;
	check(failures, "there was no I/O");
}

static void fail_reads(void)
{
	fail_all(DISK_READ);
}

static void fail_writes(void)
{
	fail_all(DISK_WRITE);
}

static void fail_flushes(void)
{
	fail_all(DISK_FLUSH);
}

/* A device that could not be formatted is one to be formatted, or it is done. */
static bool fail_format(unsigned int nth)
{
	struct repl_meta_state state = { .epoch = 1, .stage = REPL_RUNNING };
	struct rig rig;
	bool failed;
	int r;

	rig_create(&rig, CHUNKS * 8, 8, true);
	disk_fill_random(rig.disk, RIG_FIRST);
	check(!rig_open(&rig), "%s", rig.why);
	disk_fail(rig.disk, DISK_ANY, nth);
	r = repl_meta_format(rig.meta, &state);
	failed = rig.disk->failed;
	check(r == (failed ? -EIO : 0), "%d", r);
	rig_close(&rig);
	disk_fail(rig.disk, DISK_ANY, 0);
	check(!rig_open(&rig), "%s", rig.why);
	if (rig.state.stage == REPL_NONE)
		check(!repl_meta_format(rig.meta, &state), "failed");
	rig_reopen(&rig);
	check(rig.state.stage == REPL_RUNNING && !rig.nr_loaded, "not formatted");
	rig_destroy(&rig);
	return failed;
}

static void format_fails(void)
{
	unsigned int nth, round;

	for (round = 0; round < 20; round++) {
		for (nth = 1; fail_format(nth); nth++)
			;
		/* The zeroes, their flush, the superblock, its flush. */
		check(nth == 5, "%u I/Os", nth - 1);
	}
}

/* Of metadata.c's own memory, and dm-bufio's. */
static void no_memory(void)
{
	struct rig rig;
	unsigned int n;

	rig_format(&rig, CHUNKS);
	rig_close(&rig);
	for (n = 1; n <= 2; n++) {
		fake_fail_alloc(n);
		rig_refused(&rig, -ENOMEM, "out of memory");
	}
	fake_fail_alloc(0);
	rig_reopen(&rig);
	rig_destroy(&rig);
}

/* The sentences that reading has. */
static void sentences(void)
{
	unsigned int nth;
	struct rig rig;
	bool seen = false;

	prepare(&rig);
	rig_close(&rig);
	disk_fail(rig.disk, DISK_READ, 1);
	rig_refused(&rig, -EIO, "its superblock cannot be read");
	for (nth = 0; nth < 100 && !seen; nth++) {
		check(!rig_open(&rig), "%s", rig.why);
		disk_fail(rig.disk, DISK_READ, 3);
		if (rig_load(&rig) == -EIO)
			seen = !strcmp(rig.why, "its map block 2 cannot be read");
		rig_close(&rig);
	}
	check(seen, "it was never said");
	rig_destroy(&rig);
}

const struct unit_test unit_errors[] = {
	{ "fail-reads", fail_reads },
	{ "fail-writes", fail_writes },
	{ "fail-flushes", fail_flushes },
	{ "format-fails", format_fails },
	{ "no-memory", no_memory },
	{ "sentences", sentences },
	{ NULL, NULL }
};
