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
 * This waits for pages under writeback, and so for the view's own I/O.
 */
static void cache_work(struct work_struct *work)
{
	struct repl_set *rs = container_of(work, struct repl_set, cache_work);
	struct address_space *mapping = compat_bdev_mapping(view_bdev(rs));

	if (view_bdev(rs)->bd_holder)
		invalidate_inode_pages2(mapping);
	else
		truncate_inode_pages(mapping, 0);
	WRITE_ONCE(rs->cache_dropped, true);
	wake_up(&rs->cache_wait);
}

/**
 * repl_cache_init - prepare what drops the view's page cache
 * @rs: the set
 *
 * Context: any.
 */
void repl_cache_init(struct repl_set *rs)
{
	INIT_WORK(&rs->cache_work, cache_work);
	init_waitqueue_head(&rs->cache_wait);
}

/**
 * repl_cache_suspend - the view is going to be suspended, or is resumed
 * @rs: the set
 * @suspended: which
 *
 * Context: may sleep.
 */
void repl_cache_suspend(struct repl_set *rs, bool suspended)
{
	WRITE_ONCE(rs->suspended, suspended);
	wake_up(&rs->cache_wait);
}

/*
 * Messages are served inside the read side of dm's SRCU, which a suspend waits
 * for; so here must be no waiting for a page whose I/O the suspend has deferred.
 * A work waits in our place, and we stop when a suspend begins.
 *
 * Returns 0, or -EBUSY if the view is suspended and pages are left.
 */
static int drop_cache(struct repl_set *rs)
{
	struct address_space *mapping = compat_bdev_mapping(view_bdev(rs));

	if (!READ_ONCE(rs->suspended)) {
		WRITE_ONCE(rs->cache_dropped, false);
		queue_work(system_unbound_wq, &rs->cache_work);
		wait_event(rs->cache_wait, READ_ONCE(rs->cache_dropped) ||
			   READ_ONCE(rs->suspended));
		if (READ_ONCE(rs->cache_dropped))
			return 0;
	}
	invalidate_mapping_pages(mapping, 0, -1);
	return mapping->nrpages ? -EBUSY : 0;
}

/**
 * repl_start - from stage none to running, with empty stores
 * @rs: the set, in stage none
 *
 * Context: may sleep; rs->admin held.
 */
void repl_start(struct repl_set *rs)
{
	lockdep_assert_held(&rs->admin);
	repl_gate_close(rs);
	repl_map_empty(rs);
	WRITE_ONCE(rs->error, REPL_NO_ERROR);
	repl_set_stage(rs, REPL_RUNNING);
	repl_gate_open(rs);
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

/**
 * repl_checkpoint - move the view to what the primary has written
 * @rs: the set, in stage running
 * @stop: go to stage done with it
 *
 * Buffered writes to the view that are under way meanwhile may fall on either
 * side; everything earlier is gone.
 *
 * Context: may sleep; rs->admin held.
 * Return: 0, or a negative errno: nothing has changed then. -EBUSY if the view is
 * suspended and has pages in its cache that cannot be dropped.
 */
int repl_checkpoint(struct repl_set *rs, bool stop)
{
	int r;

	lockdep_assert_held(&rs->admin);
	r = drop_cache(rs);
	if (r)
		return r;

	repl_gate_close(rs);
	r = blkdev_issue_flush(rs->bdev[REPL_SECONDARY]);
	if (!r) {
		repl_map_empty(rs);
		if (stop) {
			WRITE_ONCE(rs->error, REPL_NO_ERROR);
			repl_set_stage(rs, REPL_DONE);
		}
	}
	repl_gate_open(rs);
	if (r)
		repl_fail(rs, REPL_SECONDARY_IO);
	else
		drop_cache(rs);		/* what was read meanwhile */
	return r;
}
