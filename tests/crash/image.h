/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is on the disks after a loss of power.
 *
 * A write is durable from when a flush of its disk has ended that began after the
 * write's end; with FUA from its own end. Until then it is volatile, from when it
 * reached the disk: it may be there or not, each sector of it. Two writes of a sector
 * reach the medium in the order in which they came, so a later one that is there hides
 * an earlier one.
 */
#ifndef TESTS_CRASH_IMAGE_H
#define TESTS_CRASH_IMAGE_H

#include "log.h"

/* Which of the volatile writes are there. */
enum mode {
	KEEP_ALL,		/* the machine was reset, the disks go on */
	KEEP_NONE,
	KEEP_PREFIX,		/* up to one of them */
	KEEP_RANDOM,		/* some, and some of the sectors of some */
	LOSE_DISK,		/* all but one disk's */
	KEEP_DISK,		/* one disk's */
	NR_MODES
};

static const char * const mode_names[] = {
	"all", "none", "prefix", "random", "lose-disk", "keep-disk"
};

/* The sectors that matter: all of metadata, and the areas of the others. */
struct image {
	u8 *content[NR_DISKS];
	__u32 *event[NR_DISKS];	/* that wrote the sector, plus one */
};

static u64 *durable_at;		/* by event; NEVER: it was not, in this log */
static __u32 *by_durable;	/* events of disks in the order of that */
static __u32 nr_durable, next_durable;
static struct image base, image;

static inline u64 disk_slots(enum where where)
{
	return where == METADATA ? lg.head.metadata_sectors : area_sectors();
}

/* The disk's sector in a slot. */
static inline u64 slot_sector(enum where where, u64 slot)
{
	const struct area *area = lg.head.area;

	if (where == METADATA)
		return slot;
	for (; slot >= area->end - area->first; area++)
		slot -= area->end - area->first;
	return area->first + slot;
}

/* For the events of a disk, or a face. */
static inline void find_durable(void)
{
	const struct event *ev = lg.event, *flush;
	__u32 i, j;

	durable_at = xcalloc(lg.head.nr_events, sizeof(*durable_at));
	for (i = 0; i < lg.head.nr_events; i++) {
		durable_at[i] = ev[i].flags & EV_FUA ? ev[i].end : NEVER;
		if (ev[i].kind > EV_ZERO)
			continue;
		for (j = i + 1; j < lg.head.nr_events; j++) {
			flush = &ev[j];
			if (flush->begin >= durable_at[i])
				break;
			if (flush->kind == EV_FLUSH && flush->where == ev[i].where &&
			    flush->begin > ev[i].end && flush->end < durable_at[i])
				durable_at[i] = flush->end;
		}
	}
}

static int compare_durable(const void *a, const void *b)
{
	u64 first = durable_at[*(const __u32 *)a], second = durable_at[*(const __u32 *)b];

	return first < second ? -1 : first > second;
}

static inline void images_init(void)
{
	u64 n, slot;
	__u32 i;
	int d;

	for (d = 0; d < NR_DISKS; d++) {
		n = disk_slots(d);
		base.content[d] = xcalloc(n, SECTOR_SIZE);
		base.event[d] = xcalloc(n, sizeof(__u32));
		image.content[d] = xcalloc(n, SECTOR_SIZE);
		image.event[d] = xcalloc(n, sizeof(__u32));
		for (slot = 0; d != METADATA && slot < n; slot++)
			stamp(base.content[d] + slot * SECTOR_SIZE,
			      d == SECONDARY ? ID_FIRST : ID_JUNK + d, slot_sector(d, slot));
	}
	by_durable = xcalloc(lg.head.nr_events, sizeof(*by_durable));
	for (i = 0; i < lg.head.nr_events; i++)
		if (lg.event[i].where < NR_DISKS && lg.event[i].kind <= EV_ZERO &&
		    durable_at[i] != NEVER)
			by_durable[nr_durable++] = i;
	qsort(by_durable, nr_durable, sizeof(*by_durable), compare_durable);
}

/* Sector @i of a disk's write is there. */
static inline void apply(struct image *img, __u32 nr, __u32 i)
{
	const struct event *ev = &lg.event[nr];
	long slot = ev->where == METADATA ? (long)ev->sector + i : area_slot(ev->sector + i);

	if (slot < 0 || (u64)slot >= disk_slots(ev->where))
		quit(EXIT_MISMATCH, "%s: event %u wrote sector %u, which was no one's business",
		     where_names[ev->where], nr, ev->sector + i);
	if (img->event[ev->where][slot] > nr)
		return;
	img->event[ev->where][slot] = nr + 1;
	if (ev->kind == EV_ZERO)
		memset(img->content[ev->where] + slot * SECTOR_SIZE, 0, SECTOR_SIZE);
	else
		memcpy(img->content[ev->where] + slot * SECTOR_SIZE,
		       lg.data + ev->data + (u64)i * SECTOR_SIZE, SECTOR_SIZE);
}

static inline bool is_volatile(__u32 nr, u64 tick)
{
	const struct event *ev = &lg.event[nr];

	return ev->where < NR_DISKS && ev->kind <= EV_ZERO && durable_at[nr] > tick;
}

/* What is durable at a tick; ticks have to come in their order. */
static inline void base_advance(u64 tick)
{
	__u32 i;

	for (; next_durable < nr_durable && durable_at[by_durable[next_durable]] <= tick;
	     next_durable++)
		for (i = 0; i < lg.event[by_durable[next_durable]].n; i++)
			apply(&base, by_durable[next_durable], i);
}

static inline void image_from_base(void)
{
	int d;

	for (d = 0; d < NR_DISKS; d++) {
		memcpy(image.content[d], base.content[d], disk_slots(d) * SECTOR_SIZE);
		memcpy(image.event[d], base.event[d], disk_slots(d) * sizeof(__u32));
	}
}

/*
 * The image after a loss of power behind this tick; it is the same for the same
 * random numbers. Returns how many writes were volatile.
 */
static inline unsigned int image_build(u64 tick, enum mode mode, struct rng *r)
{
	unsigned int disk = rnd_below(r, NR_DISKS), odds = 1 + rnd_below(r, 3), n = 0, stop;
	bool keep, torn;
	__u32 nr, i;

	base_advance(tick);
	image_from_base();
	for (nr = 0; nr < lg.head.nr_events && lg.event[nr].begin <= tick; nr++)
		n += is_volatile(nr, tick);
	stop = rnd_below(r, n + 1);
	n = 0;
	for (nr = 0; nr < lg.head.nr_events && lg.event[nr].begin <= tick; nr++) {
		if (!is_volatile(nr, tick))
			continue;
		torn = false;
		keep = mode == KEEP_ALL || (mode == KEEP_PREFIX && n < stop) ||
			(mode == LOSE_DISK && lg.event[nr].where != disk) ||
			(mode == KEEP_DISK && lg.event[nr].where == disk);
		if (mode == KEEP_RANDOM) {
			keep = rnd_below(r, 4) < odds;
			torn = rnd_one_in(r, 3);
		}
		n++;
		for (i = 0; keep && i < lg.event[nr].n; i++)
			if (!torn || rnd_one_in(r, 2))
				apply(&image, nr, i);
	}
	return n;
}

#endif
