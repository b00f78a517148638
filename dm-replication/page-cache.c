// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page cache of the view, which must not show old content after the view has
 * been moved. A checkpoint, with its gates, does this:
 *
 *   repl_cache_begin()	drops clean pages, so that little is left for later. Nothing is
 *			lost if the checkpoint fails after that.
 *   repl_cache_drop()	drops the rest, dirty pages too, which are writes that the
 *			checkpoint throws away. It runs when the view has been moved and
 *			its gate is still closed. So a page that is read or written from
 *			then on is new, and none of those is dropped.
 *   repl_cache_end()	runs when the gates are open, waits for the pages that were in the
 *			middle of I/O, and drops those that are clean.
 *
 * Behind the closed gate nothing may wait for a page: its I/O may be waiting at the
 * gate. So a locked page is noted instead. Writeback that waits at the gate is a write
 * from before the checkpoint, as a dirty page is: it is completed without being done.
 *
 * Each step looks at each page once, and the last one waits only for the pages that the
 * second has noted: readers who fill the cache at the same time cannot make that longer.
 */
#include <linux/delay.h>
#include <linux/pagemap.h>

#include "compat.h"
#include "replication.h"

/* How often, with the gate closed, to look again at pages that somebody has in hand. */
#define LOOKS	10

/* For how long, with the gate closed, to wait for a page that somebody is about to unlock. */
#define UNLOCK_PATIENCE	HZ

/* What has become of a page; the first three are not left with old content. */
enum fate {
	GONE,		/* or its content is, and it has to be read again */
	KEPT_DIRTY,
	KEPT_BUSY,	/* a filesystem has its hands on it */
	LEFT,		/* clean, but somebody else has it in hand: one more look */
	LEFT_LOCKED,	/* locked, or under I/O: one more look when that is over */
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

	if (folio_test_writeback(folio))
		return LEFT_LOCKED;
	if (folio_mapped(folio))	/* and while it is locked nobody maps it again */
		unmap_mapping_pages(mapping, folio->index, folio_nr_pages(folio), false);
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
	if (!filemap_release_folio(folio, 0))
		return KEPT_BUSY;
	return forget_content(folio);
}

/* Does not wait. One reference to the folio is ours. */
static enum fate forget(struct address_space *mapping, struct folio *folio, bool dirty_too)
{
	enum fate fate = GONE;

	if (!folio_trylock(folio))
		return LEFT_LOCKED;
	if (folio->mapping == mapping)
		fate = forget_locked(mapping, folio, dirty_too);
	folio_unlock(folio);
	return fate;
}

/* Note a folio, to look at it again. False: there was no memory for that. */
static bool note(struct xarray *left, struct folio *folio)
{
	struct folio *old;

	folio_get(folio);
	old = xa_store(left, folio->index, folio, GFP_NOIO | __GFP_NOWARN);
	if (xa_is_err(old))
		old = folio;
	if (old)
		folio_put(old);
	return old != folio;
}

/*
 * Forget what all pages hold, without a wait for I/O. Returns how many still hold
 * something; those that need another look are noted in @left, or if that cannot be,
 * *@missed is set.
 */
static unsigned long sweep(struct address_space *mapping, bool dirty_too, struct xarray *left,
			   bool *missed)
{
	struct folio_batch batch;
	unsigned long nr = 0;
	pgoff_t index = 0;
	enum fate fate;
	unsigned int i;

	folio_batch_init(&batch);
	while (filemap_get_folios(mapping, &index, (pgoff_t)-1, &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++) {
			fate = forget(mapping, batch.folios[i], dirty_too);
			if (fate != GONE)
				nr++;
			if (fate >= LEFT && (!left || !note(left, batch.folios[i])))
				*missed = true;
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
	return mapping->nrpages ? sweep(mapping, false, NULL, &missed) : 0;
}

/* Wait for the pages that were noted, all I/O at once, and drop those that are clean. */
static void drop_left(struct address_space *mapping, struct xarray *left)
{
	struct folio *folio;
	unsigned long index;
	pgoff_t last;

	xa_for_each(left, index, folio) {
		folio_wait_locked(folio);
		folio_wait_writeback(folio);
		last = index + folio_nr_pages(folio) - 1;
		if (folio->mapping == mapping)
			invalidate_inode_pages2_range(mapping, index, last);
		folio_put(folio);
	}
	xa_destroy(left);
}

/*
 * After a resume: clean pages that could not be dropped at once. Nobody waits for
 * this but the set's end, so it may wait for the view's I/O, and for its resume.
 */
static void cache_work(struct work_struct *work)
{
	struct repl_set *rs = container_of(work, struct repl_set, cache_work);
	struct address_space *mapping = compat_bdev_mapping(md_bdev(rs->md));
	DEFINE_XARRAY(left);
	bool missed = false;

	sweep(mapping, false, &left, &missed);
	drop_left(mapping, &left);
	if (missed)
		invalidate_inode_pages2(mapping);
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
	INIT_WORK(&rs->cache_work, cache_work);
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
	if (rs->cache_stale && drop_clean(rs->md))
		schedule_work(&rs->cache_work);
	rs->cache_stale = false;
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
 * @drop: for the two functions below
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
	xa_init(&drop->left);
	drop->rs = rs;
	mutex_lock(&rs->cache_lock);
	drop->suspended = rs->suspended;
	drop->claimed = false;
	if (drop->suspended)
		return drop_suspended(rs);
	drop->claimed = !compat_claim(md_bdev(rs->md), drop);
	invalidate_bdev(md_bdev(rs->md));
	return 0;
}

/*
 * Whether an io that waits at the gate writes back a page that has been noted. Another
 * one may have been written to after the view was moved.
 */
static bool is_old_writeback(struct repl_io *io, void *data)
{
	struct repl_cache_drop *drop = data;
	struct bio *bio = repl_io_bio(io);
	struct folio *folio;

	if (bio_op(bio) != REQ_OP_WRITE || !bio_has_data(bio) || io->fua ||
	    bio->bi_opf & (REQ_PREFLUSH | REQ_FUA))
		return false;
	folio = page_folio(bio_iter_page(bio, bio->bi_iter));
	/* The page need not be one of a page cache at all, but then it is none of those. */
	return folio_test_writeback(folio) &&
		xa_load(&drop->left, bio->bi_iter.bi_sector >> PAGE_SECTORS_SHIFT) == folio;
}

/* Whether an io that waits at the gate reads what the folio is to hold. */
static bool reads_folio(struct repl_io *io, void *data)
{
	struct bio *bio = repl_io_bio(io);
	struct folio *folio = data;
	sector_t start = folio_pos(folio) >> SECTOR_SHIFT;

	return bio_op(bio) == REQ_OP_READ && bio_end_sector(bio) > start &&
		bio->bi_iter.bi_sector < start + (folio_size(folio) >> SECTOR_SHIFT);
}

/* What to do about the pages that were noted, and are not gone. */
enum look {
	NO_LOOK,	/* they wait at the gate */
	SOME_LOOKS,	/* with luck they are let go */
	MORE_LOOKS,	/* somebody who only needs CPU time is going to unlock one */
};

/*
 * A locked page that nobody reads through the gate belongs to a writer: it has read the
 * old content already, and makes the page dirty before it unlocks it.
 */
static enum look look_at_left(struct repl_cache_drop *drop, struct folio *folio)
{
	struct repl_set *rs = drop->rs;

	if (folio_test_writeback(folio) || !folio_test_locked(folio))
		return SOME_LOOKS;
	if (repl_gate_holds(rs, &rs->view_gate, reads_folio, folio))
		return NO_LOOK;
	return MORE_LOOKS;
}

/* Look again at the pages that were noted. */
static enum look look_again(struct repl_cache_drop *drop, struct address_space *mapping)
{
	enum look look = NO_LOOK;
	struct folio *folio;
	unsigned long index;

	xa_for_each(&drop->left, index, folio) {
		if (forget(mapping, folio, true) < LEFT) {
			xa_erase(&drop->left, index);
			folio_put(folio);
		} else {
			look = max(look, look_at_left(drop, folio));
		}
		cond_resched();
	}
	return look;
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
	unsigned long until = jiffies + UNLOCK_PATIENCE;
	enum look look = MORE_LOOKS;
	bool missed = false;
	int i;

	if (drop->suspended)
		return;
	invalidate_bdev(md_bdev(rs->md));
	sweep(mapping, drop->claimed, &drop->left, &missed);
	/*
	 * Pages that are read through the gate need no second look now. One that a writer
	 * or a flusher has locked is let go soon; then, or as writeback at the gate, it
	 * goes. Its owner may be in reclaim, which may wait for this gate: so not for ever.
	 */
	for (i = 0; drop->claimed && !xa_empty(&drop->left); i++) {
		if (look < (i < LOOKS ? SOME_LOOKS : MORE_LOOKS) || time_after(jiffies, until))
			break;
		repl_gate_drop(rs, &rs->view_gate, is_old_writeback, drop);
		usleep_range(200, 1000);
		look = look_again(drop, mapping);
	}
	if (missed)
		rs->cache_stale = true;
}

/**
 * repl_cache_end - the gates are open: drop what could not be dropped behind them
 * @drop: what repl_cache_begin() has made
 * @moved: whether the view has been
 *
 * Context: may sleep, for I/O of the view that is under way.
 */
void repl_cache_end(struct repl_cache_drop *drop, bool moved)
{
	struct repl_set *rs = drop->rs;

	if (drop->suspended) {
		mutex_lock(&rs->cache_lock);
		if (moved && drop_clean(rs->md)) {
			if (rs->suspended)
				rs->cache_stale = true;
			else
				schedule_work(&rs->cache_work);
		}
		mutex_unlock(&rs->cache_lock);
		return;
	}
	drop_left(compat_bdev_mapping(md_bdev(rs->md)), &drop->left);
	if (moved)
		invalidate_bdev(md_bdev(rs->md));	/* pages without content */
	if (rs->cache_stale)
		schedule_work(&rs->cache_work);
	rs->cache_stale = false;
	if (drop->claimed)
		bd_abort_claiming(md_bdev(rs->md), drop);
	mutex_unlock(&rs->cache_lock);
}
