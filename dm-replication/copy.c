// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies of chunks from one device of a set to another: old content to hidden,
 * what fills active, and the merge.
 *
 * Each set has a fixed number of copies, a bio with pages of its own: so much of
 * its copying is in flight at most, nothing is allocated on the way, and no page is
 * cleared just to be overwritten, which is most of what kcopyd would cost here. Who
 * gets none waits until some are free.
 *
 * There may be hundreds of small sets. The copies of a small set own one page each,
 * which is enough for progress, and borrow what a larger part needs from the pages
 * that the set has to spare.
 *
 * What an io has copied is a job. It begins with one copy, which carries it, and
 * takes more if it is long and nobody of its lane waits for them; each copies a part, then the
 * next. All but a job's start is done by one work, that of its lane, so it needs no lock.
 *
 * Each lane (struct repl_lane) has copies while it needs them, but leaves some for the
 * others: whatever one waits for, the others go on.
 */
#include <linux/bio.h>
#include <linux/blk-cgroup.h>
#include <linux/blkdev.h>
#include <linux/ioprio.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "replication.h"

#define REPL_COPIES		32U
#define REPL_COPY_PAGES		DIV_ROUND_UP(SZ_256K, PAGE_SIZE)

/*
 * What a lane leaves for the others: of the copies, and of the spare pages at most a part's.
 * So much is there for each that is in use, for no more than two are: a failover has fenced
 * the ingress before the merge begins.
 */
#define REPL_COPIES_KEPT	(REPL_COPIES / 4)
#define REPL_LANE_COPIES	(REPL_COPIES - REPL_COPIES_KEPT)

/* All copies of a set together have a 16th of its length, if not less than this. */
#define REPL_COPIES_SHARE	16U
#define REPL_COPIES_MIN_PAGES	(REPL_COPIES + REPL_COPY_PAGES)
#define REPL_COPIES_FEW_PAGES	(SZ_2M / PAGE_SIZE)

/* What cannot be read is read again in pieces of so much, then in the device's blocks. */
#define PIECE_SECTORS		(SZ_4K >> SECTOR_SHIFT)

/*
 * How far from a block that cannot be read others are read, to know whether the device is
 * there: farther than what a list of lost sectors has room for, but near, for the device
 * may be made of several. See probe_distance().
 */
#define PROBE_SECTORS		(SZ_2M >> SECTOR_SHIFT)

/* How long a change of stage or epoch waits for blocks that cannot be read. */
#define REPL_PIECES_TIME	(5 * HZ)

/* Copies of one job at once. */
#define REPL_JOB_COPIES		16

/* Who waits for a copy is not bothered before so many are free. */
#define REPL_COPIES_TO_WAKE	(REPL_COPIES / 4)

/* What is being read of a piece. */
enum repl_trial {
	REPL_READ,			/* the piece, for the first time */
	REPL_PROBE_BEHIND,		/* it failed: another block, is the device there? */
	REPL_PROBE_BEFORE,		/* that was read: one at the other side; or the only one */
	REPL_READ_AGAIN,		/* the device is there: the piece once more */
};

/* In the order of their use: free; then the starter's; then the work's. */
struct repl_copy {
	struct repl_set *rs;
	struct list_head free;		/* rs->free_copies; wait_lock */
	struct repl_lane *lane;		/* that has it */
	struct llist_node done;		/* lane->done_copies; what the work is to look at */
	struct repl_copy *job;		/* for which it copies; the first one's is itself */

	/* The job, in the first. */
	struct repl_io *io;
	repl_next_run_fn next;
	repl_copied_fn fn;
	enum repl_dev to;
	enum repl_dev run_dev;		/* where the present run is, of which what lies */
	sector_t at, run_end;		/* between these is still to be copied */
	unsigned int chunk;		/* where to look for the next run */
	unsigned int busy;		/* copies at work */
	bool begins;			/* the work begins it: there is something for more
					 * than one, or nothing after all
					 */
	blk_status_t read_error, write_error;	/* the first of each */

	/* The part. */
	enum repl_dev from;
	sector_t sector;
	unsigned int sectors;
	unsigned int nr_pages;		/* it has: its own, then borrowed ones */
	bool zeroes;			/* it is written by telling the device so */
	bool in_pieces;			/* it could not be read as a whole; the piece: */
	unsigned int piece;		/* where, in the part */
	unsigned int piece_sectors;
	enum repl_trial trial;		/* of the piece */
	struct bio bio;
	struct bio_vec vecs[REPL_COPY_PAGES];
	struct page *pages[REPL_COPY_PAGES];
};

/*
 * How many pages the copies of a set have together. With fewer than REPL_COPIES_FEW_PAGES
 * the merge of a small set would take many rounds, and a suspend waits for those of the
 * runs that have begun.
 */
static unsigned int count_pages(struct repl_set *rs)
{
	u64 all = rs->len >> PAGE_SECTORS_SHIFT;
	u64 pages = max(div_u64(all, REPL_COPIES_SHARE), min_t(u64, all, REPL_COPIES_FEW_PAGES));

	return clamp_t(u64, pages, REPL_COPIES_MIN_PAGES, REPL_COPIES * REPL_COPY_PAGES);
}

static int alloc_more_pages(struct page **pages, unsigned int *nr, unsigned int end)
{
	for (; *nr < end; (*nr)++) {
		pages[*nr] = alloc_page(GFP_KERNEL);
		if (!pages[*nr])
			return -ENOMEM;
	}
	return 0;
}

static void free_all_pages(struct page **pages, unsigned int nr)
{
	while (nr)
		__free_page(pages[--nr]);
}

/**
 * repl_copies_create - allocate the copies of a set
 * @rs: the set
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM; then repl_copies_destroy() is to be called nevertheless.
 */
int repl_copies_create(struct repl_set *rs)
{
	unsigned int i, total = count_pages(rs);

	rs->own_pages = total < REPL_COPIES * REPL_COPY_PAGES ? 1 : REPL_COPY_PAGES;
	total -= REPL_COPIES * rs->own_pages;
	rs->most_borrowed = total - min_t(unsigned int, total / 4, REPL_COPY_PAGES);
	rs->spare_pages = kcalloc(total, sizeof(*rs->spare_pages), GFP_KERNEL);
	rs->copies = kvcalloc(REPL_COPIES, sizeof(*rs->copies), GFP_KERNEL);
	if (!rs->copies || !rs->spare_pages ||
	    alloc_more_pages(rs->spare_pages, &rs->nr_spare_pages, total))
		return -ENOMEM;
	for (i = 0; i < REPL_COPIES; i++) {
		struct repl_copy *copy = &rs->copies[i];

		copy->rs = rs;
		if (alloc_more_pages(copy->pages, &copy->nr_pages, rs->own_pages))
			return -ENOMEM;
		list_add(&copy->free, &rs->free_copies);
	}
	rs->nr_free_copies = REPL_COPIES;
	return 0;
}

/**
 * repl_copies_destroy - free the copies of a set
 * @rs: the set, of which nothing is being copied
 *
 * Context: may sleep.
 */
void repl_copies_destroy(struct repl_set *rs)
{
	unsigned int i;

	for (i = 0; rs->copies && i < REPL_COPIES; i++)
		free_all_pages(rs->copies[i].pages, rs->copies[i].nr_pages);
	free_all_pages(rs->spare_pages, rs->nr_spare_pages);
	kvfree(rs->copies);
	kfree(rs->spare_pages);
}

/* wait_lock held. How many copies a lane may take. */
static unsigned int free_copies(struct repl_lane *lane)
{
	return min(lane->rs->nr_free_copies, REPL_LANE_COPIES - lane->nr_copies);
}

/* wait_lock held. How many spare pages its copies may borrow. */
static unsigned int free_pages_of(struct repl_lane *lane)
{
	return min(lane->rs->nr_spare_pages, lane->rs->most_borrowed - lane->nr_borrowed);
}

/*
 * wait_lock held; NULL: none is free, or the next one is somebody else's. @io: who asks
 * for its first; NULL for one more.
 */
static struct repl_copy *take(struct repl_lane *lane, struct repl_io *io)
{
	struct repl_set *rs = lane->rs;
	struct repl_copy *copy;

	lockdep_assert_held(&rs->wait_lock);
	if (lane->copy_turn ? lane->copy_turn != io : !list_empty(&lane->throttled))
		return NULL;
	if (!free_copies(lane))
		return NULL;
	copy = list_first_entry(&rs->free_copies, struct repl_copy, free);
	list_del(&copy->free);
	copy->lane = lane;
	rs->nr_free_copies--;
	lane->nr_copies++;
	lane->copy_turn = NULL;
	return copy;
}

/* Let a copy have so many pages, or as many as there are to spare. */
static void borrow_pages(struct repl_copy *copy, unsigned int wanted)
{
	struct repl_set *rs = copy->rs;
	unsigned int n;

	if (wanted <= copy->nr_pages)
		return;
	spin_lock_irq(&rs->wait_lock);
	n = min(wanted - copy->nr_pages, free_pages_of(copy->lane));
	rs->nr_spare_pages -= n;
	copy->lane->nr_borrowed += n;
	memcpy(copy->pages + copy->nr_pages, rs->spare_pages + rs->nr_spare_pages,
	       n * sizeof(*copy->pages));
	spin_unlock_irq(&rs->wait_lock);
	copy->nr_pages += n;
}

/* wait_lock held. */
static void return_pages(struct repl_copy *copy)
{
	struct repl_set *rs = copy->rs;
	unsigned int n = copy->nr_pages - rs->own_pages;

	lockdep_assert_held(&rs->wait_lock);
	if (likely(!n))
		return;
	memcpy(rs->spare_pages + rs->nr_spare_pages, copy->pages + rs->own_pages,
	       n * sizeof(*copy->pages));
	rs->nr_spare_pages += n;
	copy->lane->nr_borrowed -= n;
	copy->nr_pages = rs->own_pages;
}

/**
 * repl_copy_get - may an io have chunks copied now?
 * @io: the io
 *
 * Context: any; does not sleep.
 * Return: a copy for repl_copy_start(), or NULL: then the io waits, is resumed when
 * it may ask again, and is not to be touched any more.
 */
struct repl_copy *repl_copy_get(struct repl_io *io)
{
	struct repl_lane *lane = io->lane;
	struct repl_set *rs = io->rs;
	struct repl_copy *copy;
	unsigned long flags;

	/* Who must not sleep in submit_bio() asks again from a worker. */
	if (unlikely(io->mapping && repl_io_bio(io)->bi_opf & REQ_NOWAIT)) {
		repl_io_resume(io);
		return NULL;
	}
	spin_lock_irqsave(&rs->wait_lock, flags);
	copy = take(lane, io);
	/* If another lane has taken what it was resumed for, it is the next one again. */
	if (!copy)
		repl_io_wait_locked(io, lane->copy_turn == io ? lane->throttled.next :
								&lane->throttled);
	spin_unlock_irqrestore(&rs->wait_lock, flags);
	return copy;
}

/**
 * repl_copy_turn - take the copy that an io is resumed for
 * @io: the io, while it is being resumed
 *
 * For who asks later, when the turn has passed on.
 *
 * Context: any; does not sleep.
 * Return: a copy, or NULL: the io is resumed for another reason.
 */
struct repl_copy *repl_copy_turn(struct repl_io *io)
{
	struct repl_set *rs = io->rs;
	struct repl_copy *copy = NULL;
	unsigned long flags;

	spin_lock_irqsave(&rs->wait_lock, flags);
	if (io->lane->copy_turn == io)
		copy = take(io->lane, io);
	spin_unlock_irqrestore(&rs->wait_lock, flags);
	return copy;
}

/**
 * repl_copy_next - whose turn is it to have a copy?
 * @lane: where it is asked
 * @any: it may be somebody's; false: it is nobody's for now
 *
 * The turn of the one before ends, whether it has taken a copy or found that it needs
 * none. So each copy that is free resumes one io, and none is left to somebody who
 * does not come. Nobody else of the lane can take what the next one is resumed for.
 *
 * Context: the work that resumes ios; wait_lock held.
 * Return: the io that has waited longest, or NULL: none waits, or no copy is free.
 */
struct repl_io *repl_copy_next(struct repl_lane *lane, bool any)
{
	lockdep_assert_held(&lane->rs->wait_lock);
	lane->copy_turn = NULL;
	if (any && free_copies(lane))
		lane->copy_turn = list_first_entry_or_null(&lane->throttled, struct repl_io,
							   wait);
	return lane->copy_turn;
}

/* How many pages the next part of a job that has more would fill. */
static unsigned int pages_wanted(struct repl_copy *job)
{
	sector_t left = job->run_end - job->at;

	return min_t(sector_t, DIV_ROUND_UP(left, PAGE_SECTORS), REPL_COPY_PAGES);
}

/* One more for a job that has one, if there are pages for its part. */
static struct repl_copy *get_more(struct repl_copy *job)
{
	struct repl_copy *copy = NULL;
	struct repl_set *rs = job->rs;

	spin_lock_irq(&rs->wait_lock);
	if (pages_wanted(job) <= rs->own_pages + free_pages_of(job->lane))
		copy = take(job->lane, NULL);
	spin_unlock_irq(&rs->wait_lock);
	return copy;
}

/*
 * wait_lock held. Whether a lane in which somebody waits for a copy is to take what is
 * free. While one waits nobody else of the lane takes a copy, so it comes to this; and by
 * so many at a time, for the work does not come for each. But a lane that has less than
 * what is kept for it gets what there is, for the other one may hold the rest for long.
 */
static bool is_to_wake(struct repl_lane *lane)
{
	unsigned int n = free_copies(lane);

	return n >= REPL_COPIES_TO_WAKE || (n && lane->nr_copies < REPL_COPIES_KEPT);
}

static void put(struct repl_copy *copy)
{
	struct repl_set *rs = copy->rs;
	struct repl_lane *lane;

	spin_lock_irq(&rs->wait_lock);
	return_pages(copy);
	list_add(&copy->free, &rs->free_copies);
	rs->nr_free_copies++;
	copy->lane->nr_copies--;
	for (lane = rs->lane; lane < rs->lane + REPL_NR_USERS; lane++)
		if (unlikely(!list_empty(&lane->throttled)) && is_to_wake(lane))
			queue_work(rs->wq, &lane->run_work);
	spin_unlock_irq(&rs->wait_lock);
}

/*
 * To the work. Who finds the list empty queues it; the work takes the list once, so
 * it cannot be ahead of him and let the set go before he is done with it.
 */
static void hand_over(struct repl_copy *copy)
{
	struct repl_lane *lane = copy->lane;

	preempt_disable();	/* others rely on the first to come */
	if (llist_add(&copy->done, &lane->done_copies))
		queue_work(lane->rs->wq, &lane->copy_work);
	preempt_enable();
}

static void copy_endio(struct bio *bio)
{
	hand_over(bio->bi_private);
}

/* A bio for sectors of a part, at @sector; its size is to be set. */
static void init_bio(struct repl_copy *copy, enum repl_dev dev, blk_opf_t opf, sector_t sector)
{
	struct bio *bio = &copy->bio;

	/* REQ_IDLE as well, for else writeback's throttle would hold up the worker. */
	bio_init(bio, NULL, copy->vecs, REPL_COPY_PAGES, opf | REQ_SYNC | REQ_IDLE);
	/*
	 * Not on the account of the task that we run in: copies are shared, and one
	 * that is held back by a limit of its own would hold up all.
	 */
	bio->bi_bdev = copy->rs->bdev[dev];
	bio_associate_blkg_from_css(bio, blkcg_root_css);
	bio->bi_ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, IOPRIO_BE_NORM);
	bio->bi_iter.bi_sector = sector;
	bio->bi_end_io = copy_endio;
	bio->bi_private = copy;
}

/*
 * Read or write so many sectors at @sector, from @first on in the part's pages: there a
 * piece begins at a page or lies within one.
 */
static void submit(struct repl_copy *copy, enum repl_dev dev, blk_opf_t opf, sector_t sector,
		   unsigned int first, unsigned int left)
{
	unsigned int offset = first % PAGE_SECTORS, n, i;
	struct bio *bio = &copy->bio;

	init_bio(copy, dev, opf, sector);
	for (i = first / PAGE_SECTORS; left; i++, left -= n, offset = 0) {
		n = min_t(unsigned int, left, PAGE_SECTORS - offset);
		__bio_add_page(bio, copy->pages[i], n << SECTOR_SHIFT, offset << SECTOR_SHIFT);
	}
	submit_bio(bio);
}

static void submit_zeroes(struct repl_copy *copy, enum repl_dev dev)
{
	init_bio(copy, dev, REQ_OP_WRITE_ZEROES, copy->sector);
	copy->bio.bi_iter.bi_size = copy->sectors << SECTOR_SHIFT;
	submit_bio(&copy->bio);
}

static void read_part(struct repl_copy *copy)
{
	submit(copy, copy->from, REQ_OP_READ, copy->sector, 0, copy->sectors);
}

/*
 * Whether hidden is told that a part is zeroes, so that it takes no space there. Nobody looks
 * at data that data replaces: that costs time, and hidden is soon to be emptied.
 */
static bool write_as_zeroes(struct repl_copy *copy)
{
	struct repl_copy *job = copy->job;

	return job->to == REPL_HIDDEN && bio_op(repl_io_bio(job->io)) != REQ_OP_WRITE &&
		bdev_write_zeroes_sectors(copy->rs->bdev[REPL_HIDDEN]) &&
		repl_pages_zero(copy->pages, copy->sectors);
}

static void write_part(struct repl_copy *copy)
{
	copy->zeroes = !copy->zeroes && write_as_zeroes(copy);
	if (copy->zeroes)
		submit_zeroes(copy, copy->job->to);
	else
		submit(copy, copy->job->to, REQ_OP_WRITE, copy->sector, 0, copy->sectors);
}

/* The device says that its sectors are bad. A store is no different from the secondary. */
static bool is_bad_medium(blk_status_t error)
{
	return error == BLK_STS_MEDIUM || error == BLK_STS_PROTECTION;
}

static void read_piece(struct repl_copy *copy)
{
	submit(copy, copy->from, REQ_OP_READ, copy->sector + copy->piece, copy->piece,
	       copy->piece_sectors);
}

/*
 * The next piece of a part that is read in pieces: 4 KiB, by the device's 4 KiB. After a
 * block of such a piece that has a bad one follow its other blocks.
 */
static void read_next_piece(struct repl_copy *copy, unsigned int block)
{
	sector_t at = copy->sector + copy->piece;
	unsigned int left = copy->sectors - copy->piece;

	copy->trial = REPL_READ;
	if (!copy->piece || copy->piece_sectors != block || at % PIECE_SECTORS == 0)
		copy->piece_sectors = min_t(unsigned int, left,
					    PIECE_SECTORS - at % PIECE_SECTORS);
	read_piece(copy);
}

/*
 * Sectors. So many from a block of a striped device (dm-stripe, md raid0) there is a block of
 * the same disk: whole stripes, of which the optimal I/O size is the length.
 */
static sector_t probe_distance(struct repl_copy *copy)
{
	unsigned int stripe = bdev_io_opt(copy->rs->bdev[copy->from]) >> SECTOR_SHIFT;

	if (!stripe || stripe % PIECE_SECTORS)
		return PROBE_SECTORS;
	return roundup(PROBE_SECTORS, stripe);
}

/*
 * Read another block of the device. Its content is of no use; it goes where that of the
 * piece belongs, which overwrites it. False: there is no such block.
 */
static bool read_probe(struct repl_copy *copy, enum repl_trial trial)
{
	sector_t end = copy->rs->len - copy->piece_sectors;
	sector_t at = copy->sector + copy->piece, far = probe_distance(copy);

	if (trial == REPL_PROBE_BEHIND ? at + far > end : at < far)
		return false;
	at = trial == REPL_PROBE_BEHIND ? at + far : at - far;
	copy->trial = trial;
	submit(copy, copy->from, REQ_OP_READ, at, copy->piece, copy->piece_sectors);
	return true;
}

/* A device is too small for that: the farther one of its ends. */
static void read_end(struct repl_copy *copy)
{
	sector_t end = copy->rs->len - copy->piece_sectors;

	copy->trial = REPL_PROBE_BEFORE;
	submit(copy, copy->from, REQ_OP_READ,
	       copy->sector + copy->piece > end / 2 ? 0 : end, copy->piece,
	       copy->piece_sectors);
}

/* A piece is lost. False: there is no room to note it. */
static bool lose_piece(struct repl_copy *copy)
{
	unsigned int n, at, end = copy->piece + copy->piece_sectors;
	struct repl_set *rs = copy->rs;
	sector_t sector = copy->sector + copy->piece;

	for (at = copy->piece; at < end; at += n) {
		n = min_t(unsigned int, end - at, PAGE_SECTORS - at % PAGE_SECTORS);
		memset(page_address(copy->pages[at / PAGE_SECTORS]) +
		       (at % PAGE_SECTORS << SECTOR_SHIFT), 0, n << SECTOR_SHIFT);
	}
	if (!repl_lost_add(rs, copy->job->to, sector, sector + copy->piece_sectors))
		return false;
	repl_fail_dev(rs, copy->from, BLK_STS_IOERR);
	DMWARN_LIMIT("%s: %u sectors from %llu on cannot be read: lost until the next checkpoint",
		     repl_set_name(rs), copy->piece_sectors, (u64)sector);
	return true;
}

/*
 * A read of a part, or of a piece of it, has failed. Ever smaller pieces are tried, down
 * to the device's blocks. Returns true if the piece is lost; if not either something is
 * being read, or @error says why the job fails.
 *
 * A device that is gone says the same, BLK_STS_IOERR, as many say of a bad sector. So a
 * block is lost if it cannot be read, and then one before and one behind it can, and then
 * it still cannot. Both, for a device may be made of several, one behind the other.
 */
static bool piece_failed(struct repl_copy *copy, unsigned int block, blk_status_t *error)
{
	blk_status_t why = *error;
	bool lost = false;

	if (copy->job->to == REPL_SECONDARY || (why != BLK_STS_IOERR && !is_bad_medium(why)))
		return false;
	/* A disk may take seconds for each, and a checkpoint or a failover waits. */
	if (repl_gate_presses(copy->rs, REPL_PIECES_TIME))
		return false;
	*error = BLK_STS_OK;
	if (!copy->in_pieces) {
		copy->in_pieces = true;
		copy->piece = 0;
		read_next_piece(copy, block);
	} else if (copy->piece_sectors > block) {
		copy->piece_sectors = block;
		read_piece(copy);
	} else if (!is_bad_medium(why) && copy->trial == REPL_READ) {
		if (!read_probe(copy, REPL_PROBE_BEHIND) &&
		    !read_probe(copy, REPL_PROBE_BEFORE))
			read_end(copy);
	} else {
		lost = lose_piece(copy);
		if (!lost)
			*error = why;
	}
	return lost;
}

/* A probe has been read. */
static void probe_is_read(struct repl_copy *copy)
{
	if (copy->trial == REPL_PROBE_BEHIND && read_probe(copy, REPL_PROBE_BEFORE))
		return;
	copy->trial = REPL_READ_AGAIN;
	read_piece(copy);
}

/*
 * A read of a part has failed, or one of a piece of it has ended. What cannot be read at
 * all is lost. Returns whether the part is there; if not either a piece is being read, or
 * @error says why the job fails.
 */
static bool piece_is_read(struct repl_copy *copy, blk_status_t *error)
{
	unsigned int block = bdev_logical_block_size(copy->rs->bdev[copy->from]) >> SECTOR_SHIFT;

	if (copy->in_pieces &&
	    (copy->trial == REPL_PROBE_BEHIND || copy->trial == REPL_PROBE_BEFORE)) {
		if (!*error)
			probe_is_read(copy);
		return false;
	}
	if (*error && !piece_failed(copy, block, error))
		return false;
	if (!copy->in_pieces)
		return true;
	copy->piece += copy->piece_sectors;
	if (copy->piece >= copy->sectors)
		return true;
	read_next_piece(copy, block);
	return false;
}

/* A read has ended: as piece_is_read(), but in most cases the part has been read at once. */
static bool part_is_read(struct repl_copy *copy, blk_status_t *error)
{
	return likely(!*error && !copy->in_pieces) || piece_is_read(copy, error);
}

/* Find the next run of a job. */
static bool next_run(struct repl_copy *job)
{
	struct repl_region *r = job->io->region;
	struct repl_set *rs = job->rs;
	unsigned int end;
	bool more;

	if (job->chunk >= job->io->end)
		return false;
	spin_lock_irq(&r->lock);
	more = job->next(r, &job->chunk, &end, job->io->end, &job->run_dev);
	spin_unlock_irq(&r->lock);
	if (!more) {
		job->chunk = job->io->end;
		return false;
	}
	job->at = repl_chunk_sector(rs, r, job->chunk);
	job->run_end = min(rs->len, repl_chunk_sector(rs, r, end));
	job->chunk = end;
	return true;
}

/* The merge leaves out what is lost: the next such sector of the present run. */
static sector_t next_lost(struct repl_copy *job)
{
	if (!repl_has_lost(job->rs) || job->to != REPL_SECONDARY)
		return job->run_end;
	return repl_lost_find(job->rs, job->run_dev, job->at, job->run_end);
}

static void skip_lost(struct repl_copy *job)
{
	struct repl_set *rs = job->rs;
	sector_t first = job->at;

	while (job->at < job->run_end && next_lost(job) == job->at)
		job->at++;
	if (job->at == first)
		return;
	/* Before the bits of these chunks are cleared. */
	repl_fail(rs, REPL_MERGE_LOST);
	DMWARN_LIMIT("%s: %llu lost sectors from %llu on are not rolled back",
		     repl_set_name(rs), (u64)(job->at - first), (u64)first);
}

/* Whether a job has something left that no copy has taken. */
static bool job_more(struct repl_copy *job)
{
	do {
		if (repl_has_lost(job->rs))
			skip_lost(job);
		if (job->at < job->run_end)
			return true;
	} while (next_run(job));
	return false;
}

/* The next part of a job that has more is this copy's. */
static void cut_part(struct repl_copy *copy)
{
	struct repl_copy *job = copy->job;
	sector_t most = copy->nr_pages << PAGE_SECTORS_SHIFT;

	if (unlikely(job->run_end - job->at > most)) {
		borrow_pages(copy, pages_wanted(job));
		most = copy->nr_pages << PAGE_SECTORS_SHIFT;
	}
	copy->from = job->run_dev;
	copy->sector = job->at;
	copy->sectors = min(next_lost(job) - job->at, most);
	copy->in_pieces = false;
	copy->zeroes = false;
	/* What an attempt has noted before power was lost. */
	if (repl_has_lost(job->rs) && job->to != REPL_SECONDARY)
		repl_lost_clear(job->rs, job->to, job->at, job->at + copy->sectors);
	job->at += copy->sectors;
}

/* Read the first copy's part, and have more copies read what follows. */
static void job_spread(struct repl_copy *job)
{
	struct repl_copy *copy;

	read_part(job);
	while (job->busy < REPL_JOB_COPIES && job_more(job)) {
		copy = get_more(job);
		if (!copy)
			break;
		copy->job = job;
		job->busy++;
		cut_part(copy);
		read_part(copy);
	}
}

/**
 * repl_copy_start - copy the chunks of a claim
 * @job: from repl_copy_get()
 * @io: who has them copied; not to be touched any more, but by @fn
 * @to: where they are wanted
 * @next: finds the next run to copy from *@first on, at least one in the claim,
 *	and where it is; called with the region's lock held. The claim has to keep
 *	others from changing the answer
 * @fn: called at the end, in process context, with @io
 *
 * Context: process; does not sleep, but for what submit_bio() does.
 */
void repl_copy_start(struct repl_copy *job, struct repl_io *io, enum repl_dev to,
		     repl_next_run_fn next, repl_copied_fn fn)
{
	job->job = job;
	job->io = io;
	job->to = to;
	job->next = next;
	job->fn = fn;
	job->at = 0;
	job->run_end = 0;
	job->chunk = io->first;
	job->busy = 1;
	job->read_error = BLK_STS_OK;
	job->write_error = BLK_STS_OK;
	/* It has something by contract, but all may be lost. */
	job->sectors = 0;
	if (likely(job_more(job)))
		cut_part(job);
	job->begins = !job->sectors || job_more(job);
	if (unlikely(job->begins))
		hand_over(job);
	else
		read_part(job);
}

/* A copy has nothing more to do; if it is the last one, its job is done. */
static void copy_end(struct repl_copy *copy)
{
	struct repl_copy *job = copy->job;
	struct repl_io *io = job->io;
	blk_status_t read_error, write_error;
	repl_copied_fn fn = job->fn;

	if (copy != job)
		put(copy);
	if (--job->busy)
		return;
	read_error = job->read_error;
	write_error = job->write_error;
	put(job);
	fn(io, read_error, write_error);
}

static void note_error(struct repl_copy *job, bool read, blk_status_t error)
{
	if (read && !job->read_error)
		job->read_error = error;
	else if (!read && !job->write_error)
		job->write_error = error;
}

/* A job that its starter could not begin with a read. */
static void job_begin(struct repl_copy *job)
{
	job->begins = false;
	if (job->sectors)
		job_spread(job);
	else
		copy_end(job);
}

/* A part is read, or written. */
static void copy_step(struct repl_copy *copy)
{
	struct repl_copy *job = copy->job;
	blk_status_t error = copy->bio.bi_status;
	bool read = bio_op(&copy->bio) == REQ_OP_READ;

	bio_uninit(&copy->bio);
	if (read && !job->read_error && !job->write_error &&
	    !part_is_read(copy, &error) && !error)
		return;
	/* Whatever that means: to write the data says what is wrong. */
	if (unlikely(error && copy->zeroes)) {
		write_part(copy);
		return;
	}
	if (unlikely(error))
		note_error(job, read, error);

	if (job->read_error || job->write_error) {
		copy_end(copy);
	} else if (read) {
		write_part(copy);
	} else if (copy != job && !list_empty_careful(&job->lane->throttled)) {
		copy_end(copy);		/* others wait for their first */
	} else if (!job_more(job)) {
		copy_end(copy);
	} else {
		cut_part(copy);
		if (copy == job)
			job_spread(job);
		else
			read_part(copy);
	}
}

/**
 * repl_copy_work - go on with the copies that have read or written their part
 * @work: copy_work of a lane
 *
 * Context: may sleep; not for calling, but for queue_work().
 */
void repl_copy_work(struct work_struct *work)
{
	struct repl_lane *lane = container_of(work, struct repl_lane, copy_work);
	struct repl_copy *copy, *next;
	struct llist_node *list;
	struct blk_plug plug;

	/* Once, and not until it is empty: see hand_over(). */
	list = llist_reverse_order(llist_del_all(&lane->done_copies));
	blk_start_plug(&plug);
	llist_for_each_entry_safe(copy, next, list, done) {
		if (unlikely(copy->begins))
			job_begin(copy);
		else
			copy_step(copy);
	}
	blk_finish_plug(&plug);
}
