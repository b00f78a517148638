// SPDX-License-Identifier: GPL-2.0-only
/*
 * Start, checkpoint and stop: the changes of what the view shows, and the page
 * cache of the view, which must not go on showing the old.
 */
#include <linux/pagemap.h>

#include "compat.h"
#include "replication.h"

static struct block_device *view_bdev(struct repl_set *rs)
{
	return dm_disk(rs->md)->part0;
}

/*
 * Drop the pages of the view, dirty ones too: they are writes that the checkpoint
 * throws away. But a mounted filesystem has hands on its pages, and would not
 * survive that; it will not survive the checkpoint either, but not by our fault.
 *
 * This waits for pages under writeback, and so for the view's own I/O, inside the
 * read side of dm's SRCU, which a suspend waits for. It cannot be that the suspend
 * has deferred that I/O: presuspend comes first, and waits for cache_lock.
 *
 * A suspended view loses what can go without waiting. Returns -EBUSY if pages are
 * left then; with @later they go when it is resumed.
 */
static int drop_cache(struct repl_set *rs, bool later)
{
	struct address_space *mapping = compat_bdev_mapping(view_bdev(rs));
	int r = 0;

	mutex_lock(&rs->cache_lock);
	if (rs->suspended) {
		invalidate_mapping_pages(mapping, 0, -1);
		if (mapping->nrpages) {
			rs->cache_stale = later;
			r = -EBUSY;
		}
	} else if (view_bdev(rs)->bd_holder) {
		invalidate_inode_pages2(mapping);
	} else {
		truncate_inode_pages(mapping, 0);
	}
	mutex_unlock(&rs->cache_lock);
	return r;
}

/*
 * After a resume: dirty pages stay, for those from before the checkpoint went with
 * it, and these are writes that somebody made since.
 */
static void cache_work(struct work_struct *work)
{
	struct repl_set *rs = container_of(work, struct repl_set, cache_work);

	mutex_lock(&rs->cache_lock);
	if (!rs->suspended)
		invalidate_inode_pages2(compat_bdev_mapping(view_bdev(rs)));
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
	INIT_WORK(&rs->cache_work, cache_work);
}

/**
 * repl_cache_suspend - the view is going to be suspended
 * @rs: the set
 *
 * Context: presuspend, when the view still does I/O; may sleep for that.
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
 * Clean pages that a checkpoint had to leave are dropped soon.
 *
 * Context: may sleep, but for no I/O of the view.
 */
void repl_cache_resume(struct repl_set *rs)
{
	mutex_lock(&rs->cache_lock);
	rs->suspended = false;
	if (rs->cache_stale)
		schedule_work(&rs->cache_work);
	rs->cache_stale = false;
	mutex_unlock(&rs->cache_lock);
}

/**
 * repl_start - from stage none to running, with empty stores
 * @rs: the set, in stage none
 *
 * A metadata device is formatted.
 *
 * Context: may sleep; rs->admin held.
 * Return: 0 or a negative errno: the stage is none then.
 */
int repl_start(struct repl_set *rs)
{
	int r;

	lockdep_assert_held(&rs->admin);
	repl_quiesce(rs);
	WRITE_ONCE(rs->error, REPL_NO_ERROR);
	r = repl_commit_state(rs, REPL_RUNNING, rs->epoch + 1);
	if (!r) {
		repl_map_empty(rs);
		repl_set_stage(rs, REPL_RUNNING);
	}
	repl_unquiesce(rs);
	return r;
}

/**
 * repl_autostart - start a set that is in stage none, at a resume
 * @rs: the set
 *
 * Context: may sleep.
 */
void repl_autostart(struct repl_set *rs)
{
	/* A resume must not wait for a checkpoint, which may wait for the resume. */
	if (READ_ONCE(rs->stage) != REPL_NONE)
		return;
	mutex_lock(&rs->admin);
	if (rs->stage == REPL_NONE)
		repl_start(rs);
	mutex_unlock(&rs->admin);
}

static int flush_secondary(struct repl_set *rs)
{
	int r = blkdev_issue_flush(rs->bdev[REPL_SECONDARY]);

	if (r)
		repl_fail(rs, REPL_SECONDARY_IO);
	return r;
}

/*
 * Behind the closed gates: flush the secondary, and empty the stores. With metadata
 * one write of the superblock does that. The new epoch, or the stage, is an event.
 */
static int move_view(struct repl_set *rs, bool stop)
{
	int r;

	repl_quiesce(rs);
	r = flush_secondary(rs);
	if (!r && stop)
		WRITE_ONCE(rs->error, REPL_NO_ERROR);
	else if (!r)
		repl_space_again(rs);
	if (!r)
		r = repl_commit_state(rs, stop ? REPL_DONE : rs->stage, rs->epoch + 1);
	if (!r) {
		repl_map_empty(rs);
		repl_reclaim_dropped(rs);
		if (stop)
			repl_set_stage(rs, REPL_DONE);
		else
			schedule_work(&rs->event_work);
	}
	repl_unquiesce(rs);
	return r;
}

/**
 * repl_checkpoint - move the view to what the primary has written
 * @rs: the set, in stage running
 * @stop: go to stage done with it
 *
 * The secondary is flushed first, to fail before anything is lost, and to have
 * less to flush while the gates are closed. Buffered writes to the view that are
 * under way meanwhile may fall on either side; everything earlier is gone. If the
 * secondary fails between the two flushes, buffered writes to the view that had
 * not reached it are gone as well, though the view stays where it was.
 *
 * Context: may sleep; rs->admin held.
 * Return: 0, or a negative errno: the view is where it was then. -EBUSY if it is
 * suspended and has pages in its cache that cannot be dropped. If it is the metadata
 * device that failed, the view may be found moved when the device is opened again.
 */
int repl_checkpoint(struct repl_set *rs, bool stop)
{
	int r;

	lockdep_assert_held(&rs->admin);
	if (repl_commit_failed(rs))
		return -EIO;
	r = flush_secondary(rs);
	if (!r)
		r = drop_cache(rs, false);
	if (!r)
		r = move_view(rs, stop);
	if (!r)
		drop_cache(rs, true);	/* what was read meanwhile */
	return r;
}
