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

/**
 * repl_copy_begin - begin to add copies
 * @io: who has them made; it has a claim on the chunks and a reservation
 * @copies: how many it will add
 *
 * Context: any.
 */
void repl_copy_begin(struct repl_io *io, unsigned int copies)
{
	io->copy_failed = false;
	atomic_set(&io->copies, copies);
}

/**
 * repl_copy_add - copy a run of chunks from one device of the set to another
 * @io: who has it made; not to be touched any more after the last one
 * @from: where the chunks are now
 * @to: where they are wanted
 * @first: the first chunk, in the region of the claim
 * @end: behind the last one
 * @fn: called in kcopyd's thread; ends in repl_copy_end()
 *
 * Context: may sleep, for a job of kcopyd.
 */
void repl_copy_add(struct repl_io *io, enum repl_dev from, enum repl_dev to,
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
 * repl_copy_end - one copy is done
 * @io: who had it made
 *
 * Context: may sleep.
 * Return: whether this was the last: then the caller owns the io again, and its
 * reservation is given back.
 */
bool repl_copy_end(struct repl_io *io)
{
	if (!atomic_dec_and_test(&io->copies))
		return false;
	unreserve(io);
	return true;
}
