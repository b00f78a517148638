/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of stomp.c: may the view hold this after a checkpoint amid writes? */
#ifndef TESTS_TOOLS_STOMP_LIVE_H
#define TESTS_TOOLS_STOMP_LIVE_H

#include "stomp-ops.h"

/*
 * What is known of a sector when a checkpoint came while it was written.
 * base: its content by the last ingress write that was complete before, which
 * is ingress record base_rec (-1: none).  last: the last view record, or -1.
 * shown: the ingress record that the view shows (SHOWS_BASE: base).
 */
struct live_sector {
	u64 base;
	s32 last_thread, last_rec;
	s32 base_rec, shown;
};

#define SHOWS_VIEW	(-3)		/* the view's own data, written later */
#define SHOWS_BASE	(-2)

static void live_collect(struct live_sector *ls, u64 from_ns,
			 const u64 *ingress_before)
{
	unsigned int t;
	u64 s;
	size_t i;

	for (s = 0; s < sectors; s++)
		ls[s] = (struct live_sector){ ingress_before[s], -1, -1, -1, 0 };
	for (t = 0; t < opt.threads; t++) {
		const struct worker *w = &workers[t];

		for (i = 0; i < w->logged; i++) {
			const struct record *rec = &w->log[i];

			if (rec->found)
				continue;
			for (s = rec->sector; s < rec->sector + rec->n; s++) {
				if (w->face == FACE_VIEW) {
					ls[s].last_thread = t;
					ls[s].last_rec = i;
				} else if (rec->end_ns < from_ns) {
					ls[s].base = rec->tag;
					ls[s].base_rec = i;
				}
			}
		}
	}
}

/* The record that wrote the tag, if the window allows the view to show it. */
static int find_record(u64 tag, u64 sector, u64 from_ns, u64 to_ns)
{
	const struct worker *w;
	size_t i;

	if (tag & TAG_FLAGS || tag_face(tag) != FACE_INGRESS ||
	    tag_thread(tag) >= opt.threads)
		return -1;
	w = &workers[tag_thread(tag)];
	for (i = 0; i < w->logged; i++) {
		const struct record *rec = &w->log[i];

		if (rec->tag == tag && rec->end_ns >= from_ns &&
		    rec->start_ns <= to_ns && sector >= rec->sector &&
		    sector < rec->sector + rec->n)
			return i;
	}
	return -1;
}

/*
 * Is the content that a sector of the view has one that a checkpoint between
 * from_ns and to_ns can have left there?
 */
static bool live_allowed(struct live_sector *l, u64 sector,
			 const void *buf, u64 from_ns, u64 to_ns)
{
	u64 tag = tag_of(buf, sector);
	const struct record *last = NULL;

	if (l->last_rec >= 0)
		last = &workers[l->last_thread].log[l->last_rec];
	l->shown = SHOWS_VIEW;
	if (last && tag == last->tag && last->end_ns >= from_ns)
		return true;
	if (last && last->start_ns > to_ns)
		return false;
	l->shown = SHOWS_BASE;
	if (tag == l->base)
		return true;
	l->shown = find_record(tag, sector, from_ns, to_ns);
	return l->shown >= 0;
}

static __noreturn void live_wrong(const struct live_sector *l, u64 sector,
				  const void *buf, u64 from_ns, u64 to_ns)
{
	const struct record *last;
	char text[160];

	pthread_mutex_lock(&report_lock);
	fprintf(stderr, "stomp: wrong data in %s after a checkpoint amid writes, phase %llu, seed %llu\n",
		view.path, phase, opt.seed);
	report_sector(&view, sector, opt.chunk, l->base, buf);
	if (l->last_rec >= 0) {
		last = &workers[l->last_thread].log[l->last_rec];
		tag_describe(text, sizeof(text), last->tag);
		fprintf(stderr, "    or %s: in flight from %lld to %lld us, the message from 0 to %lld us\n",
			text, ((long long)last->start_ns - (long long)from_ns) / 1000,
			((long long)last->end_ns - (long long)from_ns) / 1000,
			((long long)to_ns - (long long)from_ns) / 1000);
	}
	quit(EXIT_MISMATCH, "FAILED");
}

enum when { BEFORE, AFTER, UNKNOWN };

/* What one sector tells of when a record was, beside the checkpoint. */
static enum when live_when(const struct live_sector *l, enum face face, s32 rec)
{
	s32 shown = l->shown == SHOWS_BASE ? l->base_rec : l->shown;

	if (face == FACE_VIEW) {
		if (l->last_rec != rec)
			return UNKNOWN;	/* overwritten since */
		return l->shown == SHOWS_VIEW ? AFTER : BEFORE;
	}
	if (l->shown == SHOWS_VIEW)
		return UNKNOWN;		/* the view's own data is over it */
	return rec <= shown ? BEFORE : AFTER;
}

static void live_bounds(const struct live_sector *ls, const struct worker *w,
			u64 *not_before, u64 *not_after)
{
	size_t i;
	u64 s;

	for (i = 0; i < w->logged; i++) {
		const struct record *rec = &w->log[i];

		if (rec->found)
			continue;
		for (s = rec->sector; s < rec->sector + rec->n; s++) {
			enum when when = live_when(&ls[s], w->face, i);

			if (when == BEFORE && rec->start_ns > *not_before)
				*not_before = rec->start_ns;
			if (when == AFTER && rec->end_ns < *not_after)
				*not_after = rec->end_ns;
		}
	}
}

/*
 * Is there an instant that explains all sectors?  It is after the start of each
 * write that it includes, and before the end of each that it leaves out.
 */
static void live_instant(const struct live_sector *ls, u64 from_ns, u64 to_ns)
{
	u64 not_before = from_ns, not_after = to_ns;
	unsigned int t;

	for (t = 0; t < opt.threads; t++)
		live_bounds(ls, &workers[t], &not_before, &not_after);
	if (not_before > not_after)
		quit(EXIT_MISMATCH, "%s: no single instant explains what a checkpoint amid writes took: it has a write that began %llu us after one ended that it lacks; phase %llu, seed %llu",
		     view.path, (not_before - not_after) / 1000, phase, opt.seed);
}

static __noreturn void live_changed(const struct record *rec, u64 sector, u64 to_ns)
{
	char was[160], is[160];

	tag_describe(was, sizeof(was), rec->found[sector - rec->sector]);
	tag_describe(is, sizeof(is), view_model[sector]);
	pthread_mutex_lock(&report_lock);
	fprintf(stderr, "stomp: %s changed after a checkpoint, phase %llu, seed %llu\n",
		view.path, phase, opt.seed);
	fprintf(stderr, "  offset %llu (sector %llu, chunk %llu)\n    %llu us after the checkpoint: %s\n    in the end, without a write: %s\n",
		sector << SECTOR_SHIFT, sector, sector / opt.chunk,
		(rec->start_ns - to_ns) / 1000, was, is);
	quit(EXIT_MISMATCH, "FAILED");
}

/* What was read after the checkpoint, and not written since, is there still. */
static void live_stable(const struct live_sector *ls, struct worker *w, u64 to_ns)
{
	size_t i;
	u64 s;

	for (i = 0; i < w->logged; i++) {
		struct record *rec = &w->log[i];

		if (!rec->found)
			continue;
		for (s = rec->sector; s < rec->sector + rec->n; s++)
			if (rec->start_ns > to_ns && ls[s].last_rec < (s32)i &&
			    rec->found[s - rec->sector] != view_model[s])
				live_changed(rec, s, to_ns);
		free(rec->found);
	}
}

/* All is quiet again: take what the view shows, if it is allowed. */
static void live_settle(const u64 *ingress_before, u64 from_ns, u64 to_ns)
{
	struct live_sector *ls = xcalloc(sectors, sizeof(*ls));
	char *buf = xbuffer(MAX_IO << SECTOR_SHIFT);
	unsigned int t;
	u64 s, i, n;
	int err;

	live_collect(ls, from_ns, ingress_before);
	for (s = 0; s < sectors; s += n) {
		n = sectors - s < MAX_IO ? sectors - s : MAX_IO;
		err = dev_read(&view, s, buf, n);
		if (err)
			trouble("%s: read at offset %llu failed: %s", view.path,
				s << SECTOR_SHIFT, strerror(-err));
		for (i = 0; i < n; i++) {
			void *p = buf + i * SECTOR_SIZE;

			if (!live_allowed(&ls[s + i], s + i, p, from_ns, to_ns))
				live_wrong(&ls[s + i], s + i, p, from_ns, to_ns);
			view_model[s + i] = tag_of(p, s + i);
		}
	}
	live_instant(ls, from_ns, to_ns);
	for (t = 0; t < opt.threads; t++)
		live_stable(ls, &workers[t], to_ns);
	free(buf);
	free(ls);
}

#endif
