// SPDX-License-Identifier: GPL-2.0-only
/*
 * Start, checkpoint and stop: the changes of what the view shows.
 */
#include "compat.h"
#include "replication.h"

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
	unsigned int errors;
	int r;

	lockdep_assert_held(&rs->admin);
	repl_quiesce(rs);
	errors = repl_clear_errors(rs);
	r = repl_commit_state(rs, REPL_RUNNING, rs->epoch + 1);
	if (!r) {
		repl_map_empty(rs);
		WRITE_ONCE(rs->fenced, false);
		repl_set_stage(rs, REPL_RUNNING);
	} else {
		repl_restore_errors(rs, errors);
	}
	repl_unquiesce(rs);
	if (!r)
		repl_publish(rs);
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
	if (rs->stage == REPL_NONE && repl_start(rs))
		DMERR("%s: not started, so all its I/O fails: metadata device %u:%u %s",
		      repl_set_name(rs), MAJOR(rs->dev_nr[REPL_METADATA]),
		      MINOR(rs->dev_nr[REPL_METADATA]),
		      "cannot be written; repair it, then send the message start");
	mutex_unlock(&rs->admin);
}

/*
 * The view's gate is closed. Behind that of the ingress too: flush the secondary, and
 * empty the stores. With metadata one write of the superblock does that. The ingress does
 * not wait for the view's page cache, which takes longer the more there is in it: that has
 * been frozen before, and is dropped afterwards.
 */
static int move_view(struct repl_set *rs, bool stop, struct repl_cache_drop *drop)
{
	unsigned int errors = 0;
	int r;

	r = repl_quiesce_ingress(rs);
	if (r)
		return r;
	r = repl_flush_dev(rs, REPL_SECONDARY);
	if (!r && stop)
		errors = repl_clear_errors(rs);
	else if (!r)
		errors = repl_checkpoint_errors(rs);
	if (!r)
		r = repl_commit_state(rs, stop ? REPL_DONE : rs->stage, rs->epoch + 1);
	if (!r) {
		repl_map_empty(rs);
		repl_flush_tell_view(rs);	/* what it had written is dropped */
		repl_reclaim_dropped(rs);
		if (stop)
			repl_set_stage(rs, REPL_DONE);
		repl_unquiesce_ingress(rs);
		repl_cache_drop(drop);
	} else {
		repl_restore_errors(rs, errors);
	}
	repl_unquiesce(rs);
	return r;
}

/**
 * repl_checkpoint - move the view to what the primary has written
 * @rs: the set, in stage running
 * @stop: go to stage done with it
 *
 * The secondary is flushed first, to fail before anything is done, and to have
 * less to flush while the gates are closed. What the view's page cache has is dropped
 * when the view has been moved, so a checkpoint that fails loses nothing. Buffered
 * writes to the view that are under way meanwhile may fall on either side; everything
 * earlier is gone. What is written when it has been published stays.
 *
 * Context: may sleep; rs->admin held.
 * Return: 0, or a negative errno: the view is where it was then. -EBUSY if it is
 * suspended and has pages in its cache that cannot be dropped, or if rs->held_back bytes
 * of its cache are being written and do not come to the target. -EINTR: killed. If it is
 * the metadata device that failed, the view may be found moved when the device is opened
 * again.
 */
int repl_checkpoint(struct repl_set *rs, bool stop)
{
	struct repl_cache_drop drop;
	int r;

	lockdep_assert_held(&rs->admin);
	rs->held_back = 0;
	if (repl_commit_failed(rs))
		return -EIO;
	r = repl_flush_dev(rs, REPL_SECONDARY);
	if (r)
		return r;
	r = repl_cache_begin(&drop, rs);
	if (r)
		return r;
	r = repl_cache_freeze(&drop);
	if (r == -EBUSY)
		repl_fail(rs, REPL_CHECKPOINT_HELD);
	if (!r)
		r = move_view(rs, stop, &drop);
	repl_cache_end(&drop, !r);
	if (!r)
		repl_publish(rs);
	return r;
}
