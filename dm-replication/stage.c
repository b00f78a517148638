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
	[REPL_COW_NOSPC]	= "cow-nospc",
	[REPL_ACTIVE_NOSPC]	= "active-nospc",
	[REPL_SECONDARY_NOSPC]	= "secondary-nospc",
	[REPL_MERGE_NOSPC]	= "merge-nospc",
	[REPL_MERGE_LOST]	= "merge-lost",
	[REPL_CHECKPOINT_HELD]	= "checkpoint-held",
};

/* What the log says of an error beyond its name. */
static const char * const error_texts[REPL_NR_ERRORS] = {
	[REPL_COW_NOSPC] =
		": hidden has no space left; make space there, or take a checkpoint",
	[REPL_ACTIVE_NOSPC] =
		": active has no space left; make space there, or take a checkpoint",
	[REPL_SECONDARY_NOSPC] =
		": the secondary has no space left; make space there",
	[REPL_MERGE_NOSPC] =
		": the secondary has no space left; make space there, and send failover again",
	[REPL_MERGE_LOST] =
		": the secondary does not have all that the view had",
	[REPL_CHECKPOINT_HELD] =
		": writes to the view are held back before they come to it; the checkpoint is refused",
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
 * repl_worst_error - the one of several errors that is to be seen first
 * @errors: a bit each
 *
 * Worst is what may have lost data, or keeps the device from being used; what stands for
 * itself in another field of the status (the metadata mode, the state of the replica) is last.
 *
 * Return: the error; REPL_NO_ERROR if there is none.
 */
enum repl_error repl_worst_error(unsigned int errors)
{
	static const u8 worst_first[] = {
		REPL_MERGE_IO, REPL_MERGE_NOSPC, REPL_MERGE_LOST, REPL_LOCAL_IO,
		REPL_SECONDARY_IO, REPL_ACTIVE_IO, REPL_HIDDEN_IO, REPL_COW_IO,
		REPL_SECONDARY_NOSPC, REPL_ACTIVE_NOSPC, REPL_COW_NOSPC,
		REPL_METADATA_IO, REPL_REPLICA_IO, REPL_CHECKPOINT_HELD,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(worst_first); i++)
		if (errors & BIT(worst_first[i]))
			return worst_first[i];
	return REPL_NO_ERROR;
}

/**
 * repl_error_reply - the answer to the message get_error
 * @errors: those that stand, a bit each
 * @latest: the one that came last; it may have been cleared
 * @result: gets the reply
 * @maxlen: its size, bytes
 */
void repl_error_reply(unsigned int errors, enum repl_error latest, char *result,
		      unsigned int maxlen)
{
	enum repl_error worst = repl_worst_error(errors);
	unsigned int sz = 0;

	if (worst == REPL_NO_ERROR)
		DMEMIT("none");
	else
		DMEMIT("I/O error occurred %s", repl_error_name(worst));
	if (latest != worst && errors & BIT(latest))
		DMEMIT("; latest: %s", repl_error_name(latest));
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
 * Nobody is told before repl_publish().
 *
 * Context: may sleep; rs->admin held, and the gates closed where the new stage
 * sends I/O elsewhere than the old one.
 */
void repl_set_stage(struct repl_set *rs, enum repl_stage stage)
{
	lockdep_assert_held(&rs->admin);
	/* Pairs with merge_work(): who sees the stage sees what was set up for it. */
	smp_store_release(&rs->stage, stage);
}

/**
 * repl_publish - tell that the stage or the epoch is a new one
 * @rs: the set
 *
 * By the status and an event; of the stage by a line in the log, too. Whoever hears of
 * it may count on everything that the change does: so this comes last.
 *
 * Context: may sleep; rs->admin held.
 */
void repl_publish(struct repl_set *rs)
{
	lockdep_assert_held(&rs->admin);
	if (rs->stage != rs->shown_stage)
		DMINFO("%s: stage %s, was %s", repl_set_name(rs), repl_stage_name(rs->stage),
		       repl_stage_name(rs->shown_stage));
	WRITE_ONCE(rs->shown_stage, rs->stage);
	WRITE_ONCE(rs->shown_epoch, rs->epoch);
	schedule_work(&rs->event_work);
}

/**
 * repl_error - the worst error that stands
 * @rs: the set
 *
 * Context: any.
 */
enum repl_error repl_error(struct repl_set *rs)
{
	return repl_worst_error(atomic_read(&rs->errors));
}

/**
 * repl_error_to_record - the error that the metadata device is to have
 * @rs: the set
 *
 * The worst of those that a removal does not end. But merge-lost before all: that a merge
 * has failed is said by the stage, too, and that data is lost by this alone.
 *
 * Context: any.
 */
enum repl_error repl_error_to_record(struct repl_set *rs)
{
	unsigned int errors = atomic_read(&rs->errors);

	if (errors & BIT(REPL_MERGE_LOST))
		return REPL_MERGE_LOST;
	return repl_worst_error(errors & ~BIT(REPL_CHECKPOINT_HELD));
}

/**
 * repl_clear_errors - no error stands any more
 * @rs: the set
 *
 * Whoever calls it has that recorded, and raises an event.
 *
 * Return: the errors that stood, a bit each.
 *
 * Context: any; rs->admin held.
 */
unsigned int repl_clear_errors(struct repl_set *rs)
{
	return atomic_xchg(&rs->errors, 0);
}

/**
 * repl_retry_errors - clear the errors that a retry of a failover may end
 * @rs: the set
 *
 * What is lost stays so: a retry does not merge it either.
 *
 * Return: the errors that were cleared, a bit each, for repl_restore_errors().
 *
 * Context: any; rs->admin held.
 */
unsigned int repl_retry_errors(struct repl_set *rs)
{
	const unsigned int lost = BIT(REPL_MERGE_LOST);

	return atomic_fetch_and(lost, &rs->errors) & ~lost;
}

/**
 * repl_restore_errors - errors stand again, for what cleared them has failed
 * @rs: the set
 * @errors: what repl_clear_errors() returned
 *
 * Context: any; rs->admin held.
 */
void repl_restore_errors(struct repl_set *rs, unsigned int errors)
{
	atomic_or(errors, &rs->errors);
}

/**
 * repl_fail - record an I/O error
 * @rs: the set
 * @error: which; it stands until a start, a stop, the retry of a failover (but for
 *	   merge-lost), or a message clears it; see also repl_checkpoint_errors()
 *
 * Context: any.
 */
void repl_fail(struct repl_set *rs, enum repl_error error)
{
	WRITE_ONCE(rs->latest, error);
	if (atomic_fetch_or(BIT(error), &rs->errors) & BIT(error))
		return;
	DMERR("%s: I/O error: %s%s", repl_set_name(rs), error_names[error],
	      error_texts[error] ?: "");
	schedule_work(&rs->event_work);
	if (rs->commit)
		repl_commit_error(rs);
}

/**
 * repl_fail_dev - record that I/O to a device of the set failed
 * @rs: the set
 * @dev: the device
 * @status: what it said
 *
 * Context: any.
 */
void repl_fail_dev(struct repl_set *rs, enum repl_dev dev, blk_status_t status)
{
	static const u8 errors[] = {
		[REPL_SECONDARY] = REPL_SECONDARY_IO,
		[REPL_HIDDEN] = REPL_HIDDEN_IO,
		[REPL_ACTIVE] = REPL_ACTIVE_IO,
	};
	static const u8 no_space[] = {
		[REPL_SECONDARY] = REPL_SECONDARY_NOSPC,
		[REPL_HIDDEN] = REPL_COW_NOSPC,
		[REPL_ACTIVE] = REPL_ACTIVE_NOSPC,
	};

	repl_fail(rs, status == BLK_STS_NOSPC ? no_space[dev] : errors[dev]);
}

/**
 * repl_checkpoint_errors - clear the errors that a checkpoint ends
 * @rs: the set
 *
 * It gives space back: if there still is none, the next write that needs some says so
 * again. And it is not held up any more.
 *
 * Return: the errors that stood, a bit each, for repl_restore_errors().
 *
 * Context: the gates are closed.
 */
unsigned int repl_checkpoint_errors(struct repl_set *rs)
{
	const unsigned int ended = BIT(REPL_COW_NOSPC) | BIT(REPL_ACTIVE_NOSPC) |
				   BIT(REPL_SECONDARY_NOSPC) | BIT(REPL_CHECKPOINT_HELD);

	return atomic_fetch_andnot(ended, &rs->errors) & ended;
}
