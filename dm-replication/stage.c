// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stages and errors: the one place where each changes, is logged and raises an
 * event.
 */
#include "replication.h"

static const char * const stage_names[] = {
	[REPL_NONE]		= "none",
	[REPL_RUNNING]		= "running",
	[REPL_FAILOVER]		= "failover",
	[REPL_FAILOVER_FAILED]	= "failover-failed",
	[REPL_DONE]		= "done",
};

static const char * const error_names[] = {
	[REPL_NO_ERROR]		= "-",
	[REPL_COW_IO]		= "cow-io",
	[REPL_ACTIVE_IO]	= "active-io",
	[REPL_HIDDEN_IO]	= "hidden-io",
	[REPL_SECONDARY_IO]	= "secondary-io",
	[REPL_MERGE_IO]		= "merge-io",
	[REPL_METADATA_IO]	= "metadata-io",
	[REPL_LOCAL_IO]		= "local-io",
	[REPL_REPLICA_IO]	= "replica-io",
};

/**
 * repl_stage_name - the word of the status line
 * @stage: the stage
 */
const char *repl_stage_name(enum repl_stage stage)
{
	return stage_names[stage];
}

/**
 * repl_error_name - the word of the status line
 * @error: the error
 *
 * Return: the error's name, "-" if there is none.
 */
const char *repl_error_name(enum repl_error error)
{
	return error_names[error];
}

/**
 * repl_set_name - how the kernel log calls a set
 * @rs: the set, with a view
 */
const char *repl_set_name(struct repl_set *rs)
{
	return dm_device_name(rs->md);
}

/**
 * repl_event_work - raise a dm event on every face
 * @work: event_work of the set
 *
 * Context: may sleep; not for calling, but for schedule_work() from any context;
 * dm's locks, which others hold over allocations, keep it off rs->wq.
 */
void repl_event_work(struct work_struct *work)
{
	struct repl_set *rs = container_of(work, struct repl_set, event_work);
	struct repl_face *face;

	mutex_lock(&rs->faces_lock);
	list_for_each_entry(face, &rs->faces, list)
		dm_table_event(face->ti->table);
	mutex_unlock(&rs->faces_lock);
}

/**
 * repl_set_stage - enter a stage
 * @rs: the set
 * @stage: the stage
 *
 * Context: may sleep; rs->admin held, and the gates closed where the new stage
 * sends I/O elsewhere than the old one.
 */
void repl_set_stage(struct repl_set *rs, enum repl_stage stage)
{
	lockdep_assert_held(&rs->admin);
	DMINFO("%s: stage %s, was %s", repl_set_name(rs), repl_stage_name(stage),
	       repl_stage_name(rs->stage));
	/* Pairs with merge_work(): who sees the stage sees what was set up for it. */
	smp_store_release(&rs->stage, stage);
	schedule_work(&rs->event_work);
}

/**
 * repl_fail - record an I/O error
 * @rs: the set
 * @error: which
 *
 * The first one stays until a start, a stop or the retry of a failover; a failed
 * merge replaces any other, for it explains the stage.
 *
 * Context: any.
 */
void repl_fail(struct repl_set *rs, enum repl_error error)
{
	unsigned int old = cmpxchg(&rs->error, REPL_NO_ERROR, error);

	if (old != REPL_NO_ERROR) {
		if (error != REPL_MERGE_IO || old == REPL_MERGE_IO)
			return;
		WRITE_ONCE(rs->error, error);
	}
	DMERR("%s: I/O error: %s", repl_set_name(rs), error_names[error]);
	schedule_work(&rs->event_work);
	if (rs->commit)
		repl_commit_error(rs);
}

/**
 * repl_fail_dev - record that I/O to a device of the set failed
 * @rs: the set
 * @dev: the device
 *
 * Context: any.
 */
void repl_fail_dev(struct repl_set *rs, enum repl_dev dev)
{
	static const u8 errors[] = {
		[REPL_SECONDARY] = REPL_SECONDARY_IO,
		[REPL_HIDDEN] = REPL_HIDDEN_IO,
		[REPL_ACTIVE] = REPL_ACTIVE_IO,
	};

	repl_fail(rs, errors[dev]);
}
