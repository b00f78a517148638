// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty-region log: the metadata device has which regions are clean, that is equal
 * and durable on both legs. A region stops being clean there, durably, before it is
 * written to; it becomes clean again lazily.
 *
 * The format is that of the secondary's metadata (metadata.c), with a bit of "active"
 * set for a clean region. So a new device, which has none, means a full resync, and so
 * does an increment of the epoch: one write.
 *
 * Why not dm-dirty-log: its "disk" log takes any device that is not its own for a new
 * one, and overwrites it; it has no checksums; it writes the whole bitmap, 128 KiB for
 * a TiB of 1 MiB regions, to mark one region; and it has no place for the stage, so
 * that a primary that was stopped would be taken for one in sync.
 */
#include <linux/blkdev.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "metadata.h"
#include "primary.h"

struct repl_log {
	struct repl_pair *p;
	struct work_struct work;
	struct bio_list waiting;	/* p->lock */
	unsigned long *stale;		/* p->lock; map sectors that are not as on the device */
	u32 nr_sectors;
	bool failed;			/* written under lock, read anywhere */

	struct mutex lock;		/* what follows; inside admin, outside p->lock */
	struct repl_meta *meta;
	struct repl_meta_state state;	/* as it is on the device */
};

/*
 * Commits
 */

/* Which regions of a map sector are clean, at this moment. */
static void clean_maps(struct repl_pair *p, u32 sector, struct repl_meta_maps *maps)
{
	u32 region = sector * REPL_META_CHUNKS;
	u32 end = min(region + REPL_META_CHUNKS, p->nr_regions);
	u32 bit;

	memset(maps, 0, sizeof(*maps));
	for (bit = 0; region < end; region++, bit++)
		if (!test_bit(region, p->written))
			maps->active[bit / 64] |= cpu_to_le64(BIT_ULL(bit % 64));
}

static void log_fail(struct repl_log *log)
{
	struct repl_pair *p = log->p;
	unsigned long flags;

	if (log->failed)
		return;
	DMERR("%s: the metadata device has failed; writes to other regions fail from now on",
	      dm_device_name(p->md));
	WRITE_ONCE(log->failed, true);
	spin_lock_irqsave(&p->lock, flags);
	repl_pair_error(p, REPL_METADATA_IO);
	spin_unlock_irqrestore(&p->lock, flags);
}

/* log->lock held. 0 or -EIO. */
static int commit(struct repl_log *log)
{
	struct repl_pair *p = log->p;
	struct repl_meta_maps maps;
	bool any = false;
	u32 sector = 0;
	int r = 0;

	if (log->failed)
		return -EIO;
	for (; !r; sector++) {
		spin_lock_irq(&p->lock);
		sector = find_next_bit(log->stale, log->nr_sectors, sector);
		if (sector < log->nr_sectors) {
			__clear_bit(sector, log->stale);
			clean_maps(p, sector, &maps);
		}
		spin_unlock_irq(&p->lock);
		if (sector >= log->nr_sectors)
			break;
		any = true;
		r = repl_meta_replace(log->meta, sector, &maps, false);
	}
	if (any && !r)
		r = repl_meta_commit(log->meta);
	if (r)
		log_fail(log);
	return r ? -EIO : 0;
}

static int write_state(struct repl_log *log, const struct repl_meta_state *state)
{
	int r = log->failed ? -EIO : 0;

	if (!r && log->state.stage == REPL_NONE)
		r = repl_meta_format(log->meta, state);
	else if (!r)
		r = repl_meta_set_state(log->meta, state);
	if (r) {
		log_fail(log);
		return -EIO;
	}
	log->state = *state;
	return 0;
}

static void write_error(struct repl_log *log)
{
	struct repl_meta_state state = log->state;

	state.error = READ_ONCE(log->p->error);
	if (!log->failed && state.stage != REPL_NONE && state.error != log->state.error)
		write_state(log, &state);
}

static void note_logged(struct repl_pair *p, struct bio_list *bios)
{
	struct bio *bio;

	bio_list_for_each(bio, bios) {
		struct repl_primary_io *io = repl_primary_io(bio);

		bitmap_set(p->logged, io->first, io->last - io->first + 1);
	}
}

static void log_work(struct work_struct *work)
{
	struct repl_log *log = container_of(work, struct repl_log, work);
	struct repl_pair *p = log->p;
	struct bio_list bios;
	struct bio *bio;
	int r;

	mutex_lock(&log->lock);
	spin_lock_irq(&p->lock);
	bios = log->waiting;
	bio_list_init(&log->waiting);
	spin_unlock_irq(&p->lock);

	r = commit(log);
	write_error(log);
	if (!r) {
		spin_lock_irq(&p->lock);
		note_logged(p, &bios);
		bio_list_merge(&p->runnable, &bios);
		bio_list_init(&bios);
		spin_unlock_irq(&p->lock);
		queue_work(p->wq, &p->run_work);
	}
	mutex_unlock(&log->lock);

	while ((bio = bio_list_pop(&bios)))
		bio_io_error(bio);
}

/**
 * repl_log_wait - let a bio wait until the device has its regions, then route it again
 * @p: the pair, with metadata
 * @bio: the bio, counted in its regions
 *
 * Context: any; p->lock held.
 */
void repl_log_wait(struct repl_pair *p, struct bio *bio)
{
	lockdep_assert_held(&p->lock);
	bio_list_add(&p->log->waiting, bio);
	queue_work(p->wq, &p->log->work);
}

/**
 * repl_log_stale - the device is not right about a region any more
 * @p: the pair, with metadata
 * @region: the region
 *
 * Context: any; p->lock held.
 */
void repl_log_stale(struct repl_pair *p, u32 region)
{
	lockdep_assert_held(&p->lock);
	__set_bit(region / REPL_META_CHUNKS, p->log->stale);
}

/**
 * repl_log_reset - the device has no clean region
 * @p: the pair, with metadata
 * @clean: although all of them are
 *
 * Context: any; p->lock held.
 */
void repl_log_reset(struct repl_pair *p, bool clean)
{
	lockdep_assert_held(&p->lock);
	if (clean) {
		bitmap_zero(p->logged, p->nr_regions);
		bitmap_fill(p->log->stale, p->log->nr_sectors);
	} else {
		bitmap_fill(p->logged, p->nr_regions);
		bitmap_zero(p->log->stale, p->log->nr_sectors);
	}
}

/**
 * repl_log_error - have a new p->error recorded, some time
 * @p: the pair
 *
 * Context: any.
 */
void repl_log_error(struct repl_pair *p)
{
	if (p->log)
		queue_work(p->wq, &p->log->work);
}

/**
 * repl_log_sync - have the device say what is so now
 * @p: the pair
 *
 * Context: may sleep.
 * Return: 0 or -EIO.
 */
int repl_log_sync(struct repl_pair *p)
{
	struct repl_log *log = p->log;
	int r;

	if (!log || log->state.stage == REPL_NONE)
		return 0;
	mutex_lock(&log->lock);
	r = commit(log);
	write_error(log);
	mutex_unlock(&log->lock);
	return r;
}

/*
 * The superblock
 */

static int change_state(struct repl_pair *p, enum repl_stage stage, u64 epoch)
{
	struct repl_log *log = p->log;
	struct repl_meta_state state = { epoch, stage, READ_ONCE(p->error) };
	int r;

	mutex_lock(&log->lock);
	r = write_state(log, &state);
	mutex_unlock(&log->lock);
	return r;
}

/**
 * repl_log_stage - make a change of stage durable, before it takes effect
 * @p: the pair
 * @stage: the new stage
 *
 * A device that is new is formatted; then no region is clean there.
 *
 * Context: may sleep; p->admin held.
 * Return: 0 or -EIO.
 */
int repl_log_stage(struct repl_pair *p, enum repl_stage stage)
{
	return p->log ? change_state(p, stage, max_t(u64, 1, p->log->state.epoch)) : 0;
}

/**
 * repl_log_forget - no region is clean any more, durably
 * @p: the pair, of which no I/O is under way
 *
 * Context: may sleep.
 * Return: 0 or -EIO.
 */
int repl_log_forget(struct repl_pair *p)
{
	if (!p->log)
		return 0;
	return change_state(p, p->log->state.stage, p->log->state.epoch + 1);
}

/**
 * repl_log_failed - has the metadata device failed?
 * @p: the pair
 *
 * Context: any.
 */
bool repl_log_failed(struct repl_pair *p)
{
	return p->log && READ_ONCE(p->log->failed);
}

/**
 * repl_log_mode - the word of the status line
 * @p: the pair
 *
 * Context: any.
 */
const char *repl_log_mode(struct repl_pair *p)
{
	if (!p->log)
		return "-";
	return repl_log_failed(p) ? "fail" : "rw";
}

/*
 * Coming and going
 */

static void load_maps(void *context, u32 sector, const struct repl_meta_maps *maps)
{
	struct repl_pair *p = context;
	u32 region = sector * REPL_META_CHUNKS;
	u32 end = min(region + REPL_META_CHUNKS, p->nr_regions);
	u32 bit;

	for (bit = 0; region < end; region++, bit++)
		if (le64_to_cpu(maps->active[bit / 64]) & BIT_ULL(bit % 64))
			__clear_bit(region, p->written);
}

/* What has been written since it was last known to be equal may differ now. */
static int load(struct repl_log *log, char *why, size_t len)
{
	struct repl_pair *p = log->p;
	int r = 0;

	p->stage = log->state.stage;
	p->error = log->state.error;
	p->latest = p->error;
	p->errors = p->error == REPL_NO_ERROR ? 0 : BIT(p->error);
	p->local_stays = p->error == REPL_LOCAL_IO;	/* what it was nobody knows */
	if (p->stage == REPL_NONE)
		return 0;
	bitmap_fill(p->written, p->nr_regions);
	if (p->stage == REPL_RUNNING)
		r = repl_meta_load(log->meta, load_maps, p, why, len);
	bitmap_copy(p->logged, p->written, p->nr_regions);
	spin_lock_irq(&p->lock);
	repl_regions_dirty_written(p);
	spin_unlock_irq(&p->lock);
	return r;
}

/**
 * repl_log_create - open a metadata device, and take over what it has
 * @p: the pair, with a metadata device
 * @name: the dm UUID of the primary
 * @why: gets a sentence if it fails
 * @len: the size of @why
 *
 * Writes nothing.
 *
 * Context: may sleep.
 * Return: 0 or a negative errno; then repl_log_destroy() is to be called nevertheless.
 */
int repl_log_create(struct repl_pair *p, const char *name, char *why, size_t len)
{
	struct repl_meta_geometry geometry = {
		.kind = REPL_META_PRIMARY,
		.len = p->len,
		.chunk_sectors = p->region_sectors,
		.view = name,
	};
	struct repl_log *log = kzalloc(sizeof(*log), GFP_KERNEL);
	int r;

	snprintf(why, len, "out of memory");
	if (!log)
		return -ENOMEM;
	p->log = log;
	log->p = p;
	mutex_init(&log->lock);
	INIT_WORK(&log->work, log_work);
	bio_list_init(&log->waiting);
	log->nr_sectors = DIV_ROUND_UP(p->nr_regions, REPL_META_CHUNKS);
	log->stale = kvcalloc(BITS_TO_LONGS(log->nr_sectors), sizeof(long), GFP_KERNEL);
	if (!log->stale)
		return -ENOMEM;
	r = repl_meta_open(p->metadata, bdev_nr_sectors(p->metadata), &geometry, &log->meta,
			   &log->state, why, len);
	return r ?: load(log, why, len);
}

/**
 * repl_log_destroy - free what repl_log_create() made
 * @p: the pair, of which nobody waits for anything
 *
 * Context: may sleep.
 */
void repl_log_destroy(struct repl_pair *p)
{
	struct repl_log *log = p->log;

	if (!log)
		return;
	flush_work(&log->work);
	if (log->meta)
		repl_meta_close(log->meta);
	kvfree(log->stale);
	kfree(log);
	p->log = NULL;
}
