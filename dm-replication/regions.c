// SPDX-License-Identifier: GPL-2.0-only
/*
 * The regions of a primary: which may differ between the legs, and when one is known
 * to be equal again.
 *
 * Why a replica's region is not clean as soon as it has been written there: what has
 * not been flushed is lost if the replica's host dies. Then every region counts that
 * has been written since the last flush of both legs. So a region is cleaned lazily,
 * after a flush that began when none of its writes was in flight, and only if nobody
 * has written to it for a while; the next write to it has to wait for the log again.
 */
#include <linux/vmalloc.h>

#include "primary.h"

#define CLEAN_PERIOD	(5 * HZ)

/* Words of the maps that are looked at with interrupts off. */
#define WORDS_AT_ONCE	512U

static unsigned long *alloc_map(struct repl_pair *p)
{
	return kvcalloc(BITS_TO_LONGS(p->nr_regions), sizeof(long), GFP_KERNEL);
}

/**
 * repl_regions_create - allocate the maps
 * @p: the pair
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM; then repl_regions_destroy() is to be called nevertheless.
 */
int repl_regions_create(struct repl_pair *p)
{
	p->written = alloc_map(p);
	p->dirty = alloc_map(p);
	p->logged = alloc_map(p);
	p->touched = alloc_map(p);
	p->idle = alloc_map(p);
	p->discarded = alloc_map(p);
	p->writers = kvcalloc(p->nr_regions, sizeof(*p->writers), GFP_KERNEL);
	if (!p->written || !p->dirty || !p->logged || !p->touched || !p->idle ||
	    !p->discarded || !p->writers)
		return -ENOMEM;
	return 0;
}

/**
 * repl_regions_destroy - free what repl_regions_create() made
 * @p: the pair
 *
 * Context: may sleep.
 */
void repl_regions_destroy(struct repl_pair *p)
{
	kvfree(p->written);
	kvfree(p->dirty);
	kvfree(p->logged);
	kvfree(p->touched);
	kvfree(p->idle);
	kvfree(p->discarded);
	kvfree(p->writers);
}

/**
 * repl_regions_all - say of all regions the same
 * @p: the pair, of which no I/O is under way
 * @dirty: that they are written and dirty; otherwise they are clean
 *
 * Context: p->lock held.
 */
void repl_regions_all(struct repl_pair *p, bool dirty)
{
	lockdep_assert_held(&p->lock);
	if (dirty) {
		bitmap_fill(p->written, p->nr_regions);
		bitmap_fill(p->dirty, p->nr_regions);
	} else {
		bitmap_zero(p->written, p->nr_regions);
		bitmap_zero(p->dirty, p->nr_regions);
	}
	bitmap_zero(p->discarded, p->nr_regions);
	WRITE_ONCE(p->nr_dirty, dirty ? p->nr_regions : 0);
}

/**
 * repl_regions_any - has any region of a range its bit set?
 * @map: the map
 * @first: the first region
 * @last: the last one
 *
 * Context: any; p->lock held.
 */
bool repl_regions_any(const unsigned long *map, u32 first, u32 last)
{
	if (likely(first == last))
		return test_bit(first, map);
	return find_next_bit(map, last + 1, first) <= last;
}

/**
 * repl_regions_all_set - have all regions of a range their bits set?
 * @map: the map
 * @first: the first region
 * @last: the last one
 *
 * Context: any; p->lock held.
 */
bool repl_regions_all_set(const unsigned long *map, u32 first, u32 last)
{
	if (likely(first == last))
		return test_bit(first, map);
	return find_next_zero_bit(map, last + 1, first) > last;
}

/* Whether a bio throws away what its region has, all of it. */
static bool discards_all(struct repl_pair *p, struct bio *bio, u32 region)
{
	sector_t start = (sector_t)region << p->region_shift;

	return bio_op(bio) == REQ_OP_DISCARD && bio->bi_iter.bi_sector <= start &&
		bio_end_sector(bio) >= start + repl_region_len(p, region);
}

/**
 * repl_regions_enter - count a bio in the regions that it is going to change
 * @p: the pair
 * @bio: the bio, to be counted out by repl_regions_exit()
 *
 * Context: any; p->lock held; none of the regions is being copied.
 */
void repl_regions_enter(struct repl_pair *p, struct bio *bio)
{
	struct repl_primary_io *io = repl_primary_io(bio);
	u32 region;

	lockdep_assert_held(&p->lock);
	for (region = io->first; region <= io->last; region++) {
		p->writers[region]++;
		__set_bit(region, p->touched);
		if (!__test_and_set_bit(region, p->written) && p->logging)
			repl_log_stale(p, region);
		/* With others in flight nobody knows which of them comes last. */
		if (unlikely(discards_all(p, bio, region)) && p->writers[region] == 1)
			__set_bit(region, p->discarded);
		else
			__clear_bit(region, p->discarded);
	}
	io->counted = true;
}

/**
 * repl_regions_exit - count a bio out
 * @p: the pair
 * @first: its first region
 * @last: its last one
 *
 * Context: any; p->lock held.
 */
void repl_regions_exit(struct repl_pair *p, u32 first, u32 last)
{
	u32 region;
	bool last_writer = false;

	lockdep_assert_held(&p->lock);
	for (region = first; region <= last; region++)
		last_writer |= !--p->writers[region];
	if (unlikely(p->sync == REPL_RESYNC) && last_writer &&
	    repl_resync_holds(p, first, last))
		repl_resync_kick(p);
}

/**
 * repl_regions_mark_dirty - the replica will not have what is being written
 * @p: the pair
 * @first: the first region
 * @last: the last one
 *
 * Context: any; p->lock held.
 */
void repl_regions_mark_dirty(struct repl_pair *p, u32 first, u32 last)
{
	u32 region, added = 0;

	lockdep_assert_held(&p->lock);
	for (region = first; region <= last; region++)
		added += !__test_and_set_bit(region, p->dirty);
	WRITE_ONCE(p->nr_dirty, p->nr_dirty + added);
}

/**
 * repl_regions_not_discarded - what was to be discarded has not been, everywhere
 * @p: the pair
 * @first: the first region
 * @last: the last one
 *
 * Context: any; p->lock held.
 */
void repl_regions_not_discarded(struct repl_pair *p, u32 first, u32 last)
{
	lockdep_assert_held(&p->lock);
	bitmap_clear(p->discarded, first, last - first + 1);
}

/**
 * repl_regions_dirty_written - the replica may have lost whatever was not cleaned
 * @p: the pair
 *
 * Context: any; p->lock held.
 */
void repl_regions_dirty_written(struct repl_pair *p)
{
	lockdep_assert_held(&p->lock);
	bitmap_copy(p->dirty, p->written, p->nr_regions);
	/* A cleaning that is under way has flushed a replica which may have lost that. */
	bitmap_zero(p->idle, p->nr_regions);
	WRITE_ONCE(p->nr_dirty, bitmap_weight(p->dirty, p->nr_regions));
}

/* Which of the regions of a word have writers. */
static unsigned long in_flight(struct repl_pair *p, unsigned int word, unsigned long of)
{
	unsigned long found = 0, bit;

	for_each_set_bit(bit, &of, BITS_PER_LONG)
		if (p->writers[word * BITS_PER_LONG + bit])
			found |= BIT(bit);
	return found;
}

/* Note what is idle; and begin to watch what is written to from now on. */
static bool find_idle(struct repl_pair *p, unsigned int word, bool all)
{
	unsigned long clean = p->written[word] & ~p->dirty[word];
	unsigned long busy = in_flight(p, word, clean);

	p->idle[word] = clean & ~busy & (all ? ~0UL : ~p->touched[word]);
	p->touched[word] = busy;
	return p->idle[word];
}

/* Clean what was idle, and is still. */
static bool clean_word(struct repl_pair *p, unsigned int word, bool unused)
{
	unsigned long clean = p->idle[word] & p->written[word] & ~p->dirty[word] &
		~p->touched[word];
	unsigned long bit;

	/* Else the replica has failed since, and what it had is not sure. */
	if (p->sync != REPL_INSYNC && p->sync != REPL_RESYNC)
		return false;
	p->written[word] &= ~clean;
	p->logged[word] &= ~clean;
	if (p->logging)
		for_each_set_bit(bit, &clean, BITS_PER_LONG)
			repl_log_stale(p, word * BITS_PER_LONG + bit);
	return clean;
}

/* Have all words looked at, some at a time. True if it was so for any. */
static bool for_words(struct repl_pair *p, bool all,
		      bool (*fn)(struct repl_pair *p, unsigned int word, bool all))
{
	unsigned int word = 0, end, nr = BITS_TO_LONGS(p->nr_regions);
	bool any = false;

	while (word < nr) {
		end = min(nr, word + WORDS_AT_ONCE);
		spin_lock_irq(&p->lock);
		for (; word < end; word++)
			any |= fn(p, word, all);
		spin_unlock_irq(&p->lock);
	}
	return any;
}

/**
 * repl_regions_clean - forget writes that both legs have, durably
 * @p: the pair
 * @all: not only where nobody has written for a while
 *
 * Context: may sleep, for a flush of both legs.
 */
void repl_regions_clean(struct repl_pair *p, bool all)
{
	/* What is clean cannot be written to any more, or what is written not be clean. */
	if (repl_log_failed(p) || READ_ONCE(p->flush_failed))
		return;
	if (for_words(p, all, find_idle) && !repl_forward_flush(p))
		for_words(p, all, clean_word);
}

/**
 * repl_clean_work - clean now and then
 * @work: clean_work of the pair
 *
 * Context: may sleep; not for calling, but for queue_delayed_work().
 */
void repl_clean_work(struct work_struct *work)
{
	struct repl_pair *p = container_of(to_delayed_work(work), struct repl_pair, clean_work);

	if (READ_ONCE(p->stage) != REPL_RUNNING || READ_ONCE(p->suspended))
		return;
	if (READ_ONCE(p->sync) == REPL_INSYNC || READ_ONCE(p->sync) == REPL_RESYNC) {
		repl_regions_clean(p, false);
		/* A suspend waits for this work, and the device may not answer. */
		spin_lock_irq(&p->lock);
		repl_log_kick(p);
		spin_unlock_irq(&p->lock);
	}
	queue_delayed_work(p->idle_wq, &p->clean_work, CLEAN_PERIOD);
}
