// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page cache of the view, which must not show old content after the view has
 * been moved. A checkpoint does this:
 *
 *   repl_cache_begin()	drops clean pages, so that little is left for later. Nothing is
 *			lost if the checkpoint fails after that.
 *   repl_cache_freeze()	closes the view's gate, drops the clean pages that are left, and
 *			locks all others that have content. From then on no writeback
 *			begins that would write old content, and none is under way but
 *			what waits at the gate.
 *   repl_cache_drop()	drops the locked pages when the view has been moved. Its gate is
 *			still closed, so a page that is read or written from then on is
 *			new, and none of those is dropped.
 *   repl_cache_end()	runs when the gates are open, and drops the pages that were being
 *			read or that somebody had in hand. If the checkpoint has failed, it
 *			only lets go of the pages.
 *
 * Behind the closed gate nothing may wait for a page: its I/O may be waiting at the
 * gate. So a page that others have locked is noted instead. Writeback that waits at the
 * gate is a write from before the checkpoint, as a dirty page is: once the view has been
 * moved it is completed without being done.
 *
 * Writeback can also be held back before it comes to the view's gate, for as long as
 * whoever holds it likes: a cgroup's io.max on the view does that. A checkpoint cannot
 * drop such a write, and it would land on the new content. So then the freeze fails: it
 * lets everything go, waits some time with the gate open, tries again, and in the end
 * refuses the checkpoint. Until then nothing has been changed.
 *
 * Each step looks at each page once, and the last one waits only for the pages that the
 * freeze has noted: readers who fill the cache at the same time cannot make that longer.
 */
#include <linux/buffer_head.h>
#include <linux/delay.h>
#include <linux/pagemap.h>

#include "compat.h"
#include "replication.h"

/* How often, with the gate closed, to look again at pages that somebody has in hand. */
#define LOOKS	10

/* For how long, with the gate closed, to wait for a page that somebody is about to unlock. */
#define UNLOCK_PATIENCE	(HZ / 10)

/* For how long a checkpoint tries again while writeback is held back from the view. */
#define FREEZE_PATIENCE	(2 * HZ)

/* For how long, at most, the gate is open between two tries. */
#define FREEZE_PAUSE	(HZ / 4)

/* For how long a checkpoint waits for reads that were under way when the gate was closed. */
#define END_PATIENCE	(5 * HZ)

/* How often cache_work looks at the pages that the checkpoint did not wait for. */
#define WORK_INTERVAL	(HZ / 10)

/* In repl_set.cache_left: this folio is locked by us. */
#define FROZEN	XA_MARK_0

/* What has become of a page; the first three need no other look. */
enum fate {
	GONE,		/* or its content is, and it has to be read again */
	KEPT_DIRTY,
	KEPT_BUSY,	/* a filesystem has its hands on it */
	LEFT,		/* clean, but somebody else has it in hand: one more look */
	LEFT_LOCKED,	/* locked, or under I/O: one more look when that is over */
	KEPT_LOCKED,	/* locked by us */
};

static struct block_device *md_bdev(struct mapped_device *md)
{
	return dm_disk(md)->part0;
}

/* Whether others than the page cache and we hold the folio, which has no buffers. */
static bool in_hand(struct folio *folio)
{
	return folio_ref_count(folio) > folio_nr_pages(folio) + 1;
}

/*
 * The folio is locked. A folio that is not up to date is read again by whoever wants
 * it, so its old content is gone, even if it cannot be taken out of the cache now. But
 * somebody who already has it in hand, such as in a pipe, would take that for an
 * error. He has seen it up to date and then taken it, or the other way round; so
 * look after the flag is cleared.
 */
static enum fate forget_content(struct folio *folio)
{
	if (!folio_test_uptodate(folio))
		return GONE;
	folio_clear_uptodate(folio);
	smp_mb__after_atomic();		/* pairs with him: the flag before the count */
	if (in_hand(folio)) {
		folio_mark_uptodate(folio);
		return LEFT;
	}
	folio_clear_mappedtodisk(folio);
	return GONE;
}

/* The folio is locked, and one reference to it is ours. */
static enum fate forget_locked(struct address_space *mapping, struct folio *folio, bool dirty_too)
{
	bool dirty = false, io = false;

	if (folio_mapped(folio))	/* and while it is locked nobody maps it again */
		unmap_mapping_pages(mapping, folio->index, folio_nr_pages(folio), false);
	if (folio_test_writeback(folio))
		return LEFT_LOCKED;
	/* A buffer can be locked without its folio, which folio_invalidate() would wait for. */
	if (mapping->a_ops->is_dirty_writeback)
		mapping->a_ops->is_dirty_writeback(folio, &dirty, &io);
	if (io)
		return LEFT_LOCKED;
	if (dirty || folio_test_dirty(folio)) {
		if (!dirty_too)
			return KEPT_DIRTY;
		if (folio_test_private(folio))
			folio_invalidate(folio, 0, folio_size(folio));
		folio_cancel_dirty(folio);
	}
	if (folio_test_private(folio) && !filemap_release_folio(folio, 0))
		return KEPT_BUSY;
	return forget_content(folio);
}

/* Does not wait. One reference to the folio is ours. What is dirty stays. */
static enum fate forget(struct address_space *mapping, struct folio *folio)
{
	enum fate fate = GONE;

	if (!folio_trylock(folio))
		return LEFT_LOCKED;
	if (folio->mapping == mapping)
		fate = forget_locked(mapping, folio, false);
	folio_unlock(folio);
	return fate;
}

/*
 * As forget(), before the view is moved: a folio that is not gone stays locked. While it
 * is, nobody writes to it, and no writeback of it begins.
 */
static enum fate freeze(struct address_space *mapping, struct folio *folio)
{
	enum fate fate = GONE;

	if (!folio_trylock(folio))
		return LEFT_LOCKED;
	if (folio->mapping == mapping) {
		fate = forget_locked(mapping, folio, false);
		if (fate != GONE && (fate != LEFT_LOCKED || folio_test_writeback(folio)))
			return KEPT_LOCKED;
	}
	folio_unlock(folio);
	return fate;
}

/* Note a folio, to look at it again. False: there was no memory for that. */
static bool note(struct xarray *left, struct folio *folio, enum fate fate)
{
	struct folio *old;

	folio_get(folio);
	old = xa_store(left, folio->index, folio, GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
	if (xa_is_err(old)) {
		folio_put(folio);
		return false;
	}
	if (old)
		folio_put(old);
	if (fate == KEPT_LOCKED)
		xa_set_mark(left, folio->index, FROZEN);
	return true;
}

/* No more looks at a folio. */
static void unnote(struct xarray *left, unsigned long index, struct folio *folio)
{
	xa_erase(left, index);
	folio_put(folio);
}

/*
 * Forget, or freeze, all pages, without a wait for I/O. Returns how many still hold
 * something; those that need another look are noted in @left, or if that cannot be,
 * *@missed is set.
 */
static unsigned long sweep(struct address_space *mapping,
			   enum fate (*look)(struct address_space *mapping, struct folio *folio),
			   struct xarray *left, bool *missed)
{
	struct folio_batch batch;
	unsigned long nr = 0;
	pgoff_t index = 0;
	enum fate fate;
	unsigned int i;

	folio_batch_init(&batch);
	while (filemap_get_folios(mapping, &index, (pgoff_t)-1, &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++) {
			fate = look(mapping, batch.folios[i]);
			if (fate != GONE)
				nr++;
			if (fate < LEFT || (left && note(left, batch.folios[i], fate)))
				continue;
			*missed = true;
			if (fate == KEPT_LOCKED)
				folio_unlock(batch.folios[i]);
		}
		folio_batch_release(&batch);
		cond_resched();
	}
	return nr;
}

/*
 * Drop the clean pages of a device, or their content, without a wait for I/O. Returns
 * how many pages still hold something.
 */
static unsigned long drop_clean(struct mapped_device *md)
{
	struct address_space *mapping = compat_bdev_mapping(md_bdev(md));
	bool missed;

	/* Most of them, with what the CPUs still have in hand of them. */
	invalidate_bdev(md_bdev(md));
	return mapping->nrpages ? sweep(mapping, forget, NULL, &missed) : 0;
}

/*
 * Drop the clean ones of the pages that were noted, as far as nobody has them locked. One
 * that is being written holds what the view is going to show, so it stays, too.
 */
static void drop_left(struct address_space *mapping, struct xarray *left)
{
	struct folio *folio;
	unsigned long index;
	pgoff_t last;

	xa_for_each(left, index, folio) {
		cond_resched();
		if (folio_test_locked(folio))
			continue;
		last = index + folio_nr_pages(folio) - 1;
		/* Some of its buffers may have content if it is not up to date itself. */
		if (folio->mapping == mapping && !folio_test_writeback(folio) &&
		    !folio_test_dirty(folio) &&
		    (folio_test_uptodate(folio) || folio_test_private(folio)))
			invalidate_inode_pages2_range(mapping, index, last);
		unnote(left, index, folio);
	}
}

static void forget_left(struct xarray *left)
{
	struct folio *folio;
	unsigned long index;

	xa_for_each(left, index, folio)
		unnote(left, index, folio);
}

static void look_later(struct repl_set *rs, unsigned long delay)
{
	schedule_delayed_work(&rs->cache_work, delay);
}

/*
 * Clean pages that could not be dropped at once: after a resume, or because their reads
 * take long. Nobody waits for this, and it waits for no page.
 */
static void cache_work(struct work_struct *work)
{
	struct repl_set *rs = container_of(to_delayed_work(work), struct repl_set, cache_work);
	struct address_space *mapping = compat_bdev_mapping(md_bdev(rs->md));
	bool missed = false;

	mutex_lock(&rs->cache_lock);
	if (!rs->suspended) {		/* else the resume comes back to it */
		if (rs->cache_stale)
			sweep(mapping, forget, &rs->cache_left, &missed);
		rs->cache_stale = missed;
		drop_left(mapping, &rs->cache_left);
		if (missed || !xa_empty(&rs->cache_left))
			look_later(rs, WORK_INTERVAL);
	}
	mutex_unlock(&rs->cache_lock);
}

/**
 * repl_cache_init - prepare what drops the view's page cache
 * @rs: the set
 *
 * Context: any.
 */
void repl_cache_init(struct repl_set *rs)
{
	mutex_init(&rs->cache_lock);
	xa_init(&rs->cache_left);
	INIT_DELAYED_WORK(&rs->cache_work, cache_work);
}

/**
 * repl_cache_close - the view is gone: nothing of its page cache needs another look
 * @rs: the set
 *
 * Context: may sleep, for no I/O.
 */
void repl_cache_close(struct repl_set *rs)
{
	cancel_delayed_work_sync(&rs->cache_work);
	forget_left(&rs->cache_left);
}

/**
 * repl_cache_foreign - the view's page cache is of another table
 * @rs: the set, whose view is being resumed for the first time
 *
 * repl_cache_resume() drops it.
 *
 * Context: may sleep.
 */
void repl_cache_foreign(struct repl_set *rs)
{
	mutex_lock(&rs->cache_lock);
	rs->cache_stale = true;
	mutex_unlock(&rs->cache_lock);
}

/**
 * repl_cache_forget - drop the clean pages of a device whose content is another now
 * @md: the device
 *
 * What is under I/O at the moment stays.
 *
 * Context: may sleep, but for no I/O of the device.
 */
void repl_cache_forget(struct mapped_device *md)
{
	drop_clean(md);
}

/**
 * repl_cache_suspend - the view is going to be suspended
 * @rs: the set
 *
 * Context: presuspend, when the view still does I/O; waits for a checkpoint, which
 * needs that I/O.
 */
void repl_cache_suspend(struct repl_set *rs)
{
	mutex_lock(&rs->cache_lock);
	rs->suspended = true;
	mutex_unlock(&rs->cache_lock);
}

/**
 * repl_cache_resume - the view is about to do I/O again
 * @rs: the set
 *
 * Drops clean pages that a checkpoint had to leave. Dirty ones are writes that somebody
 * has made since: those from before the checkpoint went with it. A page that is under
 * I/O is dropped soon.
 *
 * Context: may sleep, but for no I/O of the view.
 */
void repl_cache_resume(struct repl_set *rs)
{
	mutex_lock(&rs->cache_lock);
	rs->suspended = false;
	if (rs->cache_stale)
		rs->cache_stale = drop_clean(rs->md);
	if (rs->cache_stale || !xa_empty(&rs->cache_left))
		look_later(rs, 0);
	mutex_unlock(&rs->cache_lock);
}

/* The view is suspended: drop its pages at once or not at all. Releases cache_lock. */
static int drop_suspended(struct repl_set *rs)
{
	unsigned long kept = drop_clean(rs->md);

	mutex_unlock(&rs->cache_lock);
	return kept ? -EBUSY : 0;
}

/**
 * repl_cache_begin - the view is going to be moved: drop its clean pages
 * @drop: for the functions below
 * @rs: the set
 *
 * From here to repl_cache_end() a suspend of the view waits, and so does whoever wants
 * to open it exclusively, to mount it. But if the view is suspended already, nothing
 * waits, for a resume must not: then pages are dropped only if that can be at once.
 *
 * Context: may sleep, for another's exclusive open of the view; rs->admin held.
 * Return: 0, to be followed by repl_cache_end(). Or -EBUSY if the view is suspended and
 * has pages that are dirty or in use.
 */
int repl_cache_begin(struct repl_cache_drop *drop, struct repl_set *rs)
{
	drop->rs = rs;
	mutex_lock(&rs->cache_lock);
	drop->suspended = rs->suspended;
	drop->claimed = false;
	if (drop->suspended)
		return drop_suspended(rs);
	/* What an earlier one has left is not looked at again by itself, if this one fails. */
	if (!xa_empty(&rs->cache_left))
		rs->cache_stale = true;
	drop->claimed = !compat_claim(md_bdev(rs->md), drop);
	invalidate_bdev(md_bdev(rs->md));
	return 0;
}

/* Whether a part of a bio's data writes back a page that is frozen. */
static bool is_frozen(struct xarray *left, const struct bio_vec *bv, sector_t sector)
{
	struct folio *folio = page_folio(bv->bv_page);
	u64 pos = folio_page_idx(folio, bv->bv_page) * PAGE_SIZE + bv->bv_offset;

	/* The page need not be one of a page cache at all, but then it is none of those. */
	return xa_load(left, folio->index) == folio && xa_get_mark(left, folio->index, FROZEN) &&
		folio_test_writeback(folio) &&
		(u64)sector << SECTOR_SHIFT == folio_pos(folio) + pos;
}

/* Whether an io that waits at the gate is a write from before the checkpoint. */
static bool is_old_writeback(struct repl_io *io, void *data)
{
	struct bio *bio = repl_io_bio(io);
	struct repl_set *rs = data;
	struct bvec_iter iter;
	struct bio_vec bv;

	if (bio_op(bio) != REQ_OP_WRITE || !bio_has_data(bio) || io->fua ||
	    bio->bi_opf & (REQ_PREFLUSH | REQ_FUA))
		return false;
	bio_for_each_segment(bv, bio, iter)
		if (!is_frozen(&rs->cache_left, &bv, iter.bi_sector))
			return false;
	return true;
}

/* How much the writeback of frozen pages has, and how much of that waits at the gate. */
struct count {
	struct repl_set *rs;
	u64 written, waiting;		/* bytes */
};

static bool count_waiting(struct repl_io *io, void *data)
{
	struct count *count = data;

	if (is_old_writeback(io, count->rs))
		count->waiting += repl_io_bio(io)->bi_iter.bi_size;
	return false;
}

/* The folio is frozen. How many bytes of it are being written. */
static u64 count_written(struct address_space *mapping, struct folio *folio)
{
	struct buffer_head *head, *bh;
	u64 n = 0;

	if (!folio_test_writeback(folio))
		return 0;
	/* Without buffers it is not known, but not more than all. */
	if (!folio_test_private(folio) || !mapping->a_ops->is_dirty_writeback)
		return folio_size(folio);
	head = folio_buffers(folio);
	bh = head;
	do {
		if (buffer_async_write(bh))
			n += bh->b_size;
		bh = bh->b_this_page;
	} while (bh != head);
	return n;
}

/*
 * How many bytes of writeback have not come to the gate. All that was inside it is over,
 * and none begins: so if the two numbers are the same, all of it waits at the gate.
 */
static u64 held_back(struct repl_set *rs, struct address_space *mapping)
{
	struct count count = { .rs = rs };
	struct folio *folio;
	unsigned long index;

	xa_for_each_marked(&rs->cache_left, index, folio, FROZEN)
		count.written += count_written(mapping, folio);
	if (!count.written)
		return 0;
	repl_gate_holds(rs, &rs->view_gate, count_waiting, &count);
	return count.written - min(count.written, count.waiting);
}

/* Whether an io that waits at the gate reads into the folio. */
static bool reads_folio(struct repl_io *io, void *data)
{
	struct bio *bio = repl_io_bio(io);
	struct folio *folio = data;
	sector_t start = folio_pos(folio) >> SECTOR_SHIFT;
	struct bvec_iter iter;
	struct bio_vec vec;

	if (bio_op(bio) != REQ_OP_READ || bio_end_sector(bio) <= start ||
	    bio->bi_iter.bi_sector >= start + (folio_size(folio) >> SECTOR_SHIFT))
		return false;
	/* And not somebody's direct read of the same sectors. */
	bio_for_each_segment(vec, bio, iter)
		if (page_folio(vec.bv_page) == folio)
			return true;
	return false;
}

/* Whether the folio, which is being read, may have other blocks with old content. */
static bool has_other_blocks(struct address_space *mapping, struct folio *folio)
{
	return folio_test_dirty(folio) || folio_test_writeback(folio) ||
		(folio_test_private(folio) && mapping->host->i_blkbits < folio_shift(folio));
}

/* What to do about the pages that were noted, and are neither gone nor frozen. */
enum look {
	NO_LOOK,	/* they wait at the gate */
	SOME_LOOKS,	/* with luck they are let go */
	MORE_LOOKS,	/* somebody who only needs CPU time is going to unlock one */
};

/*
 * A page that somebody else has locked, and that nobody reads through the gate. If it has
 * content, or buffers, it belongs to a writer, who has read the old content already and
 * makes the page dirty before he unlocks it, or to a flusher. Otherwise it is being read.
 */
static enum look look_at_left(struct repl_set *rs, struct address_space *mapping,
			      struct folio *folio)
{
	bool has_content = folio_test_uptodate(folio) || folio_test_private(folio);

	if (!has_other_blocks(mapping, folio) &&
	    repl_gate_holds(rs, &rs->view_gate, reads_folio, folio))
		return NO_LOOK;
	if (has_content)
		rs->held_back += folio_size(folio);
	if (has_content && !folio_test_writeback(folio))
		return MORE_LOOKS;
	return SOME_LOOKS;
}

/* Look again at the pages that were noted, and sum up what is still in the way. */
static enum look look_again(struct repl_set *rs, struct address_space *mapping)
{
	struct xarray *left = &rs->cache_left;
	enum look look = NO_LOOK;
	struct folio *folio;
	unsigned long index;
	enum fate fate;
	u64 held;

	rs->held_back = 0;
	xa_for_each(left, index, folio) {
		cond_resched();
		if (xa_get_mark(left, index, FROZEN))
			continue;
		fate = freeze(mapping, folio);
		if (fate == KEPT_LOCKED)
			xa_set_mark(left, index, FROZEN);
		else if (fate < LEFT)
			unnote(left, index, folio);
		else
			look = max(look, look_at_left(rs, mapping, folio));
	}
	held = held_back(rs, mapping);
	if (held)
		look = max(look, SOME_LOOKS);
	rs->held_back += held;
	return look;
}

/*
 * Pages that are read through the gate are left to repl_cache_end(). One that a writer or
 * a flusher has locked is let go soon. But its owner may be in reclaim, which may wait for
 * this gate: so not for ever.
 */
static int try_freeze(struct repl_cache_drop *drop)
{
	struct repl_set *rs = drop->rs;
	struct address_space *mapping = compat_bdev_mapping(md_bdev(rs->md));
	unsigned long until = jiffies + UNLOCK_PATIENCE;
	bool missed = false;
	enum look look;
	int i;

	invalidate_bdev(md_bdev(rs->md));
	sweep(mapping, freeze, &rs->cache_left, &missed);
	if (missed)
		return -ENOMEM;
	for (i = 0; ; i++) {
		look = look_again(rs, mapping);
		if (look < (i < LOOKS ? SOME_LOOKS : MORE_LOOKS) || time_after(jiffies, until))
			break;
		usleep_range(200, 1000);
	}
	return rs->held_back ? -EAGAIN : 0;
}

/* Let go of what is frozen, as it is. What has to end before another try stays noted. */
static void thaw(struct repl_set *rs)
{
	struct xarray *left = &rs->cache_left;
	struct folio *folio;
	unsigned long index;

	xa_for_each(left, index, folio) {
		if (xa_get_mark(left, index, FROZEN)) {
			xa_clear_mark(left, index, FROZEN);
			folio_unlock(folio);
		}
		if (!folio_test_writeback(folio) && !folio_test_locked(folio))
			unnote(left, index, folio);
		cond_resched();
	}
}

/* Whether a page that was noted is in nobody's way: it may be one that is being read. */
static bool is_over(struct folio *folio)
{
	if (folio_test_writeback(folio))
		return false;
	return !folio_test_locked(folio) ||
		!(folio_test_uptodate(folio) || folio_test_private(folio));
}

/* With the gate open, for a pause, or until what was in the way is over. 0 or -EINTR. */
static int wait_for_noted(struct repl_set *rs)
{
	unsigned long until = jiffies + FREEZE_PAUSE;
	struct xarray *left = &rs->cache_left;
	struct folio *folio;
	unsigned long index;

	do {
		schedule_timeout_killable(1);
		if (fatal_signal_pending(current))
			return -EINTR;
		xa_for_each(left, index, folio)
			if (is_over(folio))
				unnote(left, index, folio);
	} while (!xa_empty(left) && time_before(jiffies, until));
	return 0;
}

/**
 * repl_cache_freeze - close the view's gate, with nothing old that could be written later
 * @drop: what repl_cache_begin() has made
 *
 * Nothing is lost by that. If somebody has the view open exclusively, as a mounted
 * filesystem has, only the gate is closed: his dirty pages stay, and are written.
 *
 * Context: may sleep, for the I/O of the view that is under way; rs->admin held.
 * Return: 0, and the gate is closed. Or a negative errno, and it is open: -EINTR, killed;
 * -ENOMEM; -EBUSY, rs->held_back bytes are being written, but do not come to the gate.
 */
int repl_cache_freeze(struct repl_cache_drop *drop)
{
	struct repl_set *rs = drop->rs;
	unsigned long until = jiffies + FREEZE_PATIENCE;
	bool last;
	int r;

	do {
		last = time_after(jiffies, until);
		r = repl_quiesce_view(rs);
		if (r || !drop->claimed)
			return r;
		r = try_freeze(drop);
		if (!r)
			return 0;
		thaw(rs);
		repl_unquiesce(rs);
		if (r == -EAGAIN)
			r = last ? -EBUSY : wait_for_noted(rs);
	} while (!r);
	return r;
}

/* Drop what is frozen. A page that somebody has in hand stays locked; see read_frozen(). */
static void drop_frozen(struct repl_set *rs, struct address_space *mapping)
{
	struct xarray *left = &rs->cache_left;
	struct folio *folio;
	unsigned long index;
	enum fate fate;

	repl_gate_drop(rs, &rs->view_gate, is_old_writeback, rs);
	xa_for_each_marked(left, index, folio, FROZEN) {
		folio_wait_writeback(folio);	/* it has been completed */
		cond_resched();
		fate = forget_locked(mapping, folio, true);
		if (fate == LEFT)
			continue;
		xa_clear_mark(left, index, FROZEN);
		folio_unlock(folio);
		if (fate < LEFT)
			unnote(left, index, folio);
	}
}

/*
 * The gate is open. Somebody who waits for the lock of a page has it in hand. Were it
 * unlocked as it is, he would write to a part of it, and the rest would be old content that
 * is written back, too. So its new content is read first; the end of the read unlocks it.
 * Who has it in a pipe waits for the lock.
 */
static void read_frozen(struct repl_set *rs, struct address_space *mapping)
{
	struct xarray *left = &rs->cache_left;
	struct folio *folio;
	unsigned long index;

	xa_for_each_marked(left, index, folio, FROZEN) {
		xa_clear_mark(left, index, FROZEN);
		folio_clear_uptodate(folio);
		mapping->a_ops->read_folio(NULL, folio);
		unnote(left, index, folio);
		cond_resched();
	}
}

/**
 * repl_cache_drop - the view has been moved: drop all pages that are old
 * @drop: what repl_cache_begin() has made
 *
 * Dirty pages stay if somebody has the view open exclusively, as a mounted filesystem
 * has: it would not survive that they vanish.
 *
 * Context: may sleep, but for no I/O of the view, whose gate is closed.
 */
void repl_cache_drop(struct repl_cache_drop *drop)
{
	struct repl_set *rs = drop->rs;
	struct address_space *mapping = compat_bdev_mapping(md_bdev(rs->md));
	bool missed = false;

	if (drop->suspended)
		return;
	if (drop->claimed) {
		drop_frozen(rs, mapping);
		return;
	}
	invalidate_bdev(md_bdev(rs->md));
	sweep(mapping, forget, &rs->cache_left, &missed);
	if (missed)
		rs->cache_stale = true;
}

/* For reads that were under way when the gate was closed. The rest is left to the work. */
static void end_left(struct repl_set *rs)
{
	struct address_space *mapping = compat_bdev_mapping(md_bdev(rs->md));
	unsigned long until = jiffies + END_PATIENCE;

	for (;;) {
		drop_left(mapping, &rs->cache_left);
		if (xa_empty(&rs->cache_left) || fatal_signal_pending(current) ||
		    time_after(jiffies, until))
			break;
		schedule_timeout_killable(1);
	}
}

/**
 * repl_cache_end - the gates are open: drop what could not be dropped behind them
 * @drop: what repl_cache_begin() has made
 * @moved: whether the view has been; otherwise nothing more is dropped
 *
 * Context: may sleep, not for long, for reads of the view that are under way.
 */
void repl_cache_end(struct repl_cache_drop *drop, bool moved)
{
	struct repl_set *rs = drop->rs;

	if (drop->suspended) {
		mutex_lock(&rs->cache_lock);
		if (moved && drop_clean(rs->md)) {
			rs->cache_stale = true;
			if (!rs->suspended)
				look_later(rs, 0);
		}
		mutex_unlock(&rs->cache_lock);
		return;
	}
	if (moved) {
		read_frozen(rs, compat_bdev_mapping(md_bdev(rs->md)));
		end_left(rs);
		invalidate_bdev(md_bdev(rs->md));	/* pages without content */
	} else {
		thaw(rs);
		forget_left(&rs->cache_left);
	}
	if (rs->cache_stale || !xa_empty(&rs->cache_left))
		look_later(rs, 0);
	if (drop->claimed)
		bd_abort_claiming(md_bdev(rs->md), drop);
	mutex_unlock(&rs->cache_lock);
}
