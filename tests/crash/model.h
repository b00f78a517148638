/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What may be found after a loss of power, from what was asked of the faces.
 *
 * A world is the time from a checkpoint to the next; the epoch that is found says
 * which one the disks are in. It may be one that a checkpoint under way was about to
 * begin, and then all has to be that world's.
 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include "image.h"

#define MAX_IDS		128

/* What a sector may hold. */
struct ids {
	unsigned int n;
	__u32 id[MAX_IDS];
};

/* A face's writes of each slot, in their order: they do not overlap in time. */
struct history {
	__u32 *start;		/* by slot, and one more: where in event[] they begin */
	__u32 *event;
};

static struct history history[NR_WHERE];
static __u32 *worlds;		/* the events that began them */
static unsigned int nr_worlds;
static const struct event *created, *failed_over, *stopped, *done;

static inline void ids_add(struct ids *ids, __u32 id)
{
	if (ids->n < MAX_IDS)
		ids->id[ids->n++] = id;
}

static inline bool ids_have(const struct ids *ids, __u32 id)
{
	unsigned int i;

	for (i = 0; i < ids->n; i++)
		if (ids->id[i] == id)
			return true;
	return false;
}

static inline void history_init(enum where face)
{
	struct history *h = &history[face];
	u64 n = area_sectors(), slot;
	const struct event *ev;
	__u32 *at, i, s;

	h->start = xcalloc(n + 2, sizeof(*h->start));
	at = h->start + 1;
	for (i = 0; i < lg.head.nr_events; i++)
		for (s = 0, ev = &lg.event[i]; ev->where == face && s < ev->n; s++)
			at[area_slot(ev->sector + s) + 1]++;
	for (slot = 0; slot < n; slot++)
		at[slot + 1] += at[slot];
	h->event = xcalloc(at[n] + 1, sizeof(*h->event));
	/* What begins where the one before ends moves on to its own end. */
	for (i = 0; i < lg.head.nr_events; i++)
		for (s = 0, ev = &lg.event[i]; ev->where == face && s < ev->n; s++)
			h->event[at[area_slot(ev->sector + s)]++] = i;
}

static inline void model_init(void)
{
	const struct event *ev;
	__u32 i;

	history_init(VIEW);
	history_init(INGRESS);
	worlds = xcalloc(lg.head.nr_events, sizeof(*worlds));
	for (i = 0; i < lg.head.nr_events; i++) {
		ev = &lg.event[i];
		if (ev->kind == EV_CREATE && !created)
			created = ev;
		else if (ev->kind == EV_STOP)
			stopped = ev;
		else if (ev->kind == EV_FAILOVER)
			failed_over = ev;
		else if (ev->kind == EV_DONE)
			done = ev;
		if (ev == created || ev->kind == EV_CHECKPOINT || ev->kind == EV_STOP)
			worlds[nr_worlds++] = i;
	}
}

static inline const struct event *world_event(unsigned int world)
{
	return &lg.event[worlds[world]];
}

/* Whether this stage and epoch may be found; @world is set. */
static inline bool state_allowed(u64 tick, const char *stage, u64 epoch, unsigned int *world)
{
	const struct event *next;

	*world = 0;
	if (!strcmp(stage, "none"))
		return created->end > tick;
	if (epoch < lg.head.epoch || epoch - lg.head.epoch >= nr_worlds)
		return false;
	*world = epoch - lg.head.epoch;
	if (world_event(*world)->begin > tick)
		return false;
	next = *world + 1 < nr_worlds ? world_event(*world + 1) : NULL;
	if (next && next->end <= tick)
		return false;
	if (stopped == world_event(*world))
		return !strcmp(stage, "done");
	if (!failed_over || failed_over->begin > tick)
		return !strcmp(stage, "running");
	if (done && done->begin <= tick)
		return !strcmp(stage, "done");
	return !strcmp(stage, "failover") || !strcmp(stage, "done") ||
		(failed_over->end > tick && !strcmp(stage, "running"));
}

/* What the world's checkpoint may have found on the secondary. */
static inline void add_checkpoint(struct ids *ids, u64 slot, u64 tick, unsigned int world)
{
	const struct event *checkpoint = world_event(world), *ev;
	const struct history *h = &history[INGRESS];
	__u32 i;

	for (i = h->start[slot + 1]; world && i-- > h->start[slot]; ) {
		ev = &lg.event[h->event[i]];
		if (ev->begin > checkpoint->end || ev->begin > tick)
			continue;
		ids_add(ids, event_id(h->event[i]));
		if (ev->end < checkpoint->begin)
			return;
	}
	ids_add(ids, ID_FIRST);
}

static inline void view_allowed(struct ids *ids, u64 slot, u64 tick, unsigned int world)
{
	const struct event *checkpoint = world_event(world), *ev;
	const struct history *h = &history[VIEW];
	__u32 i;

	ids->n = 0;
	for (i = h->start[slot + 1]; i-- > h->start[slot]; ) {
		ev = &lg.event[h->event[i]];
		if (ev->begin > tick)
			continue;
		if (ev->end <= checkpoint->begin)
			break;
		ids_add(ids, event_id(h->event[i]));
		/* One that met the checkpoint may have been dropped by it. */
		if (durable_at[h->event[i]] <= tick && ev->begin > checkpoint->end)
			return;
	}
	add_checkpoint(ids, slot, tick, world);
}

/* While the stage is running; a checkpoint flushes it too. */
static inline void secondary_allowed(struct ids *ids, u64 slot, u64 tick, unsigned int world)
{
	const struct event *checkpoint = world_event(world), *ev;
	const struct history *h = &history[INGRESS];
	__u32 i;

	ids->n = 0;
	for (i = h->start[slot + 1]; i-- > h->start[slot]; ) {
		ev = &lg.event[h->event[i]];
		if (ev->begin > tick)
			continue;
		ids_add(ids, event_id(h->event[i]));
		if (durable_at[h->event[i]] <= tick || (world && ev->end < checkpoint->begin))
			return;
	}
	ids_add(ids, ID_FIRST);
}

#endif
