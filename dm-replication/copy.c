// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies of chunks that one bio has to wait for, by kcopyd, and the bound on how
 * much of that is in flight.
 */
#include "replication.h"

/**
 * repl_copy_reserve - may an io have copies made now?
 * @io: the io; its copy_sectors are set
 *
 * There is a bound on what a set copies at once, which the last one to be let in
 * may exceed. Who is told no waits for others to finish, and is resumed then.
 *
 * Context: any; does not sleep.
 * Return: false if it waits, and is not to be touched any more.
 */
bool repl_copy_reserve(struct repl_io *io)
{
	struct repl_set *rs = io->rs;
	unsigned long flags;
	bool ok;

	spin_lock_irqsave(&rs->wait_lock, flags);
	ok = rs->copying < REPL_MAX_COPYING;
	if (ok)
		rs->copying += io->copy_sectors;
	else
		repl_io_wait_locked(io, &rs->throttled);
	spin_unlock_irqrestore(&rs->wait_lock, flags);
	return ok;
}

static void unreserve(struct repl_io *io)
{
	struct repl_set *rs = io->rs;
	unsigned long flags;
	bool run;

	spin_lock_irqsave(&rs->wait_lock, flags);
	rs->copying -= io->copy_sectors;
	run = rs->copying < REPL_MAX_COPYING && !list_empty(&rs->throttled);
	if (run)
		list_splice_tail_init(&rs->throttled, &rs->runnable);
	spin_unlock_irqrestore(&rs->wait_lock, flags);
	if (run)
		queue_work(rs->wq, &rs->run_work);
}

/* Copy chunks of the claim from one device of the set to another. */
static void copy_run(struct repl_io *io, enum repl_dev from, enum repl_dev to,
		     unsigned int first, unsigned int end, dm_kcopyd_notify_fn fn)
{
	struct repl_set *rs = io->rs;
	struct dm_io_region src, dest;

	src.bdev = rs->bdev[from];
	src.sector = repl_chunk_sector(rs, io->region, first);
	src.count = min_t(sector_t, rs->len - src.sector,
			  (sector_t)(end - first) << rs->chunk_shift);
	dest = src;
	dest.bdev = rs->bdev[to];
	dm_kcopyd_copy(rs->kc, &src, 1, &dest, 0, fn, io);
}

/**
 * repl_copy_start - copy the chunks of a claim
 * @io: who has them copied; not to be touched any more, but by @fn. Its
 *	copy_sectors are what it has reserved, or 0
 * @to: where they are wanted
 * @next: finds the next run to copy from *@first on, at least one in the claim,
 *	and where it is; called with the region's lock held. The claim has to keep
 *	others from changing the answer
 * @fn: called for each run, one by one, in kcopyd's thread, with @io; ends in
 *	repl_copy_end()
 *
 * Context: may sleep, for a job of kcopyd: so never in kcopyd's own thread.
 */
void repl_copy_start(struct repl_io *io, enum repl_dev to, repl_next_run_fn next,
		     dm_kcopyd_notify_fn fn)
{
	unsigned int first, end = io->end, run_end, copies = 0;
	struct repl_region *r = io->region;
	enum repl_dev from;

	spin_lock_irq(&r->lock);
	for (first = io->first; next(r, &first, &run_end, end, &from); first = run_end)
		copies++;
	spin_unlock_irq(&r->lock);

	io->copy_failed = false;
	atomic_set(&io->copies, copies);
	for (first = io->first; copies; copies--, first = run_end) {
		spin_lock_irq(&r->lock);
		next(r, &first, &run_end, end, &from);
		spin_unlock_irq(&r->lock);
		copy_run(io, from, to, first, run_end, fn);
	}
}

/**
 * repl_copy_end - one run is done
 * @io: who had it copied
 * @failed: or not
 *
 * Context: kcopyd's thread.
 * Return: whether this was the last: then the caller owns the io again, and its
 * reservation is given back.
 */
bool repl_copy_end(struct repl_io *io, bool failed)
{
	if (failed)
		io->copy_failed = true;
	if (!atomic_dec_and_test(&io->copies))
		return false;
	if (io->copy_sectors)
		unreserve(io);
	return true;
}
