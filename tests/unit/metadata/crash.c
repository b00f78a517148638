// SPDX-License-Identifier: GPL-2.0-only
/*
 * crash - cut the power after every sector that metadata.c writes, and every flush.
 *
 * What commit.c might do with a set is done by chance. Of the writes that are pending
 * at each point any may have reached the disk: all subsets of them are tried if there
 * are few, and some if there are many. Each is opened, and has to be as before the
 * operation that is under way, or as after it: the state as a whole, the maps and the
 * list of lost sectors sector by sector. Some operations end with one of these disks,
 * and all goes on with what is on it.
 *
 * Usage: crash SEED ROUNDS SECONDS
 *
 * A round is a new device; that with seed 5 is the second one of seed 4. It ends after
 * that many rounds or seconds. Exit status: 0, or it aborts.
 */
#include <stdlib.h>
#include <time.h>

#include "rig.h"

/* So many effective writes: all subsets. Of more, so many. */
#define ALL_SUBSETS	10U
#define SOME_SUBSETS	300U
#define MAX_WRITES	256U

/* What there is after a loss of power. */
struct content {
	struct repl_meta_state state;
	struct repl_meta_maps maps[RIG_SECTORS];
	u64 lost[REPL_META_LOST];
};

struct crash {
	struct rig rig;			/* in use */
	struct rig image;		/* after the loss */
	struct content before, after;	/* the operation */

	/* One of the disks of this operation, each as likely as the others. */
	u8 *chosen;
	struct content chosen_content;
	u64 nr_operation_images;
};

/* The hook has no place for it. */
static struct crash *crash;

static u64 nr_operations, nr_points, nr_complete, nr_images, nr_losses;

static bool same_state(const struct repl_meta_state *a, const struct repl_meta_state *b)
{
	return a->epoch == b->epoch && a->stage == b->stage && a->error == b->error;
}

/*
 * What is on a disk
 */

static void check_lost(const struct content *one, const struct content *other)
{
	const size_t bytes = REPL_META_LOST_ENTRIES * sizeof(u64);
	const struct rig *image = &crash->image;
	u32 i;

	for (i = 0; i < REPL_META_LOST; i += REPL_META_LOST_ENTRIES)
		check(!memcmp(image->lost + i, one->lost + i, bytes) ||
		      !memcmp(image->lost + i, other->lost + i, bytes),
		      "the list of lost sectors is neither as before nor as after, from %u on",
		      i);
}

static void check_sectors(const struct content *one, const struct content *other)
{
	const struct rig *image = &crash->image;
	u32 i;

	check_lost(one, other);

	for (i = 0; i < image->nr_sectors; i++)
		check(!memcmp(&image->maps[i], &one->maps[i], sizeof(image->maps[i])) ||
		      !memcmp(&image->maps[i], &other->maps[i], sizeof(image->maps[i])),
		      "map sector %u is neither as before nor as after", i);
}

/* It was being formatted, and that is to be done again. */
static void check_format(void)
{
	struct rig *image = &crash->image;
	struct repl_meta_state state = { .epoch = 1, .stage = REPL_RUNNING };

	check(!repl_meta_format(image->meta, &state), "failed");
	rig_reopen(image);
	check(same_state(&image->state, &state) && !image->nr_loaded, "not a new one");
}

/* The image, which is as it is loaded, has what it may have. */
static void check_content(void)
{
	const struct content *before = &crash->before, *after = &crash->after;
	const struct repl_meta_state *state = &crash->image.state;

	if (same_state(&before->state, &after->state) && same_state(state, &after->state))
		check_sectors(before, after);
	else if (same_state(state, &before->state))
		check_sectors(before, before);
	else if (same_state(state, &after->state))
		check_sectors(after, after);
	else
		check(false, "stage %u, epoch %llu, error %u", state->stage, state->epoch,
		      state->error);
}

static void choose(void)
{
	const struct rig *image = &crash->image;

	if (!fake_one_in(++crash->nr_operation_images))
		return;
	memcpy(crash->chosen, image->disk->data, image->disk->sectors * DISK_SECTOR);
	crash->chosen_content.state = image->state;
	memcpy(crash->chosen_content.maps, image->maps, sizeof(image->maps));
	memcpy(crash->chosen_content.lost, image->lost, sizeof(image->lost));
}

/* The image's disk has been made. */
static void try_image(void)
{
	struct rig *image = &crash->image;

	nr_images++;
	check(!rig_open(image), "%s", image->why);
	if (image->state.stage == REPL_NONE)
		memset(image->maps, 0, sizeof(image->maps));
	else
		check(!rig_load(image), "%s", image->why);
	check(!image->disk->nr_writes, "something was written");
	check_content();
	choose();
	if (image->state.stage == REPL_NONE && fake_one_in(16))
		check_format();
	rig_close(image);
}

/*
 * Losing power
 */

/* Whether it makes a difference if a write is lost. */
static bool effective(const struct block_device *disk, unsigned int nr)
{
	const struct disk_write *write = &disk->pending[nr];
	unsigned int i;

	for (i = 0; i < disk->nr_pending; i++) {
		if (i != nr && disk->pending[i].sector == write->sector)
			return true;
	}
	return memcmp(disk->durable + write->sector * DISK_SECTOR, write->data, DISK_SECTOR);
}

static void begin_image(const struct block_device *disk)
{
	memcpy(crash->image.disk->data, disk->durable, disk->sectors * DISK_SECTOR);
	disk_settle(crash->image.disk);
}

static void apply(const struct disk_write *write)
{
	memcpy(crash->image.disk->data + write->sector * DISK_SECTOR, write->data, DISK_SECTOR);
}

static void try_all(const struct block_device *disk, const unsigned int *writes, unsigned int n)
{
	unsigned int subset, i;

	for (subset = 0; subset < 1U << n; subset++) {
		begin_image(disk);
		for (i = 0; i < n; i++) {
			if (subset >> i & 1)
				apply(&disk->pending[writes[i]]);
		}
		apply(&disk->pending[writes[n]]);
		try_image();
	}
}

static void try_some(const struct block_device *disk, const unsigned int *writes, unsigned int n)
{
	unsigned int round, i, percent;

	for (round = 0; round < SOME_SUBSETS; round++) {
		percent = fake_one_in(2) ? 50 : fake_below(101);
		begin_image(disk);
		for (i = 0; i < n; i++) {
			if (fake_below(100) < percent)
				apply(&disk->pending[writes[i]]);
		}
		apply(&disk->pending[writes[n]]);
		try_image();
	}
}

/*
 * After each write and flush. The subsets without the last write were tried when it had
 * not been sent yet; and a flush leaves what was one of them.
 */
static void lose_power(struct block_device *disk)
{
	unsigned int writes[MAX_WRITES], i, n = 0;

	nr_points++;
	if (!disk->nr_pending) {
		begin_image(disk);
		try_image();
		return;
	}
	if (!effective(disk, disk->nr_pending - 1))
		return;
	for (i = 0; i < disk->nr_pending; i++) {
		check(n < MAX_WRITES, "more writes than that");
		if (effective(disk, i))
			writes[n++] = i;
	}
	if (n <= ALL_SUBSETS) {
		nr_complete++;
		try_all(disk, writes, n - 1);
	} else {
		try_some(disk, writes, n - 1);
	}
}

/*
 * Operations
 */

/* @crash->after says what is to be done. */
static void begin(void)
{
	nr_operations++;
	crash->nr_operation_images = 0;
	crash->rig.disk->hook = lose_power;
}

/* Power was lost in the middle of it; that was then. */
static void go_on_with_chosen(void)
{
	struct rig *rig = &crash->rig;

	nr_losses++;
	rig_close(rig);
	memcpy(rig->disk->data, crash->chosen, rig->disk->sectors * DISK_SECTOR);
	disk_settle(rig->disk);
	crash->before = crash->chosen_content;
	check(!rig_open(rig), "%s", rig->why);
	if (rig->state.stage != REPL_NONE)
		check(!rig_load(rig), "%s", rig->why);
}

/* It is done, and durable. */
static void end(int r)
{
	struct rig *rig = &crash->rig;

	check(!r, "%d", r);
	rig->disk->hook = NULL;
	if (crash->nr_operation_images && fake_one_in(5)) {
		go_on_with_chosen();
	} else {
		crash->before = crash->after;
		check(!rig->disk->nr_pending, "something is still pending");
		begin_image(rig->disk);
		try_image();
	}
	crash->after = crash->before;
}

/* The groups are not committed, but the device is closed. */
static void abandon(void)
{
	struct rig *rig = &crash->rig;

	rig_close(rig);
	rig->disk->hook = NULL;
	memcpy(crash->image.disk->data, rig->disk->data, rig->disk->sectors * DISK_SECTOR);
	try_image();
	disk_settle(rig->disk);
	rig_reopen(rig);
	memcpy(crash->before.maps, rig->maps, sizeof(rig->maps));
	crash->after = crash->before;
}

static void commit(void)
{
	if (fake_one_in(12))
		abandon();
	else
		end(repl_meta_commit(crash->rig.meta));
}

static void format(void)
{
	crash->after.state = (struct repl_meta_state){ 1, REPL_RUNNING, REPL_NO_ERROR };
	memset(crash->after.maps, 0, sizeof(crash->after.maps));
	begin();
	end(repl_meta_format(crash->rig.meta, &crash->after.state));
}

/* Maps and lists of another epoch are empty. */
static void set_state(enum repl_stage stage, u64 epoch)
{
	crash->after.state.stage = stage;
	if (fake_one_in(4))
		crash->after.state.error = fake_below(REPL_NR_ERRORS);
	if (epoch != crash->before.state.epoch) {
		memset(crash->after.maps, 0, sizeof(crash->after.maps));
		memset(crash->after.lost, 0, sizeof(crash->after.lost));
	}
	crash->after.state.epoch = epoch;
	begin();
	end(repl_meta_set_state(crash->rig.meta, &crash->after.state));
}

/* Chunks that the primary writes for the first time, in order. */
static void add_hidden(void)
{
	struct rig *rig = &crash->rig;
	u64 step = 1 + fake_below(fake_one_in(3) ? 100 : rig->nr_chunks), first, end, chunk;
	int r;

	begin();
	for (first = fake_below(step); first < rig->nr_chunks; first = end + fake_below(step)) {
		end = min(first + 1 + fake_below(fake_one_in(8) ? 2100 : 9), rig->nr_chunks);
		for (chunk = first; chunk < end; chunk++)
			rig_set(crash->after.maps[chunk / REPL_META_CHUNKS].hidden,
				chunk % REPL_META_CHUNKS);
		r = repl_meta_add_hidden(rig->meta, first, end);
		check(!r, "%d", r);
	}
	commit();
}

/* The view's writes; and in a merge, what has been merged is in neither store. */
static void change_maps(struct repl_meta_maps *maps, u32 sector, bool merging)
{
	struct repl_meta_maps random;
	unsigned int i;

	rig_random_maps(&crash->rig, sector, &random);
	for (i = 0; i < REPL_META_WORDS; i++) {
		maps->active[i] |= random.active[i];
		if (merging) {
			__le64 kept = cpu_to_le64(fake_random());

			maps->active[i] &= kept;
			maps->hidden[i] &= kept;
		}
	}
}

static void replace(bool merging)
{
	struct rig *rig = &crash->rig;
	u32 step = 1 + fake_below(fake_one_in(2) ? 2 : 12), sector;
	struct repl_meta_maps maps;
	int r;

	begin();
	for (sector = fake_below(step); sector < rig->nr_sectors; sector += 1 + fake_below(step)) {
		change_maps(&crash->after.maps[sector], sector, merging);
		maps = crash->after.maps[sector];
		/* What is not to be taken over is not looked at. */
		if (!merging)
			maps.hidden[fake_below(REPL_META_WORDS)] ^= fake_random();
		r = repl_meta_replace(rig->meta, sector, &maps, merging);
		check(!r, "%d", r);
	}
	commit();
}

/* Sectors that nobody can read, and others that were written again. */
static void set_lost(void)
{
	struct rig *rig = &crash->rig;
	unsigned int i;

	check(!memcmp(repl_meta_lost(rig->meta), crash->before.lost, sizeof(crash->before.lost)),
	      "another list than the one on the disk");
	rig_random_lost(crash->after.lost);
	for (i = 0; i < REPL_META_LOST; i++) {
		if (fake_one_in(2))
			crash->after.lost[i] |= crash->before.lost[i];
	}
	begin();
	end(repl_meta_set_lost(rig->meta, crash->after.lost));
}

static void operate(void)
{
	const struct repl_meta_state *state = &crash->before.state;
	unsigned int dice = fake_below(20);

	if (dice == 0) {
		rig_reopen(&crash->rig);
	} else if (dice >= 16) {
		set_lost();
	} else if (state->stage == REPL_RUNNING) {
		if (dice <= 7)
			add_hidden();
		else if (dice <= 11)
			replace(false);
		else if (dice <= 14)
			set_state(REPL_RUNNING, state->epoch + 1);
		else
			set_state(REPL_FAILOVER, state->epoch);
	} else if (dice <= 10) {
		replace(true);
	} else if (dice <= 13) {
		set_state(state->stage ^ REPL_FAILOVER ^ REPL_FAILOVER_FAILED, state->epoch);
	} else {
		set_state(REPL_DONE, state->epoch + fake_below(2));
	}
}

static void one_round(void)
{
	static const u32 sectors[] = { 1, 9, 20 };
	u64 nr_chunks = sectors[fake_below(3)] * REPL_META_CHUNKS - fake_below(REPL_META_CHUNKS);
	unsigned int n;

	crash = fake_alloc(sizeof(*crash));
	rig_create(&crash->rig, nr_chunks * 8, 8, true);
	rig_create(&crash->image, nr_chunks * 8, 8, true);
	crash->chosen = fake_alloc(crash->rig.disk->sectors * DISK_SECTOR);
	disk_fill_random(crash->rig.disk, RIG_FIRST);
	check(!rig_open(&crash->rig), "%s", crash->rig.why);
	while (crash->before.state.stage == REPL_NONE)
		format();
	for (n = 0; n < 20 && crash->before.state.stage != REPL_DONE; n++)
		operate();
	rig_destroy(&crash->rig);
	rig_destroy(&crash->image);
	kfree(crash->chosen);
	kfree(crash);
	check(!fake_allocated(), "%u pieces of memory have leaked", fake_allocated());
}

int main(int argc, char **argv)
{
	unsigned long seed, rounds, round;
	time_t deadline;

	if (argc != 4) {
		fprintf(stderr, "Usage: crash SEED ROUNDS SECONDS\n");
		return 2;
	}
	seed = strtoul(argv[1], NULL, 0);
	rounds = strtoul(argv[2], NULL, 0);
	deadline = time(NULL) + strtoul(argv[3], NULL, 0);
	/* What it aborts in is the last line. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (round = 0; round < rounds && time(NULL) < deadline; round++) {
		printf("round: crash %lu 1 100\n", seed + round);
		fake_seed(seed + round);
		one_round();
	}
	printf("%lu rounds, %llu operations, %llu points (%llu with all subsets), %llu disks, %llu losses\n",
	       round, nr_operations, nr_points, nr_complete, nr_images, nr_losses);
	return 0;
}
