// SPDX-License-Identifier: GPL-2.0-only
/*
 * Giving back the space of the stores: what a checkpoint, a stop or a merge has
 * dropped is discarded, where the devices can do that.
 *
 * Two bitmaps for each store have one bit a region: "used", a chunk of it was stored
 * there in this epoch; "stale", there is something of an earlier epoch. When the
 * stores are emptied what is used becomes stale. A work goes round the stale regions
 * and discards all chunks that the store does not hold now, one run after the other,
 * and rests after each as long as that took. A claim keeps those off who are about to
 * write there; who was there before is left alone.
 *
 * During a merge nothing is discarded. The maps in memory have less than the metadata
 * device then, and after a crash the merge goes on from what that device has.
 */
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "replication.h"

/*
 * The longest discard, unless the device gives back larger pieces only: who wants to write
 * to a chunk of it waits for it.
 */
#define REPL_DISCARD_SECTORS	(SZ_1M >> SECTOR_SHIFT)

/* What somebody is about to store in active or hidden, or still reads there, and our claim. */
static const struct repl_trim_kind {
	enum repl_dev dev;
	enum repl_claim claim;
	unsigned int busy;		/* enum repl_claim, a mask */
} kinds[REPL_NR_STORES] = {
	{ REPL_ACTIVE, REPL_CLAIM_TRIM_ACTIVE,
	  REPL_CLAIM_FILL | REPL_CLAIM_WRITE | REPL_CLAIM_READ_STORE },
	{ REPL_HIDDEN, REPL_CLAIM_TRIM_HIDDEN, REPL_CLAIM_COPY | REPL_CLAIM_READ_STORE },
};

static struct repl_reclaim *reclaim_of(struct repl_set *rs)
{
	return &rs->reclaim;
}

/* Chunks of the longest discard; a power of two, so that discards are aligned to it. */
static unsigned int piece_chunks(struct repl_set *rs, struct block_device *bdev)
{
	u64 most = max_t(u64, REPL_DISCARD_SECTORS,
			 bdev_discard_granularity(bdev) >> SECTOR_SHIFT);

	return clamp_t(u64, roundup_pow_of_two(most) >> rs->chunk_shift, 1,
		       REPL_REGION_CHUNKS);
}

/*
 * Region lock held. The next run from @first on that the store does not hold and
 * nobody is about to write to; false: there is none.
 */
static bool next_run(struct repl_region *r, const struct repl_trim_kind *kind,
		     unsigned int piece, unsigned int *first, unsigned int *end)
{
	const unsigned long *map = kind->dev == REPL_ACTIVE ? r->active : r->hidden;
	struct repl_io *other;

	for (;;) {
		*first = find_next_zero_bit(map, REPL_REGION_CHUNKS, *first);
		if (*first >= REPL_REGION_CHUNKS)
			return false;
		*end = min(find_next_bit(map, REPL_REGION_CHUNKS, *first),
			   (*first | (piece - 1UL)) + 1);
		do {
			other = repl_claim_find(r, kind->busy, *first, *end);
			if (!other)
				return true;
			*end = max_t(unsigned int, other->first, *first);
		} while (*end > *first);
		*first = other->end;
	}
}

/* Discard chunks of a store, which are claimed. False: it cannot be done any more. */
static bool discard(struct repl_set *rs, const struct repl_trim_kind *kind)
{
	struct repl_io *io = &reclaim_of(rs)->io;
	struct block_device *bdev = rs->bdev[kind->dev];
	sector_t first = repl_chunk_sector(rs, io->region, io->first);
	sector_t end = min(rs->len, repl_chunk_sector(rs, io->region, io->end));
	int r = 0;

	/* Behind the end of the set, or too short for the device to give anything back. */
	if (end > first && end - first >= bdev_discard_granularity(bdev) >> SECTOR_SHIFT)
		r = blkdev_issue_discard(bdev, first, end - first, GFP_NOIO);
	repl_io_release(io);
	if (r && r != -EOPNOTSUPP)
		DMWARN_LIMIT("%s: cannot give space of %s back: error %d", repl_set_name(rs),
			     kind->dev == REPL_ACTIVE ? "active" : "hidden", r);
	return r != -EOPNOTSUPP;
}

/* The next stale region of a store, in turn; false: there is none. */
static bool next_region(struct repl_set *rs, struct repl_trim *trim)
{
	u64 nr;

	if (trim->in_region)
		return true;
	nr = find_next_bit(trim->stale, rs->nr_regions, trim->region);
	if (nr >= rs->nr_regions)
		nr = find_first_bit(trim->stale, rs->nr_regions);
	if (nr >= rs->nr_regions)
		return false;
	/* What becomes stale from now on is looked at again. */
	clear_bit(nr, trim->stale);
	trim->region = nr;
	trim->chunk = 0;
	trim->in_region = true;
	return true;
}

/* Whether a merge has still to be done, if only by the next start. */
static bool is_merging(struct repl_set *rs)
{
	/* Pairs with repl_set_stage(): if that could not be recorded, we know. */
	enum repl_stage stage = smp_load_acquire(&rs->stage);

	return stage == REPL_FAILOVER || stage == REPL_FAILOVER_FAILED ||
		repl_commit_failed(rs);
}

/* One discard of a store; false: there is nothing more to do. */
static bool trim_store(struct repl_set *rs, struct repl_trim *trim,
		       const struct repl_trim_kind *kind)
{
	struct block_device *bdev = rs->bdev[kind->dev];
	unsigned int end, piece = piece_chunks(rs, bdev);
	struct repl_region *r;
	unsigned long flags;
	bool found;

	if (trim->cannot || !bdev_max_discard_sectors(bdev))
		return false;
	while (next_region(rs, trim)) {
		r = &rs->regions[trim->region];
		flags = repl_region_lock(rs, r);
		/* The merge clears bits under this lock, so it has not yet done so here. */
		if (is_merging(rs)) {
			spin_unlock_irqrestore(&r->lock, flags);
			return false;
		}
		found = next_run(r, kind, piece, &trim->chunk, &end);
		if (found)
			repl_io_claim(&reclaim_of(rs)->io, kind->claim, r, trim->chunk, end);
		spin_unlock_irqrestore(&r->lock, flags);
		if (found) {
			trim->chunk = end;
			trim->cannot = !discard(rs, kind);
			return true;
		}
		trim->in_region = false;
		trim->region++;
		cond_resched();
	}
	return false;
}

static void reclaim_work(struct work_struct *work)
{
	struct repl_reclaim *rc = container_of(to_delayed_work(work), struct repl_reclaim, work);
	struct repl_set *rs = container_of(rc, struct repl_set, reclaim);
	unsigned long began = jiffies;
	bool more = false;
	int i;

	/* Whoever queued this may have looked before repl_reclaim_pause(). */
	if (READ_ONCE(rc->paused))
		return;
	for (i = 0; i < REPL_NR_STORES; i++)
		more |= trim_store(rs, &rc->trim[i], &kinds[i]);
	if (more && !READ_ONCE(rc->paused))
		queue_delayed_work(rs->wq, &rc->work, max(jiffies - began, 1UL));
}

/**
 * repl_reclaim_create - prepare a set for giving space back
 * @rs: the set
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM; then repl_reclaim_destroy() is to be called nevertheless.
 */
int repl_reclaim_create(struct repl_set *rs)
{
	struct repl_reclaim *rc = reclaim_of(rs);
	size_t longs = BITS_TO_LONGS(rs->nr_regions);
	int i;

	INIT_DELAYED_WORK(&rc->work, reclaim_work);
	rc->paused = true;
	repl_io_init(&rc->io, &rs->lane[REPL_MERGE], NULL, NULL);	/* it never waits */
	for (i = 0; i < REPL_NR_STORES; i++) {
		rc->trim[i].used = kvcalloc(longs, sizeof(long), GFP_KERNEL);
		rc->trim[i].stale = kvcalloc(longs, sizeof(long), GFP_KERNEL);
		if (!rc->trim[i].used || !rc->trim[i].stale)
			return -ENOMEM;
	}
	return 0;
}

/**
 * repl_reclaim_destroy - the opposite
 * @rs: the set, paused
 *
 * Context: may sleep.
 */
void repl_reclaim_destroy(struct repl_set *rs)
{
	int i;

	for (i = 0; i < REPL_NR_STORES; i++) {
		kvfree(reclaim_of(rs)->trim[i].used);
		kvfree(reclaim_of(rs)->trim[i].stale);
	}
}

/**
 * repl_reclaim_used - a store has got chunks of a region
 * @rs: the set
 * @r: the region
 * @store: REPL_ACTIVE or REPL_HIDDEN
 *
 * Context: any; r->lock held, or nobody else knows the set.
 */
void repl_reclaim_used(struct repl_set *rs, struct repl_region *r, enum repl_dev store)
{
	unsigned long *used = reclaim_of(rs)->trim[store == kinds[1].dev].used;
	unsigned long nr = r - rs->regions;

	if (!test_bit(nr, used))
		set_bit(nr, used);
}

/**
 * repl_reclaim_dropped - the stores hold nothing any more: give their space back
 * @rs: the set
 *
 * What says that they hold nothing is durable, if there is metadata.
 *
 * Context: may sleep; rs->admin held, and nobody stores anything: the gates are closed,
 * or the merge has ended.
 */
void repl_reclaim_dropped(struct repl_set *rs)
{
	struct repl_reclaim *rc = reclaim_of(rs);
	size_t word, words = BITS_TO_LONGS(rs->nr_regions);
	unsigned long used;
	int i;

	lockdep_assert_held(&rs->admin);
	for (i = 0; i < REPL_NR_STORES; i++)
		for (word = 0; word < words; word++) {
			used = rc->trim[i].used[word];
			rc->trim[i].used[word] = 0;
			/* The work may be clearing other bits. */
			if (used)
				set_mask_bits(&rc->trim[i].stale[word], 0, used);
		}
	smp_mb();	/* pairs with repl_reclaim_resume() */
	if (!READ_ONCE(rc->paused))
		queue_delayed_work(rs->wq, &rc->work, 0);
}

/**
 * repl_reclaim_pause - discard nothing, and have no discard in flight
 * @rs: the set
 *
 * Context: may sleep, for a discard.
 */
void repl_reclaim_pause(struct repl_set *rs)
{
	WRITE_ONCE(reclaim_of(rs)->paused, true);
	cancel_delayed_work_sync(&reclaim_of(rs)->work);
}

/**
 * repl_reclaim_resume - go on with what is to be given back
 * @rs: the set, whose view's table is about to do I/O
 * @wanted: whether that table wants it
 *
 * Context: may sleep.
 */
void repl_reclaim_resume(struct repl_set *rs, bool wanted)
{
	WRITE_ONCE(reclaim_of(rs)->paused, !wanted);
	smp_mb();	/* pairs with repl_reclaim_dropped(): one of us queues the work */
	if (wanted)
		queue_delayed_work(rs->wq, &reclaim_of(rs)->work, 0);
}
