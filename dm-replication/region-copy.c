// SPDX-License-Identifier: GPL-2.0-only
/*
 * The copying of one region to the replica: by kcopyd; or, if the region is zeroes, by telling
 * the replica so, for then it takes no space there, and none of a connection's time.
 *
 * So a region is read first, from its beginning till something is found that is not zero. That
 * is done only if the replica can write zeroes by itself, or can discard. What was discarded
 * may read back as anything, so it is read back.
 *
 * A slot has one bio under way at a time. What of the slot is used here belongs to the copy.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/dm-kcopyd.h>
#include <linux/slab.h>

#include "primary.h"

/* Pages of the first read of a region: most of what is in use has data there. */
#define FIRST_PAGES	4U

static void region_work(struct work_struct *work);

/**
 * repl_region_slot_create - allocate what copying a region takes
 * @slot: the slot, zeroed
 * @to: its replica
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM; then repl_region_slot_destroy() is to be called nevertheless.
 */
int repl_region_slot_create(struct repl_resync_slot *slot, struct repl_replica *to)
{
	unsigned int i;

	slot->to = to;
	INIT_WORK(&slot->work, region_work);
	for (i = 0; i < REPL_SCAN_PAGES; i++) {
		slot->pages[i] = alloc_page(GFP_KERNEL);
		if (!slot->pages[i])
			return -ENOMEM;
	}
	return 0;
}

/**
 * repl_region_slot_destroy - free what repl_region_slot_create() made
 * @slot: the slot, with nothing under way; or zeroed
 *
 * Context: may sleep.
 */
void repl_region_slot_destroy(struct repl_resync_slot *slot)
{
	unsigned int i;

	if (slot->to)
		cancel_work_sync(&slot->work);
	for (i = 0; i < REPL_SCAN_PAGES; i++)
		if (slot->pages[i])
			__free_page(slot->pages[i]);
}

static sector_t start_of(struct repl_resync_slot *slot)
{
	return (sector_t)slot->region << slot->to->p->region_shift;
}

static sector_t len_of(struct repl_resync_slot *slot)
{
	return repl_region_len(slot->to->p, slot->region);
}

/* The replica cannot write zeroes by itself; or not discard. */
static void rejects(struct repl_resync_slot *slot, bool zeroes)
{
	WRITE_ONCE(*(zeroes ? &slot->to->no_zeroes : &slot->to->no_discard), true);
}

static void copied(int read_failed, unsigned long write_failed, void *context)
{
	struct repl_resync_slot *slot = context;

	if (!read_failed && !write_failed && (slot->zeroes_failed || slot->discard_failed))
		rejects(slot, slot->zeroes_failed);
	repl_resync_done(slot, read_failed ? REPL_LOCAL_FAILED :
			 write_failed ? REPL_REPLICA_FAILED : REPL_COPIED);
}

static void copy_data(struct repl_resync_slot *slot)
{
	struct dm_io_region from = {
		.bdev = slot->to->p->local,
		.sector = start_of(slot),
		.count = len_of(slot),
	};
	struct dm_io_region to = from;

	to.bdev = slot->to->bdev;
	dm_kcopyd_copy(slot->to->kcopyd, &from, 1, &to, 0, copied, slot);
}

/* The rest is for a work: it may take long, and may submit. */
static void step_endio(struct bio *bio)
{
	struct repl_resync_slot *slot = bio->bi_private;

	queue_work(slot->to->p->send_wq, &slot->work);
}

static void discard_endio(struct bio *bio)
{
	struct repl_resync_slot *slot = bio->bi_private;
	enum repl_copied outcome = bio->bi_status ? REPL_COPY_AGAIN : REPL_COPIED;

	bio_uninit(bio);
	repl_resync_done(slot, outcome);
}

/* A bio without data for all of the region on the replica. */
static void submit_empty(struct repl_resync_slot *slot, blk_opf_t opf, bio_end_io_t *end_io)
{
	bio_init(&slot->bio, slot->to->bdev, NULL, 0, opf);
	slot->bio.bi_iter.bi_sector = start_of(slot);
	slot->bio.bi_iter.bi_size = len_of(slot) << SECTOR_SHIFT;
	slot->bio.bi_end_io = end_io;
	slot->bio.bi_private = slot;
	submit_bio(&slot->bio);
}

/* What has the replica make zeroes of a region by itself; REQ_OP_READ: nothing. */
static enum req_op zero_op(struct repl_replica *to)
{
	if (!READ_ONCE(to->no_zeroes) && bdev_write_zeroes_sectors(to->bdev))
		return REQ_OP_WRITE_ZEROES;
	if (!READ_ONCE(to->no_discard) && bdev_max_discard_sectors(to->bdev))
		return REQ_OP_DISCARD;
	return REQ_OP_READ;
}

/* The region, from slot->at on: of the local device; or, once zeroed, of the replica. */
static void read_next(struct repl_resync_slot *slot)
{
	unsigned int pages = slot->at ? REPL_SCAN_PAGES : FIRST_PAGES, i, n;
	struct bio *bio = &slot->bio;
	sector_t left;

	left = min_t(sector_t, len_of(slot) - slot->at, pages << PAGE_SECTORS_SHIFT);
	bio_init(bio, slot->zeroed ? slot->to->bdev : slot->to->p->local, slot->vecs,
		 REPL_SCAN_PAGES, REQ_OP_READ);
	bio->bi_iter.bi_sector = start_of(slot) + slot->at;
	bio->bi_end_io = step_endio;
	bio->bi_private = slot;
	slot->reading = left;
	for (i = 0; left; i++, left -= n) {
		n = min_t(sector_t, left, PAGE_SECTORS);
		__bio_add_page(bio, slot->pages[i], n << SECTOR_SHIFT, 0);
	}
	submit_bio(bio);
}

static void write_zeroes(struct repl_resync_slot *slot)
{
	enum req_op op = zero_op(slot->to);

	if (op == REQ_OP_READ)
		copy_data(slot);
	else
		submit_empty(slot, op, step_endio);
}

static void have_read(struct repl_resync_slot *slot, blk_status_t status)
{
	if (status || !repl_pages_zero(slot->pages, slot->reading)) {
		/* It does not discard as zeroes. */
		if (slot->zeroed && !status)
			rejects(slot, false);
		copy_data(slot);	/* which says whose an error is */
		return;
	}
	slot->at += slot->reading;
	if (slot->at < len_of(slot))
		read_next(slot);
	else if (slot->zeroed)
		repl_resync_done(slot, REPL_COPIED);
	else
		write_zeroes(slot);
}

static void have_zeroed(struct repl_resync_slot *slot, blk_status_t status)
{
	bool zeroes = bio_op(&slot->bio) == REQ_OP_WRITE_ZEROES;

	if (repl_not_supported(&slot->bio, status)) {
		rejects(slot, zeroes);
		write_zeroes(slot);
	} else if (status) {
		/* nbd has one error for all. To write the data says what it means. */
		slot->zeroes_failed = zeroes;
		slot->discard_failed = !zeroes;
		copy_data(slot);
	} else if (zeroes) {
		repl_resync_done(slot, REPL_COPIED);
	} else {
		slot->zeroed = true;
		slot->at = 0;
		read_next(slot);
	}
}

static void region_work(struct work_struct *work)
{
	struct repl_resync_slot *slot = container_of(work, struct repl_resync_slot, work);
	blk_status_t status = slot->bio.bi_status;

	bio_uninit(&slot->bio);
	/* Nobody waits for it any more; or the replica may be somebody else's, after a stop. */
	if (READ_ONCE(slot->abandoned) || READ_ONCE(slot->to->p->stage) != REPL_RUNNING)
		repl_resync_done(slot, REPL_COPY_AGAIN);
	else if (bio_op(&slot->bio) == REQ_OP_READ)
		have_read(slot, status);
	else
		have_zeroed(slot, status);
}

/**
 * repl_region_copy - have the replica get what the local device has of a region
 * @slot: the slot, with a region, and marked as copying
 *
 * At the end repl_resync_done() is called.
 *
 * Context: may sleep, for as long as the replica likes.
 */
void repl_region_copy(struct repl_resync_slot *slot)
{
	slot->at = 0;
	slot->zeroed = false;
	slot->zeroes_failed = false;
	slot->discard_failed = false;
	if (slot->discard)
		submit_empty(slot, REQ_OP_DISCARD, discard_endio);
	else if (zero_op(slot->to) != REQ_OP_READ)
		read_next(slot);
	else
		copy_data(slot);
}
