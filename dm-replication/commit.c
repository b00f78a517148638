// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commits: what has to be on the metadata device before something else may happen.
 *
 * One ordered worker does all that concerns the device, in groups: everybody who has
 * come while it was busy shares the next commit.
 *
 *   who waits			for			then
 *   ingress write, chunks	hidden is flushed,	the chunks are hidden's, and it
 *    copied to hidden		their bits durable	goes to the secondary
 *   FLUSH, FUA of the view	active is flushed, the	it is completed
 *				bits of all writes
 *				before it durable
 *   change of stage or epoch	the superblock durable	it takes effect in memory
 *
 * Bits of active are only set in memory and their map sector noted as dirty, when a
 * write has completed. So are those that the merge clears; then the secondary is
 * flushed as well, before they are cleared on the device.
 *
 * What is in memory is complete: the device is read when it is opened, and later only
 * where a block is to be changed in part.
 */
#include <linux/blkdev.h>
#include <linux/list_sort.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "metadata.h"
#include "replication.h"

/*
 * How many map sectors are copied before a flush of active. Each flush makes at least so
 * many of them durable, whatever is written meanwhile.
 */
#define BATCH_SECTORS	128U

/* How soon, and how seldom, a stage is tried again that could not be recorded. */
#define RETRY_FIRST	HZ
#define RETRY_LAST	(64 * HZ)

/* What somebody has the worker do, and waits for. */
struct call {
	struct work_struct work;
	struct completion done;
	struct repl_commit *commit;
	struct repl_meta_state state;
	int r;
};

struct repl_commit {
	struct repl_set *rs;
	struct workqueue_struct *wq;	/* ordered */
	struct work_struct work;
	struct list_head saved;		/* wait_lock; ios by wait: ingress writes */
	struct list_head flushes;	/* wait_lock; ios by wait: FLUSH, FUA of the view */
	bool flush;			/* wait_lock; there is a FLUSH among them */
	bool progress;			/* wait_lock; the merge wants its bits committed */
	bool failed;			/* the worker sets it; a start in stage none may clear it */
	bool suspended;			/* the view; postsuspend and resume write it */
	struct call record;		/* admin; see record() */

	struct repl_meta *meta;		/* the worker's, and so is all that follows */
	struct repl_meta_state state;	/* as it is on the device */
	struct repl_meta_state wanted;	/* if @unrecorded: as it should be */
	bool unrecorded;		/* the stage has changed in memory alone */
	struct delayed_work retry;	/* to record it */
	unsigned long retry_delay;	/* jiffies */
	u64 lost[REPL_META_LOST];	/* to be written there */
	u32 nr_sectors;			/* of the maps */
	unsigned long *dirty;		/* atomic bits: map sectors that are to be written */
	unsigned long *taken;		/* those that are being written now */
	struct repl_meta_maps batch[BATCH_SECTORS];	/* of the first ones in @taken */
	struct repl_meta_maps maps;	/* of another one */
};

static void commit_fail(struct repl_commit *commit)
{
	struct repl_set *rs = commit->rs;

	repl_fail(rs, REPL_METADATA_IO);
	if (commit->failed)
		return;
	WRITE_ONCE(commit->failed, true);
	DMERR("%s: metadata mode fail, was rw", repl_set_name(rs));
	schedule_work(&rs->event_work);
}

/*
 * Ingress writes
 */

static int by_chunk(void *unused, const struct list_head *a, const struct list_head *b)
{
	const struct repl_io *first = list_entry(a, struct repl_io, wait);
	const struct repl_io *second = list_entry(b, struct repl_io, wait);

	if (first->region != second->region)
		return first->region < second->region ? -1 : 1;
	return first->first < second->first ? -1 : 1;
}

/* Which map sector has a chunk of a region. */
static u32 map_sector(struct repl_set *rs, struct repl_region *r, unsigned int chunk)
{
	return ((u32)(r - rs->regions) * REPL_REGION_CHUNKS + chunk) / REPL_META_CHUNKS;
}

/* Their claims exclude each other, so each block is changed once. */
static int add_hidden(struct repl_commit *commit, struct list_head *ios)
{
	struct repl_set *rs = commit->rs;
	struct repl_io *io;
	u64 chunk;
	int r = 0;

	list_sort(NULL, ios, by_chunk);
	if (!list_is_singular(ios))
		list_for_each_entry(io, ios, wait)
			repl_meta_prefetch(commit->meta,
					   map_sector(rs, io->region, io->first));
	list_for_each_entry(io, ios, wait) {
		chunk = (u64)(io->region - rs->regions) * REPL_REGION_CHUNKS;
		r = repl_meta_add_hidden(commit->meta, chunk + io->first, chunk + io->end);
		if (r)
			return r;
	}
	return repl_meta_commit(commit->meta);
}

static int write_lost(struct repl_commit *commit)
{
	if (!memcmp(commit->lost, repl_meta_lost(commit->meta), sizeof(commit->lost)))
		return 0;
	return repl_meta_set_lost(commit->meta, commit->lost);
}

/*
 * Before chunks are called hidden's: what is lost of them. What the view has written
 * since to lost sectors of active may not be durable, so nothing is taken off the list.
 */
static int add_lost(struct repl_commit *commit)
{
	if (!repl_has_lost(commit->rs))
		return 0;
	memcpy(commit->lost, repl_meta_lost(commit->meta), sizeof(commit->lost));
	repl_lost_merge(commit->rs, commit->lost);
	return write_lost(commit);
}

static void commit_saved(struct repl_commit *commit, struct list_head *ios)
{
	struct repl_set *rs = commit->rs;
	struct repl_io *io, *next;
	int r = -EIO;

	if (!commit->failed) {
		r = blkdev_issue_flush(rs->bdev[REPL_HIDDEN]);
		if (r) {
			repl_fail(rs, r == -ENOSPC ? REPL_COW_NOSPC : REPL_COW_IO);
		} else {
			r = add_lost(commit) ?: add_hidden(commit, ios);
			if (r)
				commit_fail(commit);
		}
	}
	list_for_each_entry_safe(io, next, ios, wait)
		repl_ingress_saved(io, r);
}

/*
 * The view's maps
 */

static void set_dirty(struct repl_commit *commit, u32 sector)
{
	if (!test_bit(sector, commit->dirty))
		set_bit(sector, commit->dirty);
}

static bool is_dirty(struct repl_commit *commit)
{
	return !bitmap_empty(commit->dirty, commit->nr_sectors);
}

/*
 * Before the flush: from here on a taken map sector is dirty only if it has been changed
 * since. The first ones are copied, as they are now. Returns how many.
 */
static unsigned int copy_batch(struct repl_commit *commit)
{
	u64 epoch = repl_meta_epoch(commit->meta);
	unsigned int n = 0;
	u32 nr;

	for_each_set_bit(nr, commit->taken, commit->nr_sectors) {
		/* A full barrier: who changes the maps after we have read them sets it again. */
		test_and_clear_bit(nr, commit->dirty);
		if (n < BATCH_SECTORS)
			repl_map_save(commit->rs, nr, epoch, &commit->batch[n++]);
		cond_resched();
	}
	return n;
}

static void prefetch_taken(struct repl_commit *commit, u32 nr)
{
	unsigned int n = 0;

	for_each_set_bit_from(nr, commit->taken, commit->nr_sectors) {
		if (n++ == BATCH_SECTORS)
			break;
		repl_meta_prefetch(commit->meta, nr);
	}
}

/*
 * After the flush: write the map sectors that are taken. One that was not copied before
 * is read now. If it has been changed since, it may name chunks that the flush did not
 * catch; so it stays taken, for another flush.
 */
static int write_taken(struct repl_commit *commit, unsigned int copied, bool merging)
{
	u64 epoch = repl_meta_epoch(commit->meta);
	const struct repl_meta_maps *maps;
	unsigned int n = 0;
	u32 nr;
	int r;

	for_each_set_bit(nr, commit->taken, commit->nr_sectors) {
		if (n % BATCH_SECTORS == 0)
			prefetch_taken(commit, nr);
		if (n < copied) {
			maps = &commit->batch[n];
		} else {
			maps = &commit->maps;
			repl_map_save(commit->rs, nr, epoch, &commit->maps);
		}
		/* Under the regions' locks, which were taken to read it, both are changed. */
		if (n++ >= copied && test_bit(nr, commit->dirty))
			continue;
		r = repl_meta_replace(commit->meta, nr, maps, merging);
		if (r)
			return r;
		__clear_bit(nr, commit->taken);
		cond_resched();
	}
	return repl_meta_commit(commit->meta);
}

/* What the maps, as they will be written, say about active and secondary is true. */
static int flush_data(struct repl_set *rs, bool merging)
{
	int r = repl_flush_dev(rs, REPL_ACTIVE);

	if (!r && merging)
		r = repl_flush_dev(rs, REPL_SECONDARY);
	return r;
}

/* One flush, and what it allows to be written. Returns 1 if map sectors are left. */
static int commit_taken(struct repl_commit *commit, bool merging)
{
	unsigned int copied = copy_batch(commit);
	bool lost = repl_has_lost(commit->rs);
	int r;

	/*
	 * As it is between the two: what is lost in a chunk was noted before active's bit
	 * was set; and what was written to lost sectors before this is flushed.
	 */
	if (lost) {
		memset(commit->lost, 0, sizeof(commit->lost));
		repl_lost_merge(commit->rs, commit->lost);
	}
	r = flush_data(commit->rs, merging);
	if (!r && lost && write_lost(commit)) {
		commit_fail(commit);
		return -EIO;
	}
	if (r || !copied)
		return r;
	if (write_taken(commit, copied, merging)) {
		commit_fail(commit);
		return -EIO;
	}
	return !bitmap_empty(commit->taken, commit->nr_sectors);
}

/*
 * Make durable what the view holds. If not by a @flush, then the data of who waits is
 * durable, and so are its bits unless something is dirty.
 *
 * All that is dirty now shares one flush. What is changed meanwhile may take more of
 * them, but no more than one for each BATCH_SECTORS.
 */
static int commit_maps(struct repl_commit *commit, bool flush)
{
	/* Not rs->stage, which another may change while we are at it. */
	bool merging = commit->state.stage != REPL_RUNNING;
	u32 nr;
	int r;

	if (commit->failed)
		return -EIO;
	if (!flush && !is_dirty(commit) && !repl_has_lost(commit->rs))
		return 0;
	bitmap_copy(commit->taken, commit->dirty, commit->nr_sectors);
	do {
		r = commit_taken(commit, merging);
	} while (r > 0);
	/* What could not be written is tried again by the next commit. */
	for_each_set_bit(nr, commit->taken, commit->nr_sectors)
		set_dirty(commit, nr);
	return r;
}

static void commit_flushes(struct repl_commit *commit, struct list_head *ios, bool flush)
{
	int r = commit_maps(commit, flush);
	struct repl_io *io, *next;

	/* Of this failure. */
	if (r && flush)
		repl_flush_tell_view(commit->rs);
	list_for_each_entry_safe(io, next, ios, wait) {
		struct bio *bio = repl_io_bio(io);

		bio->bi_status = errno_to_blk_status(r);
		bio_endio(bio);
	}
}

/*
 * The superblock
 */

/* The set goes on in a stage that the device has not: see to it that it gets it. */
static void note_unrecorded(struct repl_commit *commit, const struct repl_meta_state *state)
{
	commit->wanted = *state;
	repl_stale_add(repl_meta_uuid(commit->meta), state->stage);
	if (commit->unrecorded)
		return;
	commit->unrecorded = true;
	commit->retry_delay = RETRY_FIRST;
	queue_delayed_work(commit->wq, &commit->retry, commit->retry_delay);
}

static void note_recorded(struct repl_commit *commit)
{
	struct repl_set *rs = commit->rs;
	dev_t dev = rs->dev_nr[REPL_METADATA];

	repl_stale_del(repl_meta_uuid(commit->meta));
	if (!commit->unrecorded)
		return;
	commit->unrecorded = false;
	DMINFO("%s: stage %s is recorded now: metadata device %u:%u is up to date",
	       repl_set_name(rs), repl_stage_name(commit->state.stage), MAJOR(dev), MINOR(dev));
}

/*
 * A stage is tried even if the device has failed: its maps are those of our epoch, and
 * nothing has been acknowledged since; and it had better not say anything else. A start
 * is tried, too: there is nothing yet that could have been lost.
 */
static int write_state(struct repl_commit *commit, const struct repl_meta_state *state)
{
	bool fresh = commit->state.stage == REPL_NONE;
	int r;

	if (commit->failed && !fresh && state->epoch != commit->rs->epoch) {
		repl_fail(commit->rs, REPL_METADATA_IO);
		return -EIO;
	}
	r = fresh ? repl_meta_format(commit->meta, state) :
		    repl_meta_set_state(commit->meta, state);
	if (r) {
		commit_fail(commit);
		/* Who asks for another epoch stays where he is. */
		if (state->epoch == commit->rs->epoch && state->stage != commit->state.stage)
			note_unrecorded(commit, state);
		return -EIO;
	}
	/* Of a new set nothing can have been lost, and of one that is done no map counts. */
	if (fresh || state->stage == REPL_DONE)
		WRITE_ONCE(commit->failed, false);
	/* What the view has of an earlier epoch need not be written any more. */
	if (state->epoch != commit->state.epoch)
		bitmap_zero(commit->dirty, commit->nr_sectors);
	commit->state = *state;
	note_recorded(commit);
	return commit->failed ? -EIO : 0;
}

static void retry_record(struct repl_commit *commit)
{
	struct repl_meta_state state = commit->wanted;

	state.error = repl_error_to_record(commit->rs);
	if (commit->unrecorded)
		write_state(commit, &state);
}

static void retry_work(struct work_struct *work)
{
	struct repl_commit *commit = container_of(to_delayed_work(work), struct repl_commit,
						  retry);

	if (READ_ONCE(commit->suspended))
		return;
	retry_record(commit);
	if (!commit->unrecorded)
		return;
	commit->retry_delay = min(2 * commit->retry_delay, (unsigned long)RETRY_LAST);
	queue_delayed_work(commit->wq, &commit->retry, commit->retry_delay);
}

/* Record an error that is new. */
static int commit_error(struct repl_commit *commit)
{
	struct repl_meta_state state = commit->unrecorded ? commit->wanted : commit->state;

	state.error = repl_error_to_record(commit->rs);
	if (commit->failed || state.stage == REPL_NONE || state.error == commit->state.error)
		return 0;
	return write_state(commit, &state);
}

static void commit_work(struct work_struct *work)
{
	struct repl_commit *commit = container_of(work, struct repl_commit, work);
	struct repl_set *rs = commit->rs;
	LIST_HEAD(saved);
	LIST_HEAD(flushes);
	bool flush, progress, suspended;

	spin_lock_irq(&rs->wait_lock);
	list_splice_init(&commit->saved, &saved);
	list_splice_init(&commit->flushes, &flushes);
	/* Then only what somebody waits for is written: an ingress may be in use. */
	suspended = READ_ONCE(commit->suspended);
	flush = commit->flush;
	progress = commit->progress && !suspended;
	commit->flush = false;
	if (!suspended)
		commit->progress = false;
	spin_unlock_irq(&rs->wait_lock);

	if (!list_empty(&saved))
		commit_saved(commit, &saved);
	/* First: what a merge has lost is known before its bits are cleared. */
	if (!suspended)
		commit_error(commit);
	if (progress || !list_empty(&flushes))
		commit_flushes(commit, &flushes, flush);
}

/*
 * The worker is queued under the lock: once it is dropped, the worker may end an io
 * that is the last thing which keeps the set.
 */

/**
 * repl_commit_saved - the claimed chunks are in hidden: make that durable
 * @io: an ingress write with a claim for COPY; repl_ingress_saved() is called for it
 *
 * Context: any; does not sleep.
 */
void repl_commit_saved(struct repl_io *io)
{
	struct repl_commit *commit = io->rs->commit;
	struct repl_set *rs = io->rs;
	unsigned long flags;

	spin_lock_irqsave(&rs->wait_lock, flags);
	list_add_tail(&io->wait, &commit->saved);
	queue_work(commit->wq, &commit->work);
	spin_unlock_irqrestore(&rs->wait_lock, flags);
}

/**
 * repl_commit_flush - make durable what the view has written, then end the bio
 * @io: of the view
 * @flush: it is a FLUSH; otherwise a write with FUA that has been done
 *
 * Context: any; does not sleep.
 */
void repl_commit_flush(struct repl_io *io, bool flush)
{
	struct repl_commit *commit = io->rs->commit;
	struct repl_set *rs = io->rs;
	unsigned long flags;

	spin_lock_irqsave(&rs->wait_lock, flags);
	list_add_tail(&io->wait, &commit->flushes);
	commit->flush |= flush;
	queue_work(commit->wq, &commit->work);
	spin_unlock_irqrestore(&rs->wait_lock, flags);
}

/**
 * repl_commit_progress - have the bits that the merge has cleared committed, some time
 * @rs: the set, with metadata
 *
 * Context: any; does not sleep.
 */
void repl_commit_progress(struct repl_set *rs)
{
	struct repl_commit *commit = rs->commit;
	unsigned long flags;

	spin_lock_irqsave(&rs->wait_lock, flags);
	commit->progress = true;
	queue_work(commit->wq, &commit->work);
	spin_unlock_irqrestore(&rs->wait_lock, flags);
}

/**
 * repl_commit_error - have a new repl_error_to_record() recorded, some time
 * @rs: the set, with metadata
 *
 * Context: any; does not sleep.
 */
void repl_commit_error(struct repl_set *rs)
{
	queue_work(rs->commit->wq, &rs->commit->work);
}

/**
 * repl_commit_dirty - the maps of these chunks are not as they are on the device
 * @rs: the set, with metadata
 * @r: the region
 * @first: the first chunk, in the region
 * @end: behind the last one
 *
 * Context: any; r->lock held, under which they were changed.
 */
void repl_commit_dirty(struct repl_set *rs, struct repl_region *r, unsigned int first,
		       unsigned int end)
{
	lockdep_assert_held(&r->lock);
	set_dirty(rs->commit, map_sector(rs, r, first));
	set_dirty(rs->commit, map_sector(rs, r, end - 1));
}

/*
 * Calls
 */

static int call(struct repl_commit *commit, struct call *call,
		void (*fn)(struct work_struct *work))
{
	call->commit = commit;
	INIT_WORK_ONSTACK(&call->work, fn);
	queue_work(commit->wq, &call->work);
	flush_work(&call->work);
	destroy_work_on_stack(&call->work);
	return call->r;
}

static void record_work(struct work_struct *work)
{
	struct call *record = container_of(work, struct call, work);

	record->r = write_state(record->commit, &record->state);
	complete_all(&record->done);
}

/* 0, or -EINTR if it is @killable and the caller was killed. */
static int wait_for_record(struct call *record, bool killable)
{
	if (killable)
		return wait_for_completion_killable(&record->done) ? -EINTR : 0;
	wait_for_completion(&record->done);
	return 0;
}

/*
 * Have a state written. Who is killed leaves it to the worker; the next one waits for
 * that first. Returns what the write did, or -EINTR: it may be written yet.
 */
static int record(struct repl_set *rs, enum repl_stage stage, u64 epoch, bool killable)
{
	struct repl_commit *commit = rs->commit;
	struct call *record = &commit->record;
	int r;

	lockdep_assert_held(&rs->admin);
	r = wait_for_record(record, killable);
	if (r)
		return r;
	record->state = (struct repl_meta_state){ epoch, stage, repl_error_to_record(rs) };
	reinit_completion(&record->done);
	queue_work(commit->wq, &record->work);
	return wait_for_record(record, killable) ?: record->r;
}

static void warn_unrecorded(struct repl_set *rs, enum repl_stage stage)
{
	dev_t dev = rs->dev_nr[REPL_METADATA];

	DMERR("%s: stage %s could not be recorded: metadata device %u:%u may still say %s. %s",
	      repl_set_name(rs), repl_stage_name(stage), MAJOR(dev), MINOR(dev),
	      repl_stage_name(rs->commit->state.stage),
	      "It is tried again while the view is there. Unless the log says that it is recorded, zero the first 4 KiB of that device before its next use: with it the failover would be undone");
}

/**
 * repl_commit_state - make a change of stage or epoch durable, before it takes effect
 * @rs: the set
 * @stage: the new stage, or the present one
 * @epoch: the new epoch, or the present one
 *
 * Without metadata there is nothing to do.
 *
 * Context: may sleep; rs->admin held.
 * Return: 0 or a negative errno; then it is either on the device or not.
 */
int repl_commit_state(struct repl_set *rs, enum repl_stage stage, u64 epoch)
{
	int r = rs->commit ? record(rs, stage, epoch, false) : 0;

	if (r && epoch == rs->epoch && rs->commit->state.stage != stage)
		warn_unrecorded(rs, stage);
	return r;
}

/**
 * repl_commit_failover - make stage failover durable, before it takes effect
 * @rs: the set
 *
 * If the metadata device fails the failover goes on in memory, for the view's content is
 * nowhere else; but no FLUSH of the view will succeed.
 *
 * Context: may sleep; rs->admin held.
 * Return: 0, or -EINTR: the caller was killed, and the device may get the stage yet.
 */
int repl_commit_failover(struct repl_set *rs)
{
	int r = rs->commit ? record(rs, REPL_FAILOVER, rs->epoch, true) : 0;

	if (r == -EINTR)
		return r;
	if (r && rs->commit->state.stage != REPL_FAILOVER)
		warn_unrecorded(rs, REPL_FAILOVER);
	return 0;
}

static void sync_work(struct work_struct *work)
{
	struct call *call = container_of(work, struct call, work);
	struct repl_commit *commit = call->commit;

	retry_record(commit);
	call->r = commit_error(commit);
	if (!call->r && commit->state.stage != REPL_NONE && commit->state.stage != REPL_DONE)
		call->r = commit_maps(commit, false);
	if (!call->r)
		call->r = commit_error(commit);
}

/**
 * repl_commit_sync - make everything durable
 * @rs: the set
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int repl_commit_sync(struct repl_set *rs)
{
	struct call sync;

	return rs->commit ? call(rs->commit, &sync, sync_work) : 0;
}

/**
 * repl_commit_suspend - make everything durable, and write no more of our own accord
 * @rs: the set, whose view is suspended
 *
 * What the ingress saves is still committed, and messages are served.
 *
 * Context: may sleep.
 */
void repl_commit_suspend(struct repl_set *rs)
{
	if (!rs->commit)
		return;
	WRITE_ONCE(rs->commit->suspended, true);
	repl_commit_sync(rs);
}

/**
 * repl_commit_resume - write what has been held back while the view was suspended
 * @rs: the set
 *
 * Context: may sleep.
 */
void repl_commit_resume(struct repl_set *rs)
{
	struct repl_commit *commit = rs->commit;

	if (!commit)
		return;
	WRITE_ONCE(commit->suspended, false);
	queue_work(commit->wq, &commit->work);
	mod_delayed_work(commit->wq, &commit->retry, 0);
}

/**
 * repl_commit_mode - the word of the status line
 * @rs: the set
 *
 * Context: any.
 */
const char *repl_commit_mode(struct repl_set *rs)
{
	if (!rs->commit)
		return "-";
	return READ_ONCE(rs->commit->failed) ? "fail" : "rw";
}

/**
 * repl_commit_failed - has the metadata device failed?
 * @rs: the set, maybe without one
 *
 * What it acknowledges after that might not survive.
 *
 * Context: any.
 */
bool repl_commit_failed(struct repl_set *rs)
{
	return rs->commit && READ_ONCE(rs->commit->failed);
}

/*
 * Coming and going
 */

static void load_maps(void *context, u32 sector, const struct repl_meta_maps *maps)
{
	repl_map_load(context, sector, maps);
}

/* Take over what the device has: stage, epoch, error and maps. */
static int load(struct repl_commit *commit, char *why, size_t len)
{
	struct repl_set *rs = commit->rs;

	rs->stage = commit->state.stage;
	rs->epoch = commit->state.epoch;
	rs->shown_stage = rs->stage;
	rs->shown_epoch = rs->epoch;
	rs->latest = commit->state.error;
	if (rs->latest != REPL_NO_ERROR)
		atomic_set(&rs->errors, BIT(rs->latest));
	if (rs->stage == REPL_NONE || rs->stage == REPL_DONE)
		return 0;
	repl_lost_load(rs, repl_meta_lost(commit->meta));
	return repl_meta_load(commit->meta, load_maps, rs, why, len);
}

/*
 * The device may have failed before, and a set gone on without it. If that has merged
 * all, what the device has is worth nothing. If not, the rest of it can still be merged.
 */
static int check_stale(struct repl_commit *commit, char *why, size_t len)
{
	enum repl_stage stage = repl_stale_stage(repl_meta_uuid(commit->meta));
	struct repl_set *rs = commit->rs;

	if (stage == REPL_NONE || stage == commit->state.stage)
		return 0;
	if (stage == REPL_DONE) {
		snprintf(why, len,
			 "it says stage %s, but its set went on to stage done after this device had failed: the secondary alone has the newest data; to make a new set of it, zero the first 4 KiB of this device",
			 repl_stage_name(commit->state.stage));
		return -EUCLEAN;
	}
	rs->stage = REPL_FAILOVER_FAILED;
	rs->shown_stage = rs->stage;
	rs->latest = REPL_MERGE_IO;
	atomic_or(BIT(REPL_MERGE_IO), &rs->errors);
	commit->unrecorded = true;
	commit->retry_delay = RETRY_FIRST;
	commit->wanted = (struct repl_meta_state){ rs->epoch, rs->stage, REPL_MERGE_IO };
	DMWARN("%s: the metadata device says stage %s, %s",
	       repl_set_name(rs), repl_stage_name(commit->state.stage),
	       "but a failover had begun after it had failed: stage failover-failed");
	return 0;
}

/**
 * repl_commit_create - open a metadata device, and take over what it has
 * @rs: the set, with empty maps and a metadata device
 * @view: the dm UUID of the view
 * @why: gets a sentence if it fails
 * @len: the size of @why
 *
 * Writes nothing.
 *
 * Context: may sleep.
 * Return: 0 or a negative errno; then repl_commit_destroy() is to be called nevertheless.
 */
int repl_commit_create(struct repl_set *rs, const char *view, char *why, size_t len)
{
	struct block_device *dev = rs->bdev[REPL_METADATA];
	struct repl_meta_geometry geometry = {
		.len = rs->len,
		.chunk_sectors = rs->chunk_sectors,
		.view = view,
	};
	struct repl_commit *commit = kvzalloc(sizeof(*commit), GFP_KERNEL);
	int r;

	snprintf(why, len, "out of memory");
	if (!commit)
		return -ENOMEM;
	rs->commit = commit;
	commit->rs = rs;
	INIT_WORK(&commit->work, commit_work);
	INIT_WORK(&commit->record.work, record_work);
	INIT_DELAYED_WORK(&commit->retry, retry_work);
	init_completion(&commit->record.done);
	complete_all(&commit->record.done);	/* there is none to wait for */
	commit->record.commit = commit;
	INIT_LIST_HEAD(&commit->saved);
	INIT_LIST_HEAD(&commit->flushes);
	commit->nr_sectors = DIV_ROUND_UP_ULL(rs->nr_chunks, REPL_META_CHUNKS);
	commit->dirty = kvcalloc(BITS_TO_LONGS(commit->nr_sectors), sizeof(long), GFP_KERNEL);
	commit->taken = kvcalloc(BITS_TO_LONGS(commit->nr_sectors), sizeof(long), GFP_KERNEL);
	commit->wq = alloc_ordered_workqueue("dm-repl-commit", WQ_MEM_RECLAIM);
	if (!commit->dirty || !commit->taken || !commit->wq)
		return -ENOMEM;
	r = repl_meta_open(dev, bdev_nr_sectors(dev), &geometry, &commit->meta, &commit->state,
			   why, len);
	return r ?: load(commit, why, len) ?: check_stale(commit, why, len);
}

/**
 * repl_commit_close - let go of the metadata device
 * @rs: the set, of which no I/O is left and no message is being served
 *
 * Context: may sleep.
 */
void repl_commit_close(struct repl_set *rs)
{
	struct repl_commit *commit = rs->commit;

	if (!commit || !commit->meta)
		return;
	/* A record that was left to the worker may begin to retry. */
	flush_workqueue(commit->wq);
	cancel_delayed_work_sync(&commit->retry);
	flush_workqueue(commit->wq);
	repl_meta_close(commit->meta);
	commit->meta = NULL;
}

/**
 * repl_commit_destroy - free what repl_commit_create() made
 * @rs: the set
 *
 * Context: may sleep.
 */
void repl_commit_destroy(struct repl_set *rs)
{
	struct repl_commit *commit = rs->commit;

	if (!commit)
		return;
	repl_commit_close(rs);
	if (commit->wq)
		destroy_workqueue(commit->wq);
	kvfree(commit->dirty);
	kvfree(commit->taken);
	kvfree(commit);
}
