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
#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "metadata.h"
#include "primary.h"

#define MAX_TELL_SECONDS	64U
#define ANSWER_SECONDS		5U	/* all I/O of the primary stands still meanwhile */

/* What the device is to the pair. The last two are an operator's word. */
enum log_mode {
	LOG_RW,
	LOG_FAIL,			/* writes to regions that it may call clean fail */
	LOG_ABANDONED,			/* nothing waits for it, and it may call anything clean */
	LOG_OFF,			/* nothing waits for it, and it calls nothing clean */
};

/*
 * A metadata device. A pair uses the one of the table that was resumed last. While that
 * works no table may have another; when it has failed the next table's takes its place.
 */
struct repl_log {
	struct repl_pair *p;		/* constant */
	dev_t nr;			/* constant */
	struct work_struct work;
	struct delayed_work tell_work;
	struct work_struct ask_work;	/* queued by who has p->admin */
	struct completion answered;	/* of ask_work; done if it is not under way */
	struct page *page;		/* ask_work's; constant */
	struct list_head list;		/* p->tables_lock; p->logs */
	unsigned int nr_tables;		/* p->tables_lock; that have it */
	unsigned int nr_puts;		/* p->tables_lock; repl_log_put() is at work */

	enum log_mode mode;		/* p->lock, up to the next lock */
	u8 uuid[REPL_META_UUID_BYTES];	/* changed under lock too */
	struct bio_list waiting;	/* for a commit */
	struct bio_list committing;	/* for the one that is under way */
	unsigned long *stale;		/* map sectors that are not as on the device */
	u32 nr_sectors;			/* constant */

	struct mutex lock;		/* what follows; inside admin, outside p->lock */
	struct block_device *bdev;	/* NULL: no table has it any more; ask_work reads it */
	struct repl_meta *meta;		/* NULL: no table has it; made by repl_log_open() */
	struct repl_meta_state state;	/* as it is on the device */
	bool distrusted;		/* what it says is too old, till the next commit */
	unsigned int tell_seconds;	/* till the next attempt */
};

static enum log_mode mode_of(struct repl_log *log)
{
	return READ_ONCE(log->mode);
}

/* p->lock held. */
static void set_mode(struct repl_log *log, enum log_mode mode)
{
	struct repl_pair *p = log->p;

	lockdep_assert_held(&p->lock);
	WRITE_ONCE(log->mode, mode);
	if (p->log != log)
		return;
	WRITE_ONCE(p->logging, mode == LOG_RW || mode == LOG_FAIL);
	schedule_work(&p->event_work);
}

/*
 * Opening
 */

/* log->lock held, or nobody else has it. */
static void close_meta(struct repl_log *log)
{
	if (log->meta)
		repl_meta_close(log->meta);
	log->meta = NULL;
}

/*
 * What the device has now, in @state, and not what is cached of it. log->lock held, or
 * nobody else has it. 0, or a negative errno with a sentence in @why.
 *
 * The first time is when its table is made. A suspended pair must not wait for memory that
 * is to be freed by a write to it, as the opening may.
 */
static int read_meta(struct repl_log *log, struct repl_meta_state *state, char *why, size_t len)
{
	struct repl_pair *p = log->p;
	char name[DM_UUID_LEN] = "";
	struct repl_meta_geometry geometry = {
		.kind = REPL_META_PRIMARY,
		.len = p->len,
		.chunk_sectors = p->region_sectors,
		.view = name,
	};

	if (!log->bdev) {
		snprintf(why, len, "no table has it any more");
		return -ENODEV;
	}
	dm_copy_name_and_uuid(p->md, NULL, name);
	if (log->meta)
		return repl_meta_reopen(log->meta, &geometry, state, why, len);
	return repl_meta_open(log->bdev, bdev_nr_sectors(log->bdev), &geometry, &log->meta,
			      state, why, len);
}

/* Lock it, unless somebody has it for longer, who waits for a device that does not answer. */
static bool lock_for_a_second(struct repl_log *log)
{
	unsigned int tries = 20;

	while (!mutex_trylock(&log->lock)) {
		if (!--tries)
			return false;
		msleep(50);
	}
	return true;
}

static bool has_uuid(struct repl_log *log)
{
	return !memcmp(repl_meta_uuid(log->meta), log->uuid, sizeof(log->uuid));
}

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
	bool failed;

	spin_lock_irq(&p->lock);
	failed = log->mode == LOG_RW && p->log == log;
	if (failed) {
		set_mode(log, LOG_FAIL);
		repl_pair_error(p, REPL_METADATA_IO);
	}
	spin_unlock_irq(&p->lock);
	if (failed)
		DMERR("%s: metadata device %u:%u has failed%s", dm_device_name(p->md),
		      MAJOR(log->nr), MINOR(log->nr),
		      ": writes to regions that it calls clean fail; reload the table with another one, or send abandon_metadata");
}

/* The device is not too old any more. log->lock held. */
static void trust(struct repl_log *log)
{
	if (log->distrusted)
		DMINFO("%s: metadata device %u:%u is up to date", dm_device_name(log->p->md),
		       MAJOR(log->nr), MINOR(log->nr));
	log->distrusted = false;
	repl_stale_del(log->uuid);
}

/* Write the maps that are not as on the device. log->lock held. 0 or a negative errno. */
static int write_maps(struct repl_log *log)
{
	struct repl_pair *p = log->p;
	struct repl_meta_maps maps;
	bool any = false;
	u32 sector = 0;
	int r = 0;

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
	return r;
}

/* log->lock held. 0 or -EIO. */
static int commit(struct repl_log *log)
{
	if (mode_of(log) != LOG_RW || !log->meta)
		return -EIO;
	/* There are no maps yet. */
	if (log->state.stage == REPL_NONE)
		return 0;
	if (write_maps(log)) {
		log_fail(log);
		return -EIO;
	}
	/* Else it has been abandoned meanwhile, and may call clean what is not. */
	if (log->distrusted && mode_of(log) == LOG_RW)
		trust(log);
	return 0;
}

/* log->lock held. 0 or -EIO. */
static int write_state(struct repl_log *log, const struct repl_meta_state *state)
{
	int r = 0;

	if (mode_of(log) == LOG_FAIL || mode_of(log) == LOG_ABANDONED || !log->meta)
		return -EIO;
	if (log->state.stage == REPL_NONE)
		r = repl_meta_format(log->meta, state);
	else
		r = repl_meta_set_state(log->meta, state);
	if (r) {
		log_fail(log);
		return -EIO;
	}
	log->state = *state;
	spin_lock_irq(&log->p->lock);
	memcpy(log->uuid, repl_meta_uuid(log->meta), sizeof(log->uuid));
	spin_unlock_irq(&log->p->lock);
	return 0;
}

static void write_error(struct repl_log *log)
{
	struct repl_meta_state state = log->state;

	state.error = READ_ONCE(log->p->error);
	if (mode_of(log) == LOG_RW && state.stage != REPL_NONE &&
	    state.error != log->state.error)
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
	bool idle;
	int r;

	/* Whoever tries the lock is not to think that the device does not answer. */
	spin_lock_irq(&p->lock);
	idle = log->mode != LOG_RW && bio_list_empty(&log->waiting);
	spin_unlock_irq(&p->lock);
	if (idle)
		return;
	mutex_lock(&log->lock);
	spin_lock_irq(&p->lock);
	log->committing = log->waiting;
	bio_list_init(&log->waiting);
	spin_unlock_irq(&p->lock);

	r = commit(log);
	write_error(log);
	spin_lock_irq(&p->lock);
	/* None any more, if they have been let go meanwhile. */
	bios = log->committing;
	bio_list_init(&log->committing);
	if (!r) {
		note_logged(p, &bios);
		bio_list_merge(&p->runnable, &bios);
		bio_list_init(&bios);
		queue_work(p->wq, &p->run_work);
	}
	spin_unlock_irq(&p->lock);
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
 * repl_log_kick - have recorded what is new, regions or p->error, some time
 * @p: the pair
 *
 * Context: any; p->lock held.
 */
void repl_log_kick(struct repl_pair *p)
{
	lockdep_assert_held(&p->lock);
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

	if (!log || !READ_ONCE(p->logging))
		return 0;
	/* It may not even answer. */
	if (mode_of(log) == LOG_FAIL)
		return -EIO;
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

	/* It may not even answer. */
	if (mode_of(log) == LOG_FAIL || mode_of(log) == LOG_ABANDONED)
		return -EIO;
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
 * If the device cannot be told, this module remembers it, as long as it is loaded. An operator
 * who went on without the device knows that already.
 *
 * Context: may sleep; p->admin held.
 * Return: 0 or -EIO.
 */
int repl_log_forget(struct repl_pair *p)
{
	struct repl_log *log = p->log;
	int r;

	if (!log || !READ_ONCE(p->logging))
		return 0;
	r = change_state(p, log->state.stage, log->state.epoch + 1);
	/* A device that was never formatted has no region that is clean. */
	if (r && log->state.stage != REPL_NONE)
		repl_stale_add(log->uuid, REPL_RUNNING);
	return r;
}

/**
 * repl_log_failed - has the metadata device failed, and does somebody wait for it?
 * @p: the pair, of which no table is being resumed
 *
 * Context: any.
 */
bool repl_log_failed(struct repl_pair *p)
{
	return p->log && mode_of(p->log) == LOG_FAIL;
}

/**
 * repl_log_mode - the word of the status line
 * @p: the pair
 *
 * Context: any; p->lock not held.
 */
const char *repl_log_mode(struct repl_pair *p)
{
	static const char * const names[] = {
		[LOG_RW]	= "rw",
		[LOG_FAIL]	= "fail",
		[LOG_ABANDONED]	= "abandoned",
		[LOG_OFF]	= "off",
	};
	const char *name;

	/* Else a resume may replace it meanwhile. */
	spin_lock_irq(&p->lock);
	name = p->log ? names[p->log->mode] : "-";
	spin_unlock_irq(&p->lock);
	return name;
}

/*
 * Going on without it
 */

/*
 * Have the device say that no region is clean, for what it says is not kept any more. Only
 * if it is still the one that it was. @idle: not if the pair is suspended. log->lock held.
 * True: it does.
 */
static bool tell(struct repl_log *log, bool idle)
{
	struct repl_meta_state state;
	char why[192];

	if (read_meta(log, &state, why, sizeof(why)) || state.stage == REPL_NONE ||
	    !has_uuid(log))
		return false;
	/* The read may have taken long. */
	if (idle && READ_ONCE(log->p->suspended))
		return false;
	/* The latest may have been written, or not. */
	state.epoch = max(state.epoch, log->state.epoch) + 1;
	if (repl_meta_set_state(log->meta, &state))
		return false;
	log->state = state;
	trust(log);
	DMINFO("%s: metadata device %u:%u calls no region clean any more",
	       dm_device_name(log->p->md), MAJOR(log->nr), MINOR(log->nr));
	return true;
}

/* The same. True: there is nothing left to do. */
static bool tell_abandoned(struct repl_log *log, bool idle)
{
	struct repl_pair *p = log->p;

	if (mode_of(log) != LOG_ABANDONED)
		return true;
	if (!tell(log, idle))
		return false;
	spin_lock_irq(&p->lock);
	set_mode(log, LOG_OFF);
	spin_unlock_irq(&p->lock);
	return true;
}

static void tell_work(struct work_struct *work)
{
	struct repl_log *log = container_of(to_delayed_work(work), struct repl_log, tell_work);
	struct repl_pair *p = log->p;

	mutex_lock(&log->lock);
	/* If it is suspended its resume has it done. */
	if (!READ_ONCE(p->suspended) && !tell_abandoned(log, true)) {
		queue_delayed_work(p->idle_wq, &log->tell_work, log->tell_seconds * HZ);
		log->tell_seconds = min(2 * log->tell_seconds, MAX_TELL_SECONDS);
	}
	mutex_unlock(&log->lock);
}

/**
 * repl_log_end - have nothing done of our own accord while the pair is suspended
 * @p: the pair, which is being suspended
 *
 * Of a write that is under way to a device which does not answer, the end is not waited for.
 *
 * Context: may sleep, but no more than a second for a device that was abandoned.
 */
void repl_log_end(struct repl_pair *p)
{
	struct repl_log *log = p->log;

	if (!log || mode_of(log) != LOG_ABANDONED)
		return;
	cancel_delayed_work(&log->tell_work);
	/* It looks for a suspend when it has the lock. */
	if (lock_for_a_second(log))
		mutex_unlock(&log->lock);
}

/**
 * repl_log_begin - have done what could not be while the pair was suspended
 * @p: the pair, which is being resumed
 *
 * Context: may sleep.
 */
void repl_log_begin(struct repl_pair *p)
{
	spin_lock_irq(&p->lock);
	if (p->log && p->log->mode == LOG_ABANDONED)
		mod_delayed_work(p->idle_wq, &p->log->tell_work, 0);
	else
		repl_log_kick(p);
	spin_unlock_irq(&p->lock);
}

/**
 * repl_log_abandon - go on without the metadata device, whatever it does
 * @p: the pair
 *
 * Who waits for the device goes on at once. At the next start everything is dirty: the
 * device is told so, as soon as it can be written; and till then this module remembers it.
 *
 * Context: may sleep, but not for the device.
 * Return: 0; -EINVAL if the pair is not running; -ENODEV if there is no such device.
 */
int repl_log_abandon(struct repl_pair *p)
{
	u8 uuid[REPL_META_UUID_BYTES];	/* changed under lock too */
	struct repl_log *log;
	int r = 0;

	spin_lock_irq(&p->lock);
	log = p->log;
	if (p->stage != REPL_RUNNING)
		r = -EINVAL;
	else if (!log)
		r = -ENODEV;
	if (r || !p->logging) {
		spin_unlock_irq(&p->lock);
		return r;
	}
	memcpy(uuid, log->uuid, sizeof(uuid));
	set_mode(log, LOG_ABANDONED);
	repl_pair_error(p, REPL_METADATA_IO);
	bio_list_merge(&p->runnable, &log->committing);
	bio_list_init(&log->committing);
	bio_list_merge(&p->runnable, &log->waiting);
	bio_list_init(&log->waiting);
	queue_work(p->wq, &p->run_work);
	mod_delayed_work(p->idle_wq, &log->tell_work, 0);
	DMWARN("%s: metadata device %u:%u is abandoned: everything is copied at the next start",
	       dm_device_name(p->md), MAJOR(log->nr), MINOR(log->nr));
	spin_unlock_irq(&p->lock);
	/* The device cannot be used again before the message has ended. */
	repl_stale_add(uuid, REPL_RUNNING);
	return 0;
}

/*
 * Whether it answers
 */

/* What comes back does not matter. Such a read and a flush are the first that others do. */
static void ask_work(struct work_struct *work)
{
	struct repl_log *log = container_of(work, struct repl_log, ask_work);
	struct bio_vec vec;
	struct bio bio;

	bio_init(&bio, log->bdev, &vec, 1, REQ_OP_READ | REQ_META);
	__bio_add_page(&bio, log->page, REPL_META_BLOCK_BYTES, 0);
	submit_bio_wait(&bio);
	blkdev_issue_flush(log->bdev);
	complete_all(&log->answered);
}

/*
 * Does the device do any I/O within a time, be it that it fails it? Another attempt that is
 * still under way says that it does not. p->admin held.
 */
static bool answers(struct repl_log *log)
{
	struct repl_pair *p = log->p;
	bool asked;

	/* repl_log_put() waits for what begins here. */
	mutex_lock(&p->tables_lock);
	asked = log->nr_tables && completion_done(&log->answered);
	if (asked) {
		reinit_completion(&log->answered);
		queue_work(p->idle_wq, &log->ask_work);
	}
	mutex_unlock(&p->tables_lock);
	return asked && wait_for_completion_timeout(&log->answered, ANSWER_SECONDS * HZ);
}

/*
 * Lock it, if the device answers: neither with the lock held by somebody who waits for it, nor
 * with us, may a resume wait for ever. p->admin held.
 */
static bool lock_if_it_answers(struct repl_log *log)
{
	if (!lock_for_a_second(log))
		return false;
	if (answers(log))
		return true;
	mutex_unlock(&log->lock);
	return false;
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
	log->distrusted = repl_stale_stage(log->uuid) != REPL_NONE;
	if (log->distrusted) {
		DMWARN("%s: metadata device %u:%u is out of date: everything is dirty",
		       dm_device_name(p->md), MAJOR(log->nr), MINOR(log->nr));
		/* No write before the device calls none clean. */
		bitmap_fill(log->stale, log->nr_sectors);
	} else if (p->stage == REPL_RUNNING) {
		r = repl_meta_load(log->meta, load_maps, p, why, len);
	}
	if (!log->distrusted)
		bitmap_copy(p->logged, p->written, p->nr_regions);
	spin_lock_irq(&p->lock);
	repl_regions_dirty_written(p);
	spin_unlock_irq(&p->lock);
	return r;
}

/* All that is under way. No other begins, if no table has the device and the pair does not. */
static void wait_for_works(struct repl_log *log)
{
	cancel_delayed_work_sync(&log->tell_work);
	flush_work(&log->work);
	flush_work(&log->ask_work);
}

static void log_free(struct repl_log *log)
{
	wait_for_works(log);
	close_meta(log);
	__free_page(log->page);
	kvfree(log->stale);
	kfree(log);
}

static struct repl_log *log_alloc(struct repl_pair *p, struct block_device *bdev)
{
	struct repl_log *log = kzalloc(sizeof(*log), GFP_KERNEL);

	if (!log)
		return NULL;
	log->p = p;
	log->bdev = bdev;
	log->nr = bdev->bd_dev;
	log->nr_tables = 1;
	log->tell_seconds = 1;
	mutex_init(&log->lock);
	INIT_LIST_HEAD(&log->list);
	INIT_WORK(&log->work, log_work);
	INIT_DELAYED_WORK(&log->tell_work, tell_work);
	INIT_WORK(&log->ask_work, ask_work);
	init_completion(&log->answered);
	complete_all(&log->answered);
	bio_list_init(&log->waiting);
	bio_list_init(&log->committing);
	log->nr_sectors = DIV_ROUND_UP(p->nr_regions, REPL_META_CHUNKS);
	log->stale = kvcalloc(BITS_TO_LONGS(log->nr_sectors), sizeof(long), GFP_KERNEL);
	log->page = alloc_page(GFP_KERNEL);
	if (log->stale && log->page)
		return log;
	if (log->page)
		__free_page(log->page);
	kvfree(log->stale);
	kfree(log);
	return NULL;
}

/* The log of a device that a table has. p->tables_lock held. */
static struct repl_log *find_log(struct repl_pair *p, dev_t nr)
{
	struct repl_log *log;

	list_for_each_entry(log, &p->logs, list)
		if (log->nr == nr && log->nr_tables)
			return log;
	return NULL;
}

/**
 * repl_log_uses - has a table of the pair a device for its metadata?
 * @p: the pair
 * @nr: the device
 *
 * Context: may sleep, but not for a device.
 */
bool repl_log_uses(struct repl_pair *p, dev_t nr)
{
	bool uses;

	mutex_lock(&p->tables_lock);
	uses = find_log(p, nr);
	mutex_unlock(&p->tables_lock);
	return uses;
}

/**
 * repl_log_takes - may the next table of a pair have this metadata device?
 * @p: the pair
 * @nr: the device; 0 for none
 *
 * Another one only if the one that there is does not work.
 *
 * Context: any; p->lock not held.
 */
bool repl_log_takes(struct repl_pair *p, dev_t nr)
{
	bool takes;

	spin_lock_irq(&p->lock);
	if (p->log && nr)
		takes = p->log->nr == nr || p->log->mode != LOG_RW;
	else
		takes = !p->log && !nr;
	spin_unlock_irq(&p->lock);
	return takes;
}

/* Of a new pair, or of one whose metadata device does not work. */
static int open_new(struct repl_log *log, char *why, size_t len)
{
	struct repl_pair *p = log->p;
	int r = read_meta(log, &log->state, why, len);

	if (r)
		return r;
	memcpy(log->uuid, repl_meta_uuid(log->meta), sizeof(log->uuid));
	if (!p->log) {
		p->log = log;
		p->logging = true;
		return load(log, why, len);
	}
	/* The resume looks again. */
	if (log->state.stage == REPL_NONE)
		return 0;
	snprintf(why, len,
		 "it has metadata already, and only a new device can take the place of one that has failed; zero its first 4 KiB");
	return -EINVAL;
}

/**
 * repl_log_get - a table has a metadata device
 * @table: the table, of a pair that takes the device; see repl_log_takes()
 *
 * From now on repl_log_uses() says so. The device is not read; see repl_log_open().
 *
 * Context: may sleep, but not for the device.
 * Return: 0 or -ENOMEM.
 */
int repl_log_get(struct repl_primary *table)
{
	struct block_device *bdev = table->metadata->bdev;
	struct repl_pair *p = table->p;
	struct repl_log *log;

	mutex_lock(&p->tables_lock);
	log = find_log(p, bdev->bd_dev);
	if (log)
		log->nr_tables++;
	mutex_unlock(&p->tables_lock);
	table->log = log;
	if (log)
		return 0;
	log = log_alloc(p, bdev);
	if (!log)
		return -ENOMEM;
	table->log = log;
	mutex_lock(&p->tables_lock);
	list_add(&log->list, &p->logs);
	mutex_unlock(&p->tables_lock);
	return 0;
}

/**
 * repl_log_open - read the metadata device of a table
 * @table: the table
 * @why: gets a sentence if it fails
 * @len: the size of @why
 *
 * If the pair is new it takes over what the device has. Writes nothing.
 *
 * Context: may sleep, for the device; dm makes one table of a pair at a time.
 * Return: 0 or a negative errno.
 */
int repl_log_open(struct repl_primary *table, char *why, size_t len)
{
	/* Else a table before has had it read. */
	if (!table->log || table->log->meta)
		return 0;
	return open_new(table->log, why, len);
}

/* If the pair does not use it any more. @put: repl_log_put() has done its work. */
static void free_unused(struct repl_log *log, bool put)
{
	struct repl_pair *p = log->p;
	bool unused;

	mutex_lock(&p->tables_lock);
	log->nr_puts -= put;
	spin_lock_irq(&p->lock);
	unused = !log->nr_tables && !log->nr_puts && p->log != log;
	spin_unlock_irq(&p->lock);
	if (unused)
		list_del(&log->list);
	mutex_unlock(&p->tables_lock);
	if (unused)
		log_free(log);
}

/**
 * repl_log_put - a table goes
 * @table: the table
 *
 * Context: may sleep, for the device.
 */
void repl_log_put(struct repl_primary *table)
{
	struct repl_log *log = table->log;
	bool last;

	if (!log)
		return;
	table->log = NULL;
	mutex_lock(&log->p->tables_lock);
	last = !--log->nr_tables;
	log->nr_puts += last;
	mutex_unlock(&log->p->tables_lock);
	if (!last)
		return;
	wait_for_works(log);
	mutex_lock(&log->lock);
	tell_abandoned(log, false);
	close_meta(log);
	log->bdev = NULL;
	mutex_unlock(&log->lock);
	free_unused(log, true);
}

/**
 * repl_log_destroy - free the log that no table has
 * @p: the pair
 *
 * Context: may sleep.
 */
void repl_log_destroy(struct repl_pair *p)
{
	if (p->log)
		log_free(p->log);
	p->log = NULL;
}

/*
 * Another device, or the same again, in place of one that has failed
 */

/*
 * What the device has is not kept any more. It is told so now, or never, for it may be the
 * same disk as the next one. p->admin held.
 */
static void leave(struct repl_log *log)
{
	bool told = false;

	if (log->state.stage == REPL_NONE || mode_of(log) == LOG_OFF)
		return;
	repl_stale_add(log->uuid, REPL_RUNNING);
	if (lock_if_it_answers(log)) {
		told = tell(log, false);
		mutex_unlock(&log->lock);
	}
	if (!told)
		DMWARN("%s: metadata device %u:%u %s", dm_device_name(log->p->md), MAJOR(log->nr),
		       MINOR(log->nr),
		       "cannot be told that it is out of date: zero its first 4 KiB before its next use");
}

/*
 * Have the device say what is so now, durably: first that no region is clean, and then
 * which are. log->lock held, no bio is in flight. 0, or a negative errno with a sentence.
 */
static int renew(struct repl_log *log, bool same, char *why, size_t len)
{
	struct repl_meta_state old = log->state, state;
	struct repl_pair *p = log->p;
	int r = read_meta(log, &state, why, len);

	if (r)
		return r;
	if (state.stage != REPL_NONE && !(same && has_uuid(log))) {
		snprintf(why, len,
			 "it is neither new nor the one that has failed; to have it formatted, zero its first 4 KiB");
		return -EINVAL;
	}
	if (!has_uuid(log) && same && old.stage != REPL_NONE)
		repl_stale_add(log->uuid, REPL_RUNNING);
	spin_lock_irq(&p->lock);
	memcpy(log->uuid, repl_meta_uuid(log->meta), sizeof(log->uuid));
	spin_unlock_irq(&p->lock);
	/* More than any that may be there. */
	state.epoch = max(state.epoch, old.epoch) + 1;
	state.stage = p->stage;
	state.error = REPL_NO_ERROR;
	log->state.epoch = state.epoch;
	if (state.stage == REPL_NONE) {
		log->state.stage = REPL_NONE;	/* so that the start formats it */
		return 0;
	}
	snprintf(why, len, "it cannot be written");
	r = repl_meta_format(log->meta, &state);
	if (r)
		return r;
	log->state = state;
	spin_lock_irq(&p->lock);
	bitmap_fill(log->stale, log->nr_sectors);
	spin_unlock_irq(&p->lock);
	return write_maps(log);
}

/* log->lock held, if it is @good. @old: the pair's till now, maybe the same one. */
static void take_over(struct repl_log *log, struct repl_log *old, bool good)
{
	struct repl_pair *p = log->p;
	enum log_mode mode = LOG_RW;

	spin_lock_irq(&p->lock);
	if (!good)
		mode = old->mode == LOG_RW ? LOG_FAIL : old->mode;
	if (!good && mode == LOG_OFF)
		mode = LOG_ABANDONED;
	p->log = log;
	set_mode(log, mode);
	if (good) {
		bitmap_copy(p->logged, p->written, p->nr_regions);
		repl_pair_clear_errors(p, BIT(REPL_METADATA_IO));
	}
	spin_unlock_irq(&p->lock);
	if (good) {
		trust(log);
		DMINFO("%s: metadata device %u:%u has the state of all regions",
		       dm_device_name(p->md), MAJOR(log->nr), MINOR(log->nr));
	} else if (mode == LOG_ABANDONED) {
		repl_stale_add(log->uuid, REPL_RUNNING);
	}
}

/**
 * repl_log_bind - the metadata device of a table is the pair's from now on
 * @table: the table, which is being resumed for the first time
 *
 * If there is another one, or the one that there is does not work, it gets the state of all
 * regions. If it fails at that, the mode stays what it was: the regions that could be written
 * then are not called clean on this device either.
 *
 * Context: may sleep; p->admin held; no bio is in flight.
 */
void repl_log_bind(struct repl_primary *table)
{
	struct repl_log *log = table->log, *old = table->p->log;
	struct repl_pair *p = table->p;
	char why[192];
	int r;

	if (!log || (log == old && mode_of(log) == LOG_RW))
		return;
	if (log != old)
		leave(old);
	if (lock_if_it_answers(log)) {
		r = renew(log, log == old, why, sizeof(why));
		take_over(log, old, !r);
		mutex_unlock(&log->lock);
	} else {
		r = -ETIMEDOUT;
		snprintf(why, sizeof(why), "it does not answer");
		/* Nothing is written to it. */
		if (log != old)
			take_over(log, old, false);
	}
	if (r)
		DMERR("%s: metadata device %u:%u cannot take over: %s", dm_device_name(p->md),
		      MAJOR(log->nr), MINOR(log->nr), why);
	if (log != old)
		free_unused(old, false);
}
