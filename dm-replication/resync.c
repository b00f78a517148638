// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resync: which dirty regions are copied to the replica, while the primary is in use; and
 * when to try it after the replica has failed.
 *
 * A region is copied when none of its writers is in flight, and new ones wait until it
 * has been copied: so nothing older ever overwrites what is newer. A write to a region
 * that is still dirty goes to the local device alone, one to any other to both legs.
 *
 * While I/O of the replica is out that has been abandoned nothing is copied: it could
 * still arrive, after what is newer.
 */
#include <linux/blkdev.h>

#include "primary.h"

#define MAX_RETRY_SECONDS	64U

/* Regions that a replica has to take, after it has stalled, before a writer waits for it. */
#define TRIAL_REGIONS		8U

/**
 * repl_resync_holds - is one of these regions being copied, or about to be?
 * @p: the pair
 * @first: the first region
 * @last: the last one
 *
 * Context: any; p->lock held.
 */
bool repl_resync_holds(struct repl_pair *p, u32 first, u32 last)
{
	unsigned int i;

	if (likely(p->sync != REPL_RESYNC))
		return false;
	for (i = 0; i < REPL_RESYNC_SLOTS; i++)
		if (p->replica->slots[i].busy && p->replica->slots[i].region >= first &&
		    p->replica->slots[i].region <= last)
			return true;
	return false;
}

/**
 * repl_resync_pass - a write does not wait for the copying of its regions
 * @p: the pair
 * @first: the first region, dirty when the write is done
 * @last: the last one
 *
 * They are copied once more.
 *
 * Context: any; p->lock held.
 */
void repl_resync_pass(struct repl_pair *p, u32 first, u32 last)
{
	unsigned int i;

	for (i = 0; p->replica && i < REPL_RESYNC_SLOTS; i++) {
		struct repl_resync_slot *slot = &p->replica->slots[i];

		if (slot->copying && slot->region >= first && slot->region <= last)
			slot->again = true;
	}
}

/**
 * repl_resync_kick - look for what is to be copied
 * @p: the pair
 *
 * Context: any; p->lock or p->admin held.
 */
void repl_resync_kick(struct repl_pair *p)
{
	struct repl_replica *to = READ_ONCE(p->replica);

	if (to)
		mod_delayed_work(p->send_wq, &to->resync_work, 0);
}

/* Who waited for a region may go on. p->lock held. */
static void release_held(struct repl_pair *p)
{
	if (bio_list_empty(&p->held))
		return;
	bio_list_merge(&p->runnable, &p->held);
	bio_list_init(&p->held);
	queue_work(p->wq, &p->run_work);
}

/**
 * repl_resync_abandon - nobody waits for what is being copied any more
 * @p: the pair, in sync degraded by now
 *
 * Context: any; p->lock held.
 */
void repl_resync_abandon(struct repl_pair *p)
{
	unsigned int i;

	for (i = 0; i < REPL_RESYNC_SLOTS; i++) {
		struct repl_resync_slot *slot = &p->replica->slots[i];

		if (!slot->copying) {
			slot->busy = false;
		} else if (!slot->abandoned) {
			slot->abandoned = true;
			p->replica->nr_abandoned++;
		}
	}
	release_held(p);
	wake_up_all(&p->quiet);
}

/**
 * repl_resync_again - what is being copied is to be copied once more
 * @p: the pair
 *
 * Context: any; p->lock held.
 */
void repl_resync_again(struct repl_pair *p)
{
	unsigned int i;

	for (i = 0; i < REPL_RESYNC_SLOTS; i++)
		p->replica->slots[i].again = p->replica->slots[i].copying;
	repl_resync_kick(p);
}

/**
 * repl_resync_is_quiet - nothing is being copied, but for what has been abandoned
 * @p: the pair
 *
 * Context: any; p->lock held.
 */
bool repl_resync_is_quiet(struct repl_pair *p)
{
	unsigned int i;

	for (i = 0; p->replica && i < REPL_RESYNC_SLOTS; i++)
		if (p->replica->slots[i].copying && !p->replica->slots[i].abandoned)
			return false;
	return true;
}

/**
 * repl_resync_unhold - who waits for a region whose copying has not begun may go on
 * @p: the pair, which is being suspended or stopped: none will begin
 *
 * Context: any; p->lock held.
 */
void repl_resync_unhold(struct repl_pair *p)
{
	unsigned int i;

	for (i = 0; p->replica && i < REPL_RESYNC_SLOTS; i++)
		if (!p->replica->slots[i].copying)
			p->replica->slots[i].busy = false;
	release_held(p);
}

/* p->lock held. */
static void region_done(struct repl_resync_slot *slot, enum repl_copied outcome,
			struct bio_list *ended)
{
	bool abandoned = slot->abandoned;
	struct repl_pair *p = slot->to->p;

	/* A discard that is done again as a copy has failed somehow. */
	if (outcome != REPL_REPLICA_FAILED &&
	    !(outcome == REPL_COPY_AGAIN && slot->discard)) {
		repl_replica_took(slot->to, slot->start);
		if (!abandoned)
			p->trial -= p->trial > 0;
	}
	slot->busy = false;
	slot->copying = false;
	slot->abandoned = false;
	if (outcome == REPL_COPY_AGAIN && slot->discard)
		__clear_bit(slot->region, p->discarded);
	if (abandoned) {
		repl_late_back(slot->to);
	} else if (outcome == REPL_REPLICA_FAILED) {
		DMERR("%s: the replica has failed the copy of the region at sector %llu",
		      dm_device_name(p->md), (u64)slot->region << p->region_shift);
		repl_replica_failed(p, REPL_REPLICA_IO, ended);
	} else if (outcome == REPL_LOCAL_FAILED) {
		/* No fault of the replica's. The others first, and not at once. */
		repl_local_error(p, false);
		p->resync_at = ktime_get_ns() + NSEC_PER_SEC;
	} else if (outcome == REPL_COPIED && !slot->again &&
		   __test_and_clear_bit(slot->region, p->dirty)) {
		__clear_bit(slot->region, p->discarded);
		WRITE_ONCE(p->nr_dirty, p->nr_dirty - 1);
	}
	release_held(p);
	repl_resync_kick(p);
	wake_up_all(&p->quiet);
}

/**
 * repl_resync_done - the copying of a region is over
 * @slot: its slot; not to be touched any more
 * @outcome: what came of it
 *
 * Context: any; p->lock not held.
 */
void repl_resync_done(struct repl_resync_slot *slot, enum repl_copied outcome)
{
	struct bio_list ended = BIO_EMPTY_LIST;
	struct repl_pair *p = slot->to->p;
	unsigned long flags;

	spin_lock_irqsave(&p->lock, flags);
	region_done(slot, outcome, &ended);
	spin_unlock_irqrestore(&p->lock, flags);
	repl_end_bios(&ended);
}

/* The next dirty region that has no slot yet. */
static bool next_dirty(struct repl_pair *p, u32 *region)
{
	u32 at = find_next_bit(p->dirty, p->nr_regions, p->resync_next);

	if (at >= p->nr_regions)
		at = find_first_bit(p->dirty, p->nr_regions);
	if (at >= p->nr_regions || repl_resync_holds(p, at, at))
		return false;
	p->resync_next = at + 1;
	*region = at;
	return true;
}

/* Whether another region may begin now; if not, there will be another look. */
static bool in_time(struct repl_pair *p, u32 region)
{
	u64 now = ktime_get_ns(), bytes = repl_region_len(p, region) << SECTOR_SHIFT;

	if (now < p->resync_at) {
		/* Not mod_delayed_work(): somebody may have asked for a look at once. */
		queue_delayed_work(p->send_wq, &p->replica->resync_work,
				   nsecs_to_jiffies(p->resync_at - now) + 1);
		return false;
	}
	/* What was lost by waking up late may be made up for. */
	if (p->resync_rate)
		p->resync_at = max(p->resync_at, now - 20 * NSEC_PER_MSEC) +
			div_u64(bytes * (NSEC_PER_SEC >> 10), p->resync_rate);
	return true;
}

/* Give the slot something to do; true if its copying can begin. p->lock held. */
static bool fill_slot(struct repl_pair *p, struct repl_resync_slot *slot)
{
	u32 next = p->resync_next;

	if (slot->copying)
		return false;
	if (!slot->busy) {
		if (!next_dirty(p, &slot->region))
			return false;
		if (!in_time(p, slot->region)) {
			p->resync_next = next;
			return false;
		}
		slot->busy = true;
	}
	slot->again = false;
	if (p->writers[slot->region]) {
		if (!p->trial)
			return false;		/* its last writer calls */
		slot->again = true;
	}
	slot->copying = true;
	slot->discard = test_bit(slot->region, p->discarded);
	slot->start = jiffies;
	if (!p->watching) {
		p->watching = true;
		queue_delayed_work(p->wq, &p->timeout_work, repl_patience(p));
	}
	return true;
}

/* Whether it is the replica that is to be copied to. p->lock held. */
static bool is_wanted(struct repl_replica *to)
{
	struct repl_pair *p = to->p;

	return to == p->replica && p->stage == REPL_RUNNING && p->sync == REPL_RESYNC;
}

/**
 * repl_resync_work - copy what is to be copied
 * @work: resync_work of the replica
 *
 * Context: may sleep; not for calling, but for repl_resync_kick() from any context.
 */
void repl_resync_work(struct work_struct *work)
{
	struct repl_replica *to = container_of(to_delayed_work(work), struct repl_replica,
					       resync_work);
	struct repl_pair *p = to->p;
	unsigned int i, busy = 0;
	bool begin;

	for (i = 0; i < REPL_RESYNC_SLOTS; i++) {
		struct repl_resync_slot *slot = &to->slots[i];

		spin_lock_irq(&p->lock);
		begin = is_wanted(to) && !p->suspended && fill_slot(p, slot);
		spin_unlock_irq(&p->lock);
		if (begin)
			repl_region_copy(slot);
	}

	spin_lock_irq(&p->lock);
	for (i = 0; i < REPL_RESYNC_SLOTS; i++)
		busy += to->slots[i].busy;
	if (is_wanted(to) && !p->nr_dirty && !busy) {
		p->trial = 0;
		repl_pair_set_sync(p, REPL_INSYNC);
	}
	spin_unlock_irq(&p->lock);
}

/*
 * After a failure
 */

/**
 * repl_replica_proven - has the replica been in sync for long?
 * @p: the pair
 *
 * If not, a failure is one more of those before, and not the first one.
 *
 * Context: any; p->lock held.
 */
bool repl_replica_proven(struct repl_pair *p)
{
	return p->sync == REPL_INSYNC &&
		ktime_get_seconds() >= p->insync_since + MAX_RETRY_SECONDS;
}

/**
 * repl_replica_took - a replica has answered, if late
 * @to: the replica
 * @start: jiffies; since when it had to
 *
 * A replica that is slow, but within its timeout, is given twice the time that it needs. So
 * it becomes proven after a few failures, and each that is to follow has to be slower than that.
 *
 * Context: any; p->lock held.
 */
void repl_replica_took(struct repl_replica *to, unsigned long start)
{
	unsigned long took = jiffies - start;
	struct repl_pair *p = to->p;

	if (to == p->replica && took < p->timeout)
		p->slowest = max(p->slowest, took);
}

/**
 * repl_patience - how long a writer waits for the replica
 * @p: the pair
 *
 * After a wait for the whole timeout in vain, and until the replica is proven, no writer waits
 * longer than a second, or than a slow replica needs.
 *
 * Context: any; p->lock held.
 * Return: jiffies.
 */
unsigned long repl_patience(struct repl_pair *p)
{
	unsigned long patience;

	if (likely(!p->stalled) || repl_replica_proven(p))
		return p->timeout;
	patience = max((unsigned long)HZ, 2 * p->slowest);
	return min(patience, p->timeout);
}

/**
 * repl_retry - see some time whether the replica answers again
 * @p: the pair
 *
 * Context: any.
 */
void repl_retry(struct repl_pair *p)
{
	queue_delayed_work(p->idle_wq, &p->retry_work, p->retry_seconds * HZ);
}

/* Is there anything to retry, and can it be? p->lock held. */
static bool is_lost(struct repl_pair *p)
{
	return p->stage == REPL_RUNNING && p->sync == REPL_DEGRADED && !p->suspended &&
		!repl_late_io(p);
}

/*
 * Where to ask whether the replica answers: in a dirty region, if there is one, and in
 * another place than before, for it may have a sector that cannot be read. p->lock held.
 */
static sector_t probe_sector(struct repl_pair *p)
{
	u32 region = find_next_bit(p->dirty, p->nr_regions, p->resync_next), pages;

	if (region >= p->nr_regions)
		region = find_first_bit(p->dirty, p->nr_regions);
	if (region >= p->nr_regions)
		region = 0;
	p->resync_next = region + 1;
	pages = max_t(sector_t, repl_region_len(p, region) >> PAGE_SECTORS_SHIFT, 1);
	return ((sector_t)region << p->region_shift) +
		((p->nr_probes++ % pages) << PAGE_SECTORS_SHIFT);
}

static void retry_work(struct work_struct *work)
{
	struct repl_pair *p = container_of(to_delayed_work(work), struct repl_pair, retry_work);
	bool may, wanted, answers, stalled;
	sector_t sector;

	spin_lock_irq(&p->lock);
	wanted = p->resync_wanted;
	may = is_lost(p) && (wanted || !p->manual_resync);
	if (may) {
		p->retry_seconds = min(2 * p->retry_seconds, MAX_RETRY_SECONDS);
		p->resync_wanted = false;
		sector = probe_sector(p);
		stalled = p->stalled;
	}
	spin_unlock_irq(&p->lock);
	if (!may)
		return;

	answers = !repl_forward_probe(p, sector, stalled);
	spin_lock_irq(&p->lock);
	if (p->suspended) {
		p->resync_wanted |= wanted;	/* after the resume */
	} else if (!answers) {
		repl_retry(p);
	} else if (is_lost(p)) {
		if (p->stalled)
			p->trial = min(p->nr_dirty, TRIAL_REGIONS);
		repl_pair_set_sync(p, REPL_RESYNC);
		repl_resync_kick(p);
	}
	spin_unlock_irq(&p->lock);
}

/**
 * repl_resync_init - the parts that need no memory
 * @p: the pair
 */
void repl_resync_init(struct repl_pair *p)
{
	INIT_DELAYED_WORK(&p->retry_work, retry_work);
	p->retry_seconds = 1;
}
