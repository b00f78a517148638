// SPDX-License-Identifier: GPL-2.0-only
/*
 * The maps of the two stores: which chunks each of them holds.
 *
 * They lie side by side in regions, for what is asked is nearly always "where is
 * this chunk?". All is in memory; commit.c has parts of it saved to a metadata device.
 */
#include <linux/bitmap.h>
#include <linux/vmalloc.h>

#include "replication.h"

/**
 * repl_map_create - allocate the maps, empty
 * @rs: the set; nr_regions says how many
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int repl_map_create(struct repl_set *rs)
{
	size_t size = array_size(rs->nr_regions, sizeof(*rs->regions));
	u64 i;

	rs->regions = __vmalloc(size, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN |
				__GFP_RETRY_MAYFAIL);
	if (!rs->regions)
		return -ENOMEM;
	for (i = 0; i < rs->nr_regions; i++) {
		spin_lock_init(&rs->regions[i].lock);
		INIT_HLIST_HEAD(&rs->regions[i].claims);
		if (!(i & 1023))
			cond_resched();
	}
	return 0;
}

/**
 * repl_map_destroy - free the maps
 * @rs: the set
 *
 * Context: may sleep; no I/O is left.
 */
void repl_map_destroy(struct repl_set *rs)
{
	vfree(rs->regions);
}

/**
 * repl_map_empty - empty both maps, in constant time
 * @rs: the set
 *
 * Context: the gates are closed.
 */
void repl_map_empty(struct repl_set *rs)
{
	WRITE_ONCE(rs->epoch, rs->epoch + 1);
	repl_lost_forget(rs);
	atomic64_set(&rs->nr_active, 0);
	atomic64_set(&rs->nr_hidden, 0);
	atomic64_set(&rs->nr_held, 0);
}

/**
 * repl_region_sync - make a region's maps those of the current epoch
 * @rs: the set
 * @r: the region
 *
 * Context: any; r->lock held.
 */
void repl_region_sync(struct repl_set *rs, struct repl_region *r)
{
	lockdep_assert_held(&r->lock);
	bitmap_zero(r->active, REPL_REGION_CHUNKS);
	bitmap_zero(r->hidden, REPL_REGION_CHUNKS);
	r->epoch = rs->epoch;
}

/**
 * repl_map_run - where the view finds a chunk, and how many more with it
 * @r: the region
 * @first: the chunk, in the region
 * @end: in: where to stop looking; out: where the run of chunks that are in the
 *	same place ends (exclusive)
 *
 * Context: any; r->lock held.
 * Return: REPL_ACTIVE, REPL_HIDDEN or REPL_SECONDARY.
 */
enum repl_dev repl_map_run(struct repl_region *r, unsigned int first,
			   unsigned int *end)
{
	bool one = *end == first + 1;

	lockdep_assert_held(&r->lock);
	if (test_bit(first, r->active)) {
		if (!one)
			*end = find_next_zero_bit(r->active, *end, first);
		return REPL_ACTIVE;
	}
	if (!one)
		*end = find_next_bit(r->active, *end, first);
	if (test_bit(first, r->hidden)) {
		if (!one)
			*end = find_next_zero_bit(r->hidden, *end, first);
		return REPL_HIDDEN;
	}
	if (!one)
		*end = find_next_bit(r->hidden, *end, first);
	return REPL_SECONDARY;
}

/**
 * repl_map_next_run - repl_map_run() as repl_copy_start() wants it
 * @r: the region
 * @first: where to begin, in the region
 * @run_end: out: where the run of chunks that are in the same place ends
 * @end: where to stop
 * @from: out: where they are
 *
 * Context: any; r->lock held.
 * Return: false if @first is at the end.
 */
bool repl_map_next_run(struct repl_region *r, unsigned int *first,
		       unsigned int *run_end, unsigned int end, enum repl_dev *from)
{
	*run_end = end;
	if (*first < end)
		*from = repl_map_run(r, *first, run_end);
	return *first < end;
}

/**
 * repl_map_held_run - does a store hold this chunk, and how many more with it
 * @r: the region
 * @first: the chunk, in the region
 * @end: in: where to stop looking; out: where the run of chunks that are all
 *	held, or all not, ends (exclusive)
 *
 * Context: any; r->lock held.
 * Return: whether active or hidden holds it.
 */
bool repl_map_held_run(struct repl_region *r, unsigned int first, unsigned int *end)
{
	unsigned int next = first, stop = *end;
	bool held;

	held = repl_map_run(r, next, end) != REPL_SECONDARY;
	while (*end < stop) {
		next = *end;
		*end = stop;
		if ((repl_map_run(r, next, end) != REPL_SECONDARY) != held) {
			*end = next;
			break;
		}
	}
	return held;
}

/**
 * repl_map_set - note that a store holds chunks
 * @rs: the set
 * @r: the region
 * @store: REPL_ACTIVE or REPL_HIDDEN
 * @first: the first chunk, in the region
 * @end: behind the last one
 *
 * Context: any; r->lock held.
 */
void repl_map_set(struct repl_set *rs, struct repl_region *r, enum repl_dev store,
		  unsigned int first, unsigned int end)
{
	unsigned long *map = store == REPL_ACTIVE ? r->active : r->hidden;
	unsigned long *other = store == REPL_ACTIVE ? r->hidden : r->active;
	unsigned int bit, set = 0, held = 0;

	lockdep_assert_held(&r->lock);
	for (bit = find_next_zero_bit(map, end, first); bit < end;
	     bit = find_next_zero_bit(map, end, bit + 1)) {
		__set_bit(bit, map);
		set++;
		held += !test_bit(bit, other);
	}
	atomic64_add(set, store == REPL_ACTIVE ? &rs->nr_active : &rs->nr_hidden);
	atomic64_add(held, &rs->nr_held);
	if (set)
		repl_reclaim_used(rs, r, store);
	/* Hidden's are committed before they are set. */
	if (rs->commit && set && store == REPL_ACTIVE)
		repl_commit_dirty(rs, r, first, end);
}

/**
 * repl_map_clear - note that neither store holds chunks any more
 * @rs: the set
 * @r: the region
 * @first: the first chunk, in the region; all of them were held
 * @end: behind the last one
 *
 * Context: any; r->lock held.
 */
void repl_map_clear(struct repl_set *rs, struct repl_region *r,
		    unsigned int first, unsigned int end)
{
	unsigned int bit, active = 0, hidden = 0;

	lockdep_assert_held(&r->lock);
	for (bit = first; bit < end; bit++) {
		active += __test_and_clear_bit(bit, r->active);
		hidden += __test_and_clear_bit(bit, r->hidden);
	}
	atomic64_sub(active, &rs->nr_active);
	atomic64_sub(hidden, &rs->nr_hidden);
	atomic64_sub(end - first, &rs->nr_held);
	if (rs->commit)
		repl_commit_dirty(rs, r, first, end);
}

/*
 * Map sectors of a metadata device, in words of 64 chunks. A region has a word more
 * than a map sector, so that one may have parts of two regions.
 */
#define REGION_WORDS	(REPL_REGION_CHUNKS / 64)

static u64 get_word(const unsigned long *map, unsigned int word)
{
	u64 bits;

	bitmap_to_arr64(&bits, map + word * (64 / BITS_PER_LONG), 64);
	return bits;
}

static void set_word(unsigned long *map, unsigned int word, u64 bits)
{
	bitmap_from_arr64(map + word * (64 / BITS_PER_LONG), &bits, 64);
}

/* The region of a word of a map sector, and its number there; NULL: behind the last. */
static struct repl_region *word_region(struct repl_set *rs, u32 sector, unsigned int word,
				       unsigned int *region_word)
{
	u64 nr = (u64)sector * REPL_META_WORDS + word;

	*region_word = nr % REGION_WORDS;
	nr /= REGION_WORDS;
	return nr < rs->nr_regions ? &rs->regions[nr] : NULL;
}

/**
 * repl_map_load - take over a map sector
 * @rs: the set, which nobody else knows yet
 * @sector: the number of the map sector
 * @maps: its maps, of the set's epoch
 *
 * Context: may sleep.
 */
void repl_map_load(struct repl_set *rs, u32 sector, const struct repl_meta_maps *maps)
{
	struct repl_region *r;
	unsigned int i, word;
	u64 active, hidden;

	for (i = 0; i < REPL_META_WORDS; i++) {
		r = word_region(rs, sector, i, &word);
		if (!r)
			break;
		active = le64_to_cpu(maps->active[i]);
		hidden = le64_to_cpu(maps->hidden[i]);
		r->epoch = rs->epoch;
		set_word(r->active, word, active);
		set_word(r->hidden, word, hidden);
		if (active)
			repl_reclaim_used(rs, r, REPL_ACTIVE);
		if (hidden)
			repl_reclaim_used(rs, r, REPL_HIDDEN);
		atomic64_add(hweight64(active), &rs->nr_active);
		atomic64_add(hweight64(hidden), &rs->nr_hidden);
		atomic64_add(hweight64(active | hidden), &rs->nr_held);
	}
}

/**
 * repl_map_save - the maps of a map sector, both bits of a chunk as of one moment
 * @rs: the set
 * @sector: the number of the map sector
 * @epoch: regions of another one are empty
 * @maps: out
 *
 * Context: may sleep.
 */
void repl_map_save(struct repl_set *rs, u32 sector, u64 epoch, struct repl_meta_maps *maps)
{
	unsigned int i, word, end;
	struct repl_region *r;

	memset(maps, 0, sizeof(*maps));
	for (i = 0; i < REPL_META_WORDS; i = end) {
		r = word_region(rs, sector, i, &word);
		if (!r)
			break;
		end = min(i + REGION_WORDS - word, (unsigned int)REPL_META_WORDS);
		spin_lock_irq(&r->lock);
		for (; r->epoch == epoch && i < end; i++, word++) {
			maps->active[i] = cpu_to_le64(get_word(r->active, word));
			maps->hidden[i] = cpu_to_le64(get_word(r->hidden, word));
		}
		spin_unlock_irq(&r->lock);
	}
}
