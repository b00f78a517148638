/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the test programs write, and how they tell what they read.
 *
 * A sector's content is told by a 64-bit tag: who wrote it (face and thread),
 * in which epoch, with which of its operations.  The sector holds 32 pairs of
 * words: the tag, and a word made of tag, sector and place within the sector.
 * So every 16 bytes say by themselves where they come from and where they
 * belong: data of the wrong writer, of the wrong time, at the wrong place, or
 * torn within a sector are all told apart.
 *
 * A model is one tag per sector.  Tag 0 is a sector of zeros.
 */
#ifndef TESTS_TOOLS_STAMP_H
#define TESTS_TOOLS_STAMP_H

#include "common.h"

#define TAG_MAYBE_ZERO	(1ull << 63)	/* the tag or zeros: see by reading */
#define TAG_FOREIGN	(1ull << 62)	/* not ours: a hash of the content */
#define TAG_FLAGS	(TAG_MAYBE_ZERO | TAG_FOREIGN)

enum face {
	FACE_NONE,
	FACE_VIEW,
	FACE_INGRESS,
	FACE_FILL,
};

#define PAIRS		(SECTOR_SIZE / 16)

/* Tells one run's data from another's on the same device. */
static u64 stamp_salt;

static inline u64 tag_make(enum face face, unsigned int epoch,
			   unsigned int thread, u64 op)
{
	return (u64)face << 60 | (u64)(epoch & 0xffff) << 44 |
	       (u64)(thread & 0xff) << 36 | ((op + 1) & 0xfffffffffull);
}

static inline enum face tag_face(u64 tag)
{
	return tag >> 60 & 3;
}

static inline unsigned int tag_epoch(u64 tag)
{
	return tag >> 44 & 0xffff;
}

static inline unsigned int tag_thread(u64 tag)
{
	return tag >> 36 & 0xff;
}

static inline u64 tag_op(u64 tag)
{
	return (tag & 0xfffffffffull) - 1;
}

static inline u64 pair_word(u64 tag, u64 sector, unsigned int i)
{
	return mix64(tag ^ stamp_salt) ^ (sector * PAIRS + i);
}

static inline void stamp_fill(void *buf, u64 sector, size_t n, u64 tag)
{
	u64 key = mix64(tag ^ stamp_salt);
	u64 *w = buf;
	u64 i;

	if (!tag) {
		memset(buf, 0, n * SECTOR_SIZE);
		return;
	}
	for (i = 0; i < n * PAIRS; i++) {
		w[2 * i] = tag;
		w[2 * i + 1] = key ^ (sector * PAIRS + i);
	}
}

static inline bool sector_is_zero(const void *buf)
{
	const u64 *w = buf;
	unsigned int i;

	for (i = 0; i < 2 * PAIRS; i++)
		if (w[i])
			return false;
	return true;
}

static inline u64 sector_hash(const void *buf)
{
	const u64 *w = buf;
	u64 h = 0;
	unsigned int i;

	for (i = 0; i < 2 * PAIRS; i++)
		h = mix64(h ^ w[i]);
	return (h & ~TAG_FLAGS) | TAG_FOREIGN;
}

/* What the sector's content should be by a tag without TAG_MAYBE_ZERO. */
static inline bool sector_is(const void *buf, u64 sector, u64 tag)
{
	u64 key, pos = sector * PAIRS;
	const u64 *w = buf;
	unsigned int i;

	if (!tag)
		return sector_is_zero(buf);
	if (tag & TAG_FOREIGN)
		return sector_hash(buf) == tag;
	key = mix64(tag ^ stamp_salt);
	for (i = 0; i < PAIRS; i++)
		if (w[2 * i] != tag || w[2 * i + 1] != (key ^ (pos + i)))
			return false;
	return true;
}

/* The tag of whatever is there. */
static inline u64 sector_tag(const void *buf, u64 sector)
{
	u64 tag = *(const u64 *)buf;

	if (!(tag & TAG_FLAGS) && sector_is(buf, sector, tag))
		return tag;
	return sector_hash(buf);
}

/*
 * Compare n sectors with the model.  What a discard left open is settled by
 * what is found.  Returns the first sector (from 0) that differs, or n.
 */
static inline size_t model_check(u64 *model, u64 sector, size_t n,
				 const void *buf)
{
	const char *p = buf;
	size_t i;

	for (i = 0; i < n; i++, p += SECTOR_SIZE) {
		u64 tag = model[sector + i];

		if (sector_is(p, sector + i, tag & ~TAG_MAYBE_ZERO))
			model[sector + i] = tag & ~TAG_MAYBE_ZERO;
		else if (tag & TAG_MAYBE_ZERO && sector_is_zero(p))
			model[sector + i] = 0;
		else
			break;
	}
	return i;
}

static inline void model_set(u64 *model, u64 sector, size_t n,
			     u64 tag)
{
	while (n--)
		model[sector++] = tag;
}

static inline void model_discard(u64 *model, u64 sector, size_t n)
{
	for (; n--; sector++)
		if (model[sector])
			model[sector] |= TAG_MAYBE_ZERO;
}

/*
 * Is there, in any of the n sectors, even 16 bytes that the ingress wrote in
 * the given epoch or later?  Returns the first sector (from 0), or n.  Good
 * for sectors that somebody else is writing meanwhile: torn pairs do not count.
 */
static inline size_t find_leak(const void *buf, u64 sector, size_t n,
			       unsigned int epoch, u64 *tag)
{
	const u64 *w = buf;
	size_t i;

	for (i = 0; i < n * PAIRS; i++) {
		u64 t = w[2 * i];

		if (tag_face(t) == FACE_INGRESS && !(t & TAG_FLAGS) &&
		    tag_epoch(t) >= epoch &&
		    w[2 * i + 1] == pair_word(t, sector, i)) {
			*tag = t;
			return i / PAIRS;
		}
	}
	return n;
}

/* --------------------------------------------------------------- messages */

static inline void tag_describe(char *out, size_t size, u64 tag)
{
	static const char *const face[] = { "?", "view", "ingress", "first fill" };
	const char *maybe = tag & TAG_MAYBE_ZERO ? "zeros (discarded) or " : "";

	tag &= ~TAG_MAYBE_ZERO;
	if (!tag)
		snprintf(out, size, "zeros");
	else if (tag & TAG_FOREIGN)
		snprintf(out, size, "%swhat was there before (hash %016llx)",
			 maybe, tag);
	else
		snprintf(out, size, "%sdata of %s op %llu of thread %u, written after checkpoint %u",
			 maybe, face[tag_face(tag)],
			 tag_op(tag), tag_thread(tag), tag_epoch(tag));
}

/* One 16-byte pair: whose is it, and of which sector? */
static inline void pair_describe(char *out, size_t size, const u64 *w,
				 u64 sector, u64 sectors)
{
	u64 pos = w[1] ^ mix64(w[0] ^ stamp_salt);
	size_t len;

	if (!w[0] && !w[1]) {
		snprintf(out, size, "zeros");
		return;
	}
	if (w[0] & TAG_FLAGS || pos / PAIRS >= sectors) {
		snprintf(out, size, "nothing of this run");
		return;
	}
	tag_describe(out, size, w[0]);
	len = strlen(out);
	if (pos / PAIRS != sector)
		snprintf(out + len, size - len, ", but of sector %llu",
			 pos / PAIRS);
}

static inline void print_bytes(const char *what, const u8 *b)
{
	unsigned int i;

	fprintf(stderr, "    %s bytes:", what);
	for (i = 0; i < 16; i++)
		fprintf(stderr, " %02x", b[i]);
	fputc('\n', stderr);
}

/* A sector that is not what its tag says: everything one wants to know. */
static inline void report_sector(const struct dev *d, u64 sector,
				 unsigned int chunk, u64 tag,
				 const void *buf)
{
	const u64 *w = buf;
	u64 want[2 * PAIRS];
	char text[160];
	unsigned int i = 0;

	stamp_fill(want, sector, 1, tag & ~TAG_FLAGS);
	if (!(tag & TAG_FLAGS))
		while (i < PAIRS - 1 && w[2 * i] == want[2 * i] &&
		       w[2 * i + 1] == want[2 * i + 1])
			i++;
	fprintf(stderr, "  %s: offset %llu (sector %llu, chunk %llu, sector %llu of it), byte %u of the sector\n",
		d->path, sector << SECTOR_SHIFT, sector, sector / chunk,
		sector % chunk, i * 16);
	tag_describe(text, sizeof(text), tag);
	fprintf(stderr, "    expected: %s\n", text);
	pair_describe(text, sizeof(text), w + 2 * i, sector, d->sectors);
	fprintf(stderr, "    found:    %s\n", text);
	if (!(tag & TAG_FLAGS))
		print_bytes("expected", (u8 *)(want + 2 * i));
	print_bytes("found   ", (const u8 *)(w + 2 * i));
}

/*
 * Sectors that differ from the model, from the first bad one on: details of a
 * few, the number of all, and whether a second read gives the same.
 */
static inline void report_range(struct dev *d, u64 sector, size_t n,
				unsigned int chunk, const u64 *model,
				const void *buf)
{
	const char *p = buf;
	void *again = xbuffer(n << SECTOR_SHIFT);
	size_t i, bad = 0, same = 0;
	int err = dev_read(d, sector, again, n);

	for (i = 0; i < n; i++, p += SECTOR_SIZE) {
		u64 tag = model[sector + i];

		if (sector_is(p, sector + i, tag & ~TAG_MAYBE_ZERO) ||
		    (tag & TAG_MAYBE_ZERO && sector_is_zero(p)))
			continue;
		if (bad++ < 4)
			report_sector(d, sector + i, chunk, tag, p);
		if (!err && !memcmp(p, (char *)again + i * SECTOR_SIZE, SECTOR_SIZE))
			same++;
	}
	fprintf(stderr, "  %zu of %zu sectors from sector %llu on are wrong; ",
		bad, n, sector);
	if (err)
		fprintf(stderr, "a second read failed: %s\n", strerror(-err));
	else
		fprintf(stderr, "a second read gives %zu of them the same again\n",
			same);
	free(again);
}

#endif
