// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes to both legs.
 *
 * What is written is copied first, once: its owner may change the buffer while it is
 * under way, and the legs would differ. For the same reason a write waits for an
 * earlier one that it overlaps. A pair has a fixed number of jobs and pages: nothing
 * is allocated on the way, and who gets none waits.
 *
 * The writer goes on when the local device has the write and the replica has it too, or
 * has failed. The first error of the replica, or the first answer that is too late, is
 * its failure: all that were written since they were last known to be good are dirty,
 * nothing is forwarded any more, and nobody waits for what is still under way there.
 */
#include <linux/bio.h>
#include <linux/blk-cgroup.h>
#include <linux/blkdev.h>
#include <linux/slab.h>

#include "primary.h"

static void local_endio(struct bio *bio);
static void replica_endio(struct bio *bio);

/*
 * Jobs
 */

static void release_pages_of(struct repl_pair *p)
{
	while (p->nr_pages)
		__free_page(p->pages[--p->nr_pages]);
}

/**
 * repl_forward_create - allocate the jobs and pages of a pair
 * @p: the pair
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM; then repl_forward_destroy() is to be called nevertheless.
 */
int repl_forward_create(struct repl_pair *p)
{
	struct repl_job *job;
	unsigned int i;

	p->jobs_memory = kvcalloc(REPL_JOBS, sizeof(*job), GFP_KERNEL);
	if (!p->jobs_memory)
		return -ENOMEM;
	for (i = 0; i < REPL_JOBS; i++) {
		job = &p->jobs_memory[i];
		job->p = p;
		INIT_LIST_HEAD(&job->unsent);
		list_add_tail(&job->list, &p->free_jobs);
	}
	for (; p->nr_pages < REPL_PAIR_PAGES; p->nr_pages++) {
		p->pages[p->nr_pages] = alloc_page(GFP_KERNEL);
		if (!p->pages[p->nr_pages])
			return -ENOMEM;
	}
	return 0;
}

/**
 * repl_forward_destroy - free what repl_forward_create() made
 * @p: the pair, of which no job is in flight
 *
 * Context: may sleep.
 */
void repl_forward_destroy(struct repl_pair *p)
{
	release_pages_of(p);
	kvfree(p->jobs_memory);
}

/**
 * repl_forward_overlaps - has a bio to wait for one that is under way?
 * @p: the pair
 * @bio: the bio, counted in its regions
 *
 * Then it is to be put on p->blocked.
 *
 * Context: any; p->lock held.
 */
bool repl_forward_overlaps(struct repl_pair *p, struct bio *bio)
{
	struct repl_primary_io *io = repl_primary_io(bio);
	struct repl_job *job;

	lockdep_assert_held(&p->lock);
	/* It alone writes there. */
	if (io->first == io->last && p->writers[io->first] == 1)
		return false;
	list_for_each_entry(job, &p->jobs, list)
		if (bio->bi_iter.bi_sector < job->end && bio_end_sector(bio) > job->sector) {
			job->blocks = true;
			return true;
		}
	return false;
}

static void job_start(struct repl_job *job)
{
	struct repl_pair *p = job->p;

	job->local_done = false;
	job->replica_done = false;
	job->abandoned = false;
	job->ended = false;
	job->blocks = false;
	job->to = p->replica;
	job->start = jiffies;
	list_add_tail(&job->list, &p->jobs);
	if (!p->watching) {
		p->watching = true;
		queue_delayed_work(p->wq, &p->timeout_work, repl_patience(p));
	}
}

/**
 * repl_forward_get - a job for a bio that is to be forwarded
 * @p: the pair
 * @bio: the bio; a write of at most REPL_JOB_PAGES pages, or without data
 *
 * Context: any; p->lock held.
 * Return: a job for repl_forward_start(); NULL if it has to wait, on repl_throttled().
 */
struct repl_job *repl_forward_get(struct repl_pair *p, struct bio *bio)
{
	struct repl_primary_io *io = repl_primary_io(bio);
	struct repl_job *job;
	unsigned int i, nr = 0, zeroes = 0;

	lockdep_assert_held(&p->lock);
	if (unlikely(repl_zeroes(bio)))
		zeroes = bio_sectors(bio);
	else if (bio_has_data(bio))
		nr = DIV_ROUND_UP(bio->bi_iter.bi_size, PAGE_SIZE);
	job = list_first_entry_or_null(&p->free_jobs, struct repl_job, list);
	if (!job || p->nr_pages < nr)
		return NULL;
	if (unlikely(p->zeroes && zeroes && p->zeroes + zeroes > REPL_PAIR_ZERO_SECTORS))
		return NULL;
	list_del(&job->list);
	job->zeroes = zeroes;
	p->zeroes += zeroes;
	for (i = 0; i < nr; i++)
		job->vecs[i].bv_page = p->pages[--p->nr_pages];
	job->nr_pages = nr;
	job->orig = bio;
	job->sector = bio->bi_iter.bi_sector;
	job->end = bio_end_sector(bio);
	if (io->counted) {
		job->first = io->first;
		job->last = io->last;
	}
	job_start(job);
	return job;
}

static void put_job(struct repl_job *job)
{
	struct repl_pair *p = job->p;

	p->zeroes -= job->zeroes;
	job->zeroes = 0;
	while (job->nr_pages)
		p->pages[p->nr_pages++] = job->vecs[--job->nr_pages].bv_page;
	if (job->own) {
		list_del(&job->list);
		kfree(job);
	} else {
		list_move(&job->list, &p->free_jobs);
	}
	if (unlikely(!bio_list_empty(&p->throttled) || !bio_list_empty(&p->throttled_zeroes)))
		queue_work(p->wq, &p->run_work);
	if (unlikely(p->suspended))
		wake_up_all(&p->quiet);
}

/*
 * Sending
 */

/* Into pages of our own, without a gap. */
static void copy_data(struct repl_job *job, struct bio *bio)
{
	unsigned int at = 0, left, n;
	struct bvec_iter iter;
	struct bio_vec bv;
	char *from, *to;

	bio_for_each_segment(bv, bio, iter) {
		from = bvec_kmap_local(&bv);
		for (left = bv.bv_len; left; left -= n, at += n) {
			to = page_address(job->vecs[at / PAGE_SIZE].bv_page) +
				offset_in_page(at);
			n = min_t(unsigned int, left, PAGE_SIZE - offset_in_page(at));
			if (n == PAGE_SIZE && IS_ALIGNED((unsigned long)from, PAGE_SIZE))
				copy_page(to, from);
			else
				memcpy(to, from + bv.bv_len - left, n);
		}
		kunmap_local(from);
	}
	for (n = 0; n < job->nr_pages; n++, at -= left) {
		left = min_t(unsigned int, at, PAGE_SIZE);
		job->vecs[n].bv_len = left;
		job->vecs[n].bv_offset = 0;
	}
}

static void init_leg(struct repl_job *job, struct bio *leg, struct block_device *bdev)
{
	struct bio *orig = job->orig;

	bio_init(leg, NULL, job->vecs, job->nr_pages,
		 orig->bi_opf & ~(REQ_NOWAIT | REQ_POLLED | REQ_ALLOC_CACHE | REQ_FAILFAST_MASK));
	leg->bi_bdev = bdev;
	leg->bi_vcnt = job->nr_pages;
	leg->bi_iter.bi_sector = orig->bi_iter.bi_sector;
	leg->bi_iter.bi_size = orig->bi_iter.bi_size;
	leg->bi_ioprio = orig->bi_ioprio;
	leg->bi_private = job;
	/* Jobs are shared: one that is held back by a limit of its task would hold up all. */
	bio_associate_blkg_from_css(leg, blkcg_root_css);
}

/* Of our own: a flush; of the replica, it may be I/O to see whether it answers. */
static void init_own(struct repl_job *job, struct bio *leg, struct block_device *bdev)
{
	if (job->probe) {
		bio_init(leg, bdev, job->vecs, 1, job->probe_opf);
		leg->bi_iter.bi_sector = job->sector;
		__bio_add_page(leg, job->to->probe_page,
			       min_t(sector_t, PAGE_SECTORS, job->p->len - job->sector) <<
			       SECTOR_SHIFT, 0);
	} else {
		bio_init(leg, bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
	}
	leg->bi_private = job;
}

static void init_replica(struct repl_job *job)
{
	if (job->orig)
		init_leg(job, &job->replica, job->to->bdev);
	else
		init_own(job, &job->replica, job->to->bdev);
	job->replica.bi_end_io = replica_endio;
	/* Else writeback's throttle would make the submitter wait for other writes. */
	job->replica.bi_opf |= REQ_SYNC | REQ_IDLE;
}

/*
 * A replica that hangs may have no request to spare. It is this work that waits for one
 * then, and not the writer.
 */
static void send_later(struct repl_job *job)
{
	lockdep_assert_held(&job->p->lock);
	list_add_tail(&job->unsent, &job->to->unsent);
	queue_work(job->p->send_wq, &job->to->send_work);
}

/**
 * repl_send_work - send to the replica what could not be sent at once
 * @work: send_work of the replica
 *
 * Context: may sleep; not for calling, but for queue_work() from any context.
 */
void repl_send_work(struct work_struct *work)
{
	struct repl_replica *to = container_of(work, struct repl_replica, send_work);
	struct repl_pair *p = to->p;
	struct repl_job *job;

	for (;;) {
		spin_lock_irq(&p->lock);
		job = list_first_entry_or_null(&to->unsent, struct repl_job, unsent);
		if (job) {
			list_del_init(&job->unsent);
			/* Once it has been sent, orig may end before it. */
			init_replica(job);
		}
		spin_unlock_irq(&p->lock);
		if (!job)
			break;
		submit_bio_noacct(&job->replica);
		cond_resched();
	}
}

/* Unless the replica has failed before. */
static void start_later(struct repl_job *job)
{
	struct repl_pair *p = job->p;
	unsigned long flags;

	spin_lock_irqsave(&p->lock, flags);
	if (job->abandoned) {
		job->replica.bi_status = BLK_STS_IOERR;
		job->replica_done = true;
		repl_late_back(job->to);
	} else {
		send_later(job);
	}
	spin_unlock_irqrestore(&p->lock, flags);
}

/**
 * repl_forward_start - send a bio to both legs, and end it when it is done
 * @job: of repl_forward_get()
 *
 * Context: may sleep, as for submitting a bio; p->lock not held.
 */
void repl_forward_start(struct repl_job *job)
{
	struct repl_pair *p = job->p;

	if (job->nr_pages)
		copy_data(job, job->orig);
	/* No table can be swapped meanwhile: orig is in flight. */
	init_leg(job, &job->local, p->local);
	job->local.bi_end_io = local_endio;
	if (job->to->blocks || repl_primary_io(job->orig)->waited ||
	    bio_op(job->orig) == REQ_OP_DISCARD) {
		start_later(job);
		submit_bio_noacct(&job->local);
	} else {
		init_replica(job);
		job->replica.bi_opf |= REQ_NOWAIT;
		/* Whatever becomes of the other one. */
		submit_bio_noacct(&job->local);
		submit_bio_noacct(&job->replica);
	}
}

/*
 * Ending
 */

/* It would have had to wait. */
static bool try_again(struct bio *bio)
{
	return (bio->bi_opf & REQ_NOWAIT) &&
		(bio->bi_status == BLK_STS_AGAIN || bio->bi_status == BLK_STS_NOTSUPP);
}

/* The writer is to be told. p->lock held. */
static void end_job(struct repl_job *job, struct bio_list *ended)
{
	struct bio *orig = job->orig;
	struct repl_pair *p = job->p;

	job->ended = true;
	if (!orig) {
		job->own->error = job->abandoned ? -ETIMEDOUT :
			blk_status_to_errno(job->replica.bi_status) ?:
			blk_status_to_errno(job->local.bi_status);
		complete(&job->own->done);
		return;
	}
	if (repl_primary_io(orig)->counted) {
		/* One leg has it, and the other may not. */
		if (unlikely(job->local.bi_status) ||
		    unlikely(job->replica_done && job->replica.bi_status)) {
			repl_regions_not_discarded(p, job->first, job->last);
			repl_regions_mark_dirty(p, job->first, job->last);
			if (p->sync == REPL_INSYNC)
				repl_pair_set_sync(p, REPL_RESYNC);
			repl_resync_kick(p);
		}
		repl_regions_exit(p, job->first, job->last);
		repl_primary_io(orig)->counted = false;
	}
	orig->bi_status = job->local.bi_status;
	bio_list_add(ended, orig);
}

/* See what can be done after an event in a job's life. p->lock held. */
static void settle(struct repl_job *job, struct bio_list *ended)
{
	struct repl_pair *p = job->p;

	if (!job->local_done)
		return;
	if (!job->ended && (job->replica_done || job->abandoned))
		end_job(job, ended);
	if (unlikely(job->blocks)) {
		job->blocks = false;
		bio_list_merge(&p->runnable, &p->blocked);
		bio_list_init(&p->blocked);
		queue_work(p->wq, &p->run_work);
	}
	if (job->replica_done)
		put_job(job);
}

/**
 * repl_end_bios - end bios with the status that they have
 * @ended: the bios
 *
 * Context: any; p->lock not held.
 */
void repl_end_bios(struct bio_list *ended)
{
	struct bio *bio;

	while ((bio = bio_list_pop(ended)))
		bio_endio(bio);
}

/* For the log: what the replica was to do. */
static const char *kind(struct repl_job *job)
{
	if (job->probe)
		return op_is_write(job->probe_opf) ? "a write that tries it again" :
			"a read that tries it again";
	if (!job->orig || (job->orig->bi_opf & REQ_PREFLUSH))
		return "a flush";
	switch (bio_op(job->orig)) {
	case REQ_OP_DISCARD:
		return "a discard";
	case REQ_OP_WRITE_ZEROES:
		return "a write of zeroes";
	default:
		return "a write";
	}
}

static void degrade(struct repl_pair *p)
{
	u32 dirty = p->nr_dirty;

	if (repl_replica_proven(p)) {
		p->retry_seconds = 1;
		p->stalled = false;
	}
	p->trial = 0;
	repl_regions_dirty_written(p);
	repl_pair_set_sync(p, REPL_DEGRADED);
	if (p->nr_dirty > dirty)
		DMINFO("%s: of them %u were written to the replica, which was not flushed since",
		       dm_device_name(p->md), p->nr_dirty - dirty);
}

/**
 * repl_replica_failed - nothing is forwarded any more, and nobody waits for the replica
 * @p: the pair
 * @error: why
 * @ended: gets bios for repl_end_bios()
 *
 * Context: any; p->lock held.
 */
void repl_replica_failed(struct repl_pair *p, enum repl_error error, struct bio_list *ended)
{
	struct repl_job *job, *next;

	lockdep_assert_held(&p->lock);
	/* Once stopped it is nobody's concern. */
	if (p->stage == REPL_RUNNING)
		repl_pair_error(p, error);
	if (p->sync != REPL_DEGRADED)
		degrade(p);
	list_for_each_entry_safe(job, next, &p->jobs, list) {
		if (job->replica_done)
			continue;
		if (!list_empty(&job->unsent)) {
			list_del_init(&job->unsent);
			job->replica.bi_status = BLK_STS_IOERR;
			job->replica_done = true;
		} else {
			job->abandoned = true;
			job->to->nr_abandoned++;
			/* The next replica's are not to wait for it. */
			p->zeroes -= job->zeroes;
			job->zeroes = 0;
			list_del_init(&job->list);
		}
		settle(job, ended);
	}
	repl_resync_abandon(p);
	bio_list_merge(&p->runnable, &p->throttled);
	bio_list_init(&p->throttled);
	bio_list_merge(&p->runnable, &p->throttled_zeroes);
	bio_list_init(&p->throttled_zeroes);
	queue_work(p->wq, &p->run_work);
	if (!repl_late_io(p))
		repl_retry(p);
}

/**
 * repl_local_flush_failed - the local device may have lost what was acknowledged
 * @p: the pair
 *
 * All that has been written since the last flush is copied; there is no flush of our own
 * till one has succeeded, for all would begin again if it fails too.
 *
 * Context: any; p->lock held.
 */
void repl_local_flush_failed(struct repl_pair *p)
{
	u32 dirty = p->nr_dirty;

	lockdep_assert_held(&p->lock);
	WRITE_ONCE(p->flush_failed, true);
	repl_regions_dirty_written(p);
	if (p->nr_dirty > dirty)
		DMWARN("%s: the local device has failed a flush: %u more regions are dirty",
		       dm_device_name(p->md), p->nr_dirty - dirty);
	if (p->sync == REPL_INSYNC && p->nr_dirty)
		repl_pair_set_sync(p, REPL_RESYNC);
	repl_resync_again(p);
}

/* What was asked for: its bios do not say so if the device has no cache. */
static bool is_flush(struct repl_job *job)
{
	return !job->orig || (job->orig->bi_opf & REQ_PREFLUSH);
}

static void local_endio(struct bio *bio)
{
	struct repl_job *job = bio->bi_private;
	struct bio_list ended = BIO_EMPTY_LIST;
	struct repl_pair *p = job->p;
	unsigned long flags;

	bio_uninit(bio);
	spin_lock_irqsave(&p->lock, flags);
	job->local_done = true;
	if (unlikely(bio->bi_status)) {
		if (repl_not_supported(bio, bio->bi_status))
			bio->bi_status = BLK_STS_NOTSUPP;	/* what callers look for */
		else
			repl_local_error(p, job->end > job->sector);
		if (bio->bi_opf & (REQ_PREFLUSH | REQ_FUA))
			repl_local_flush_failed(p);
	} else if (unlikely(p->flush_failed) && is_flush(job)) {
		WRITE_ONCE(p->flush_failed, false);
		repl_pair_recovered(p);
	}
	settle(job, &ended);
	spin_unlock_irqrestore(&p->lock, flags);
	repl_end_bios(&ended);
}

static void replica_endio(struct bio *bio)
{
	struct repl_job *job = bio->bi_private;
	struct bio_list ended = BIO_EMPTY_LIST;
	struct repl_pair *p = job->p;
	unsigned long flags;

	bio_uninit(bio);
	spin_lock_irqsave(&p->lock, flags);
	if (unlikely(try_again(bio)) && !job->abandoned) {
		send_later(job);
		goto out;
	}
	job->replica_done = true;
	if (unlikely(job->abandoned)) {
		if (!bio->bi_status)
			repl_replica_took(job->to, job->start);
		repl_late_back(job->to);
	} else if (unlikely(bio->bi_status) && !repl_not_supported(bio, bio->bi_status)) {
		if (p->sync != REPL_DEGRADED)
			DMERR("%s: the replica has failed %s at sector %llu with error %d",
			      dm_device_name(p->md), kind(job), (u64)job->sector,
			      blk_status_to_errno(bio->bi_status));
		repl_replica_failed(p, REPL_REPLICA_IO, &ended);
	} else if (unlikely(!job->orig)) {
		repl_replica_took(job->to, job->start);
	}
	settle(job, &ended);
out:
	spin_unlock_irqrestore(&p->lock, flags);
	repl_end_bios(&ended);
}

/* What is late, and when it has become so. */
struct late {
	bool found;
	unsigned long when;		/* jiffies */
	unsigned long after;		/* jiffies since it was sent */
	const char *what;
	sector_t sector;
};

static void look(struct late *late, unsigned long start, unsigned long after,
		 const char *what, sector_t sector)
{
	if (late->found && !time_before(start + after, late->when))
		return;
	*late = (struct late){ true, start + after, after, what, sector };
}

/* Which I/O of the replica becomes late first, if any is there. p->lock held. */
static void find_late(struct repl_pair *p, struct late *late)
{
	unsigned long patience = repl_patience(p);
	struct repl_job *job;
	unsigned int i;

	late->found = false;
	list_for_each_entry(job, &p->jobs, list) {
		if (job->replica_done)
			continue;
		/* No writer waits for what is our own. */
		look(late, job->start, job->orig ? patience : p->timeout, kind(job), job->sector);
		if (job->orig)
			break;		/* those behind it were sent later */
	}
	for (i = 0; p->replica && i < REPL_RESYNC_SLOTS; i++) {
		struct repl_resync_slot *slot = &p->replica->slots[i];

		if (slot->copying && !slot->abandoned)
			look(late, slot->start,
			     bio_list_empty(&p->held) ? p->timeout : patience,
			     "the copy of a region",
			     (sector_t)slot->region << p->region_shift);
	}
}

/* What to do about it is different where it is known to be slow rather than away. */
static void say_late(struct repl_pair *p, const struct late *late)
{
	unsigned int seconds = DIV_ROUND_UP(jiffies_to_msecs(late->after), MSEC_PER_SEC);
	const char *limit = " (replica_timeout)";
	const char *advice = "check its host and the link; if they are slow, raise replica_timeout";

	if (late->after < p->timeout) {
		limit = "";
		advice = "it has less than replica_timeout, for it stalled writers before";
	}
	DMERR("%s: the replica has not answered for %u s%s: %s at sector %llu; %s",
	      dm_device_name(p->md), seconds, limit, late->what, (u64)late->sector, advice);
}

/**
 * repl_timeout_work - see whether the replica answers
 * @work: timeout_work of the pair
 *
 * Context: may sleep; not for calling, but for queue_delayed_work() from any context.
 */
void repl_timeout_work(struct work_struct *work)
{
	struct repl_pair *p = container_of(to_delayed_work(work), struct repl_pair,
					   timeout_work);
	struct bio_list ended = BIO_EMPTY_LIST;
	unsigned long now = jiffies;
	struct late late;

	spin_lock_irq(&p->lock);
	find_late(p, &late);
	p->watching = late.found;
	if (late.found && time_after_eq(now, late.when)) {
		say_late(p, &late);
		repl_replica_failed(p, REPL_REPLICA_IO, &ended);
		p->stalled = true;
		p->slowest = 0;
		p->watching = false;
	}
	/* What is sent later may have less time. */
	if (p->watching)
		queue_delayed_work(p->wq, &p->timeout_work,
				   min(late.when - now, repl_patience(p)));
	spin_unlock_irq(&p->lock);
	repl_end_bios(&ended);
}

/*
 * I/O of our own
 */

/*
 * Have both legs flushed; or, where it is a probe, the replica read or written at a sector.
 */
static int own_io(struct repl_pair *p, bool probe, blk_opf_t probe_opf, sector_t sector)
{
	struct repl_job *job = kzalloc(sizeof(*job), GFP_NOIO);
	struct repl_own own;

	if (!job)
		return -ENOMEM;
	init_completion(&own.done);
	job->p = p;
	job->own = &own;
	job->probe = probe;
	job->probe_opf = probe_opf;
	job->sector = sector;
	job->end = sector;
	INIT_LIST_HEAD(&job->unsent);
	if (!probe) {
		init_own(job, &job->local, p->local);
		job->local.bi_end_io = local_endio;
	}
	spin_lock_irq(&p->lock);
	/* Once stopped the replica may be somebody else's. */
	if (probe && (p->suspended || p->stage != REPL_RUNNING)) {
		spin_unlock_irq(&p->lock);
		kfree(job);
		return -EAGAIN;
	}
	job_start(job);
	job->local_done = probe;
	send_later(job);
	spin_unlock_irq(&p->lock);
	if (!probe)
		submit_bio_noacct(&job->local);
	wait_for_completion(&own.done);
	return own.error;
}

/**
 * repl_forward_flush - flush both legs
 * @p: the pair
 *
 * A replica that fails at it is degraded then.
 *
 * Context: may sleep, for not much longer than the replica's timeout.
 * Return: 0 or a negative errno.
 */
int repl_forward_flush(struct repl_pair *p)
{
	return own_io(p, false, 0, 0);
}

/**
 * repl_forward_probe - does the replica answer?
 * @p: the pair, degraded
 * @sector: where to ask
 * @write: not only by a read
 *
 * A host may answer a read from its cache, and have a disk that takes no write. So what is
 * there is written again, durably; nobody else writes to a replica that is degraded.
 *
 * Context: may sleep, for not much longer than twice the replica's timeout.
 * Return: 0 if it does; or a negative errno.
 */
int repl_forward_probe(struct repl_pair *p, sector_t sector, bool write)
{
	int r = own_io(p, true, REQ_OP_READ, sector);

	if (r || !write)
		return r;
	return own_io(p, true, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, sector);
}
