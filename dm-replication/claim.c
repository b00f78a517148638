// SPDX-License-Identifier: GPL-2.0-only
/*
 * Claims, and the ios that wait.
 *
 * I/O that only remaps to a place where nothing can happen to it needs no claim.
 * What does is recorded in its region, so that others see it:
 *
 *		waits for	because
 *   READ	-		the secondary has the old content until the
 *				ingress write, which waits for the READ
 *   COPY	COPY		a chunk is saved once
 *   ingress	READ FILL	they still read the old content
 *    write
 *   FILL	FILL WRITE	it would overwrite newer data, or be done twice
 *		MERGE
 *   WRITE	FILL MERGE	the fill would overwrite it; the merge would miss it
 *   MERGE	FILL WRITE	the same; it claims first, so that writers queue up
 *				behind it instead of starving it
 *
 * An io that waits owns no claim (but for MERGE), so nobody waits for it, and
 * every claim is given back by the completion of I/O to other devices: no cycle.
 * Who has a copy (copy.c) waits for such I/O alone.
 * What waited starts afresh when its blocker is done, from a work of its own lane;
 * nothing polls.
 */
#include "replication.h"

/**
 * repl_io_init - prepare an io
 * @io: the io
 * @lane: its user's
 * @ti: its face's target; NULL for the merge
 * @resume: what goes on with it after a wait, in process context
 *
 * Context: any.
 */
void repl_io_init(struct repl_io *io, struct repl_lane *lane, struct dm_target *ti,
		  void (*resume)(struct repl_io *io))
{
	io->claim = REPL_CLAIM_NONE;
	io->dev = REPL_NOWHERE;
	io->entered = false;
	io->mapping = false;
	io->discard = false;
	io->fua = false;
	io->flush_both = false;
	io->end_sector = 0;
	io->rs = lane->rs;
	io->lane = lane;
	io->gate = lane->gate;
	io->ti = ti;
	io->resume = resume;
}

/**
 * repl_io_claim - record that an io has business with chunks
 * @io: the io; it has no claim
 * @claim: what for
 * @r: their region
 * @first: the first chunk, in the region
 * @end: behind the last one
 *
 * Context: any; r->lock held.
 */
void repl_io_claim(struct repl_io *io, enum repl_claim claim,
		   struct repl_region *r, unsigned int first, unsigned int end)
{
	lockdep_assert_held(&r->lock);
	INIT_LIST_HEAD(&io->waiters);
	io->claim = claim;
	io->region = r;
	io->first = first;
	io->end = end;
	hlist_add_head(&io->node, &r->claims);
}

/* wait_lock held. An io that is on no list of those that wait, but may be held, goes on. */
static void run(struct repl_io *io)
{
	struct repl_lane *lane = io->lane;

	lockdep_assert_held(&lane->rs->wait_lock);
	/* If there are others, the work has yet to come to them. */
	if (list_empty(&lane->runnable))
		queue_work(lane->rs->wq, &lane->run_work);
	list_add_tail(&io->wait, &lane->runnable);
}

/**
 * repl_io_release_locked - give a claim back, and let those go who wait for it
 * @io: the io
 *
 * Context: any; io->region->lock held.
 */
void repl_io_release_locked(struct repl_io *io)
{
	struct repl_set *rs = io->rs;
	struct repl_io *waiter, *next;

	lockdep_assert_held(&io->region->lock);
	hlist_del(&io->node);
	io->claim = REPL_CLAIM_NONE;
	/*
	 * Nobody new can find it now. If repl_io_requeue() is just taking a waiter
	 * away, either we see the list whole and take its lock, or it is done.
	 */
	if (likely(list_empty_careful(&io->waiters)))
		return;
	spin_lock(&rs->wait_lock);
	list_for_each_entry_safe(waiter, next, &io->waiters, wait) {
		list_del(&waiter->wait);
		run(waiter);
	}
	spin_unlock(&rs->wait_lock);
}

/**
 * repl_io_release - repl_io_release_locked() for who does not hold the lock
 * @io: the io
 *
 * Context: any.
 */
void repl_io_release(struct repl_io *io)
{
	struct repl_region *r = io->region;
	unsigned long flags;

	spin_lock_irqsave(&r->lock, flags);
	repl_io_release_locked(io);
	spin_unlock_irqrestore(&r->lock, flags);
}

/**
 * repl_claim_find - look for a claim that overlaps
 * @r: the region
 * @mask: kinds of claim, enum repl_claim
 * @first: the first chunk, in the region
 * @end: behind the last one
 *
 * Context: any; r->lock held.
 * Return: one of them, or NULL.
 */
struct repl_io *repl_claim_find(struct repl_region *r, unsigned int mask,
				unsigned int first, unsigned int end)
{
	struct repl_io *io;

	lockdep_assert_held(&r->lock);
	hlist_for_each_entry(io, &r->claims, node)
		if (io->claim & mask && io->first < end && first < io->end)
			return io;
	return NULL;
}

/* Whether its face is in a noflush suspend, which does not wait for who waits. */
static bool is_requeued(struct repl_io *io)
{
	return io->ti && unlikely(READ_ONCE(repl_io_face(io)->requeue)) &&
		dm_noflush_suspending(io->ti);
}

/**
 * repl_io_wait_locked - put an io on a list of those that wait
 * @io: who waits; not to be touched any more once the lock is dropped
 * @where: the list, or on it whom it comes before
 *
 * In a noflush suspend of its face it does not wait, but goes on at once, which gives
 * it back to dm: repl_io_requeue() has been here, and does not come again.
 *
 * Context: any; rs->wait_lock held.
 */
void repl_io_wait_locked(struct repl_io *io, struct list_head *where)
{
	struct repl_set *rs = io->rs;

	lockdep_assert_held(&rs->wait_lock);
	io->mapping = false;
	list_add_tail(&io->held, &rs->held);
	if (unlikely(is_requeued(io)))
		run(io);
	else
		list_add_tail(&io->wait, where);
}

/**
 * repl_io_wait_for - wait until a claim is given back, then resume
 * @io: who waits; not to be touched any more
 * @blocker: who has the claim
 *
 * Context: any; does not sleep; the lock of the blocker's region held, under
 * which the claim was found.
 */
void repl_io_wait_for(struct repl_io *io, struct repl_io *blocker)
{
	lockdep_assert_held(&blocker->region->lock);
	spin_lock(&io->rs->wait_lock);
	repl_io_wait_locked(io, &blocker->waiters);
	spin_unlock(&io->rs->wait_lock);
}

/**
 * repl_io_resume - have an io go on from a worker
 * @io: the io; not to be touched any more
 *
 * Context: any; does not sleep.
 */
void repl_io_resume(struct repl_io *io)
{
	struct repl_set *rs = io->rs;
	unsigned long flags;

	spin_lock_irqsave(&rs->wait_lock, flags);
	io->mapping = false;
	list_add_tail(&io->held, &rs->held);
	run(io);
	spin_unlock_irqrestore(&rs->wait_lock, flags);
}

/**
 * repl_io_cut - make a bio end before a sector
 * @io: the bio's io
 * @bio: the bio; dm sends the rest in another one
 * @sector: within or behind the bio
 *
 * Context: ->map, before the first wait; later a bio cannot be cut any more.
 */
void repl_io_cut(struct repl_io *io, struct bio *bio, sector_t sector)
{
	if (sector < bio_end_sector(bio) && !WARN_ON_ONCE(!io->mapping))
		dm_accept_partial_bio(bio, sector - bio->bi_iter.bi_sector);
}

/* Wait for the gate. False: it has opened meanwhile. */
static bool hold(struct repl_io *io)
{
	struct repl_set *rs = io->rs;
	unsigned long flags;
	bool held;

	spin_lock_irqsave(&rs->wait_lock, flags);
	held = READ_ONCE(io->gate->closed);
	if (held)
		repl_io_wait_locked(io, &io->gate->held);
	spin_unlock_irqrestore(&rs->wait_lock, flags);
	return held;
}

/**
 * repl_io_map - the part of ->map that both faces share
 * @io: the bio's io, initialised
 * @bio: the bio
 * @route: decides; returns a DM_MAPIO code
 * @unit: sectors; what waits at the gate is cut to it, for stage and maps may be
 *	others afterwards, and then it is too late
 *
 * Context: ->map.
 * Return: a DM_MAPIO code.
 */
int repl_io_map(struct repl_io *io, struct bio *bio,
		int (*route)(struct repl_io *io, struct bio *bio), sector_t unit)
{
	int r;

	io->mapping = true;
	while (unlikely(!repl_gate_enter(io->gate))) {
		repl_io_cut(io, bio, (bio->bi_iter.bi_sector | (unit - 1)) + 1);
		if (hold(io))
			return DM_MAPIO_SUBMITTED;
	}
	io->entered = true;

	r = route(io, bio);
	if (likely(r == DM_MAPIO_REMAPPED)) {
		repl_submit(dm_table_get_md(io->ti->table), bio);
		return DM_MAPIO_SUBMITTED;
	}
	if (unlikely(r == DM_MAPIO_KILL))
		repl_gate_exit(io->gate);	/* no end_io will come */
	return r;
}

/**
 * repl_io_continue - route a bio again after a wait
 * @io: the bio's io
 * @route: decides; returns a DM_MAPIO code
 *
 * Context: may sleep.
 */
void repl_io_continue(struct repl_io *io,
		      int (*route)(struct repl_io *io, struct bio *bio))
{
	struct bio *bio = repl_io_bio(io);

	/* Its caller is not held up by what we do here, and is not to try again for it. */
	bio->bi_opf &= ~REQ_NOWAIT;
	if (is_requeued(io)) {
		bio->bi_status = BLK_STS_DM_REQUEUE;
		bio_endio(bio);
		return;
	}
	if (!io->entered) {
		while (!repl_gate_enter(io->gate))
			if (hold(io))
				return;
		io->entered = true;
	}
	switch (route(io, bio)) {
	case DM_MAPIO_REMAPPED:
		repl_submit(dm_table_get_md(io->ti->table), bio);
		break;
	case DM_MAPIO_KILL:
		bio_io_error(bio);
		break;
	}
}

/* Whether a bio's status tells of a failure of the device that it was sent to. */
static bool device_failed(struct bio *bio, blk_status_t error)
{
	switch (error) {
	case BLK_STS_DM_REQUEUE:
	case BLK_STS_NOTSUPP:
	case BLK_STS_AGAIN:
		return false;
	case BLK_STS_TARGET:		/* "not supported", from SCSI */
		return bio_op(bio) == REQ_OP_READ || bio_op(bio) == REQ_OP_WRITE;
	default:
		/* A suspended device fails readahead, and its reader tries again. */
		return !(bio->bi_opf & REQ_RAHEAD);
	}
}

/**
 * repl_io_end - the part of end_io that both faces share
 * @io: the bio's io, without a claim by now
 * @bio: the bio
 * @error: its status
 *
 * Context: end_io. The set may be gone when this returns.
 */
void repl_io_end(struct repl_io *io, struct bio *bio, blk_status_t error)
{
	if (unlikely(error) && io->dev != REPL_NOWHERE && device_failed(bio, error)) {
		if (bio->bi_opf & REQ_PREFLUSH)
			repl_flush_failed(io->rs, io->dev);
		repl_fail_dev(io->rs, io->dev, error);
	}
	if (likely(io->entered))
		repl_gate_exit(io->gate);
}

/**
 * repl_io_requeue - give all bios of a face that wait back to dm
 * @face: the face, in a noflush suspend; until face->requeue is cleared
 *
 * Context: may sleep.
 */
void repl_io_requeue(struct repl_face *face)
{
	struct repl_set *rs = face->rs;
	struct repl_io *io;

	spin_lock_irq(&rs->wait_lock);
	/* Who waits later sees this under the same lock. */
	WRITE_ONCE(face->requeue, true);
	list_for_each_entry(io, &rs->held, held)
		if (io->ti == face->ti) {
			list_del(&io->wait);
			run(io);
		}
	spin_unlock_irq(&rs->wait_lock);
}

/* Who goes on next; wait_lock held. */
static struct repl_io *next_io(struct repl_lane *lane)
{
	struct repl_io *io = repl_copy_next(lane, list_empty(&lane->runnable));

	return io ?: list_first_entry_or_null(&lane->runnable, struct repl_io, wait);
}

/**
 * repl_run_work - go on with the ios that need not wait any more
 * @work: run_work of a lane
 *
 * Context: may sleep; not for calling, but for queue_work() from any context.
 */
void repl_run_work(struct work_struct *work)
{
	struct repl_lane *lane = container_of(work, struct repl_lane, run_work);
	struct repl_set *rs = lane->rs;
	struct repl_io *io;

	for (;;) {
		spin_lock_irq(&rs->wait_lock);
		io = next_io(lane);
		if (io) {
			list_del(&io->wait);
			list_del(&io->held);
		}
		spin_unlock_irq(&rs->wait_lock);
		if (!io)
			break;
		io->resume(io);
		cond_resched();
	}
}
