// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failover: the online merge of the stores into the secondary.
 *
 * A work goes through the chunks once, upwards. A run of chunks that the stores
 * hold is claimed, which keeps new writes of the view off it; the writes that are
 * under way are waited for, and may yet move a chunk from hidden to active; then
 * the run is copied; its bits are cleared, and the waiting writes go to the
 * secondary. Behind the work no chunk is held again, for writes to chunks that are
 * not held go to the secondary. So it ends.
 */
#include "replication.h"

/* How often it is made durable what is done: so much is done again after a crash. */
#define REPL_MERGE_COMMIT	(5 * HZ)

/* rs->merge.work, which alone looks at most of struct repl_merge. */
static void kick(struct repl_set *rs)
{
	queue_work(rs->wq, &rs->merge.work);
}

/* The view's write that a slot has waited for is done, or it has a copy. */
static void slot_resume(struct repl_io *io)
{
	struct repl_merge_slot *slot = container_of(io, struct repl_merge_slot, io);

	slot->copy = repl_copy_turn(io);
	smp_store_release(&slot->resumed, true);	/* after the write's end */
	kick(io->rs);
}

static void slot_copied(struct repl_io *io, blk_status_t read_error,
			blk_status_t write_error)
{
	struct repl_merge_slot *slot = container_of(io, struct repl_merge_slot, io);
	struct repl_region *r = io->region;
	struct repl_set *rs = io->rs;
	struct repl_merge *merge = &rs->merge;

	spin_lock_irq(&r->lock);
	if (write_error == BLK_STS_NOSPC)
		WRITE_ONCE(merge->no_space, true);
	if (read_error || write_error)
		WRITE_ONCE(merge->failed, true);
	else
		repl_map_clear(rs, r, io->first, io->end);
	repl_io_release_locked(io);
	spin_unlock_irq(&r->lock);

	if (rs->commit && time_after_eq(jiffies, merge->commit_at)) {
		repl_commit_progress(rs);
		merge->commit_at = jiffies + REPL_MERGE_COMMIT;
	}
	smp_store_release(&slot->busy, false);	/* the last we do with the slot */
	kick(rs);
}

/* Copy the chunks that the slot has claimed, or wait until that can be. */
static void slot_copy(struct repl_merge_slot *slot)
{
	struct repl_io *other, *io = &slot->io;
	struct repl_copy *copy = slot->copy;
	struct repl_region *r = io->region;

	slot->copy = NULL;
	slot->resumed = false;
	spin_lock_irq(&r->lock);
	/* It has waited for a copy only when there was no such claim; and none comes. */
	other = copy ? NULL : repl_claim_find(r, REPL_CLAIM_FILL | REPL_CLAIM_WRITE,
					      io->first, io->end);
	if (other)
		repl_io_wait_for(io, other);
	else if (!copy)
		copy = repl_copy_get(io);
	spin_unlock_irq(&r->lock);
	slot->waiting = !copy;
	if (copy)
		repl_copy_start(copy, io, REPL_SECONDARY, repl_map_next_run, slot_copied);
}

/* Claim the next run of chunks that stores hold. False: there is none left. */
static bool slot_claim(struct repl_set *rs, struct repl_merge_slot *slot)
{
	unsigned int most = max(REPL_MERGE_SECTORS >> rs->chunk_shift, 1U);
	struct repl_merge *merge = &rs->merge;
	unsigned int first, end, run;
	struct repl_region *r;
	unsigned long flags;
	bool held = false;

	while (!held && merge->next < rs->nr_chunks) {
		r = &rs->regions[merge->next >> REPL_REGION_SHIFT];
		first = merge->next & (REPL_REGION_CHUNKS - 1);
		end = min_t(u64, REPL_REGION_CHUNKS, rs->nr_chunks - merge->next + first);
		run = end;
		if (READ_ONCE(r->epoch) == rs->epoch) {
			flags = repl_region_lock(rs, r);
			held = repl_map_held_run(r, first, &run);
			if (held) {
				run = min(run, first + most);
				slot->busy = true;
				repl_io_claim(&slot->io, REPL_CLAIM_MERGE, r, first, run);
			}
			spin_unlock_irqrestore(&r->lock, flags);
		}
		merge->next += run - first;
		cond_resched();
	}
	return held;
}

/* All is copied, or something failed: the one place where a merge ends. */
static void merge_end(struct repl_set *rs)
{
	enum repl_stage stage = REPL_DONE;
	bool recorded, failed = rs->merge.failed;

	if (!failed && repl_flush_dev(rs, REPL_SECONDARY))
		failed = true;
	if (failed) {
		repl_fail(rs, rs->merge.no_space ? REPL_MERGE_NOSPC : REPL_MERGE_IO);
		stage = REPL_FAILOVER_FAILED;
	}
	mutex_lock(&rs->admin);
	/* If that fails the device has, and no FLUSH will succeed; see view_flush(). */
	recorded = !repl_commit_state(rs, stage, rs->epoch);
	repl_set_stage(rs, stage);
	/* Otherwise the next start merges again, from the stores as they are. */
	if (stage == REPL_DONE && recorded)
		repl_reclaim_dropped(rs);
	repl_publish(rs);
	mutex_unlock(&rs->admin);
}

static void merge_work(struct work_struct *work)
{
	struct repl_merge *merge = container_of(work, struct repl_merge, work);
	struct repl_set *rs = container_of(merge, struct repl_set, merge);
	/* Pairs with repl_set_stage() */
	bool more = smp_load_acquire(&rs->stage) == REPL_FAILOVER &&
		!READ_ONCE(merge->paused);
	bool idle = true;
	int i;

	for (i = 0; i < REPL_MERGE_SLOTS; i++) {
		struct repl_merge_slot *slot = &merge->slot[i];

		/* Pairs with slot_copied() */
		if (smp_load_acquire(&slot->busy)) {
			/* Pairs with slot_resume() */
			if (slot->waiting && smp_load_acquire(&slot->resumed))
				slot_copy(slot);
			idle = false;
		} else if (more && !READ_ONCE(merge->failed) && slot_claim(rs, slot)) {
			slot_copy(slot);
			idle = false;
		}
	}
	if (!idle)
		return;
	if (more)
		merge_end(rs);
	WRITE_ONCE(merge->idle, true);
	wake_up(&merge->wait);
}

/**
 * repl_merge_init - prepare a set for a merge
 * @rs: the set
 *
 * Context: any.
 */
void repl_merge_init(struct repl_set *rs)
{
	int i;

	INIT_WORK(&rs->merge.work, merge_work);
	init_waitqueue_head(&rs->merge.wait);
	rs->merge.idle = true;
	for (i = 0; i < REPL_MERGE_SLOTS; i++)
		repl_io_init(&rs->merge.slot[i].io, &rs->lane[REPL_MERGE], NULL, slot_resume);
}

/**
 * repl_failover - make the view's content the disk: start the merge, or retry it
 * @rs: the set, in stage running or failover-failed
 *
 * The ingress is fenced at once, whatever hangs. The view goes on in the stage that it
 * is in until the metadata device has the new one, for then only may anything be written
 * to the secondary.
 *
 * Context: may sleep, for the metadata device and the I/O in flight; rs->admin held.
 * Return: 0, or -EINTR if a kill has ended the wait: the stage is what it was then, but
 * the ingress stays fenced, and the metadata device may have the new stage.
 */
int repl_failover(struct repl_set *rs)
{
	struct repl_merge *merge = &rs->merge;
	unsigned int errors = 0;
	int r;

	lockdep_assert_held(&rs->admin);
	WRITE_ONCE(rs->fenced, true);
	if (rs->stage == REPL_FAILOVER_FAILED)
		errors = repl_retry_errors(rs);
	r = repl_commit_failover(rs) ?: repl_quiesce_killable(rs);
	if (r) {
		repl_restore_errors(rs, errors);
		return r;
	}
	if (rs->stage == REPL_RUNNING) {
		atomic_andnot(BIT(REPL_CHECKPOINT_HELD), &rs->errors);
		WRITE_ONCE(merge->total, atomic64_read(&rs->nr_held));
	}
	merge->next = 0;
	merge->commit_at = jiffies + REPL_MERGE_COMMIT;
	merge->failed = false;
	merge->no_space = false;
	WRITE_ONCE(merge->idle, false);
	repl_set_stage(rs, REPL_FAILOVER);
	repl_unquiesce(rs);
	repl_publish(rs);
	kick(rs);
	return 0;
}

/**
 * repl_merge_pause - have no copy of the merge in flight
 * @rs: the set
 *
 * Context: may sleep; the view is suspended, so no write of it is waited for.
 */
void repl_merge_pause(struct repl_set *rs)
{
	WRITE_ONCE(rs->merge.paused, true);
	WRITE_ONCE(rs->merge.idle, false);	/* an earlier work may yet set it */
	kick(rs);
	wait_event(rs->merge.wait, READ_ONCE(rs->merge.idle));
}

/**
 * repl_merge_resume - let the merge go on, if one is under way
 * @rs: the set
 *
 * Context: may sleep.
 */
void repl_merge_resume(struct repl_set *rs)
{
	WRITE_ONCE(rs->merge.paused, false);
	rs->merge.commit_at = jiffies + REPL_MERGE_COMMIT;
	if (READ_ONCE(rs->stage) == REPL_FAILOVER)
		WRITE_ONCE(rs->merge.idle, false);
	kick(rs);
}

/**
 * repl_merge_finish - bring the merge to its end, if one is under way
 * @rs: the set, whose last table goes
 *
 * With metadata it goes on when there is a table again.
 *
 * Context: may sleep, for as long as it takes; but a kill ends it.
 */
void repl_merge_finish(struct repl_set *rs)
{
	u64 left;
	int r;

	if (rs->commit && !repl_commit_failed(rs)) {
		repl_merge_pause(rs);
		return;
	}
	if (READ_ONCE(rs->stage) == REPL_FAILOVER)
		DMINFO("%s: finishing the merge before the table goes", repl_set_name(rs));
	repl_merge_resume(rs);
	r = wait_event_killable(rs->merge.wait, READ_ONCE(rs->stage) != REPL_FAILOVER &&
				READ_ONCE(rs->merge.idle));
	if (r)
		repl_merge_pause(rs);
	flush_work(&rs->merge.work);
	if (!r || READ_ONCE(rs->stage) != REPL_FAILOVER)
		return;
	left = atomic64_read(&rs->nr_held);
	if (left)
		DMERR("%s: the removal was killed before the merge was done: %llu of %llu %s",
		      repl_set_name(rs), left, rs->merge.total,
		      "chunks are lost; copy the primary's disk to the secondary, which is a mixture");
	else
		repl_flush_dev(rs, REPL_SECONDARY);	/* it is all but done */
}
