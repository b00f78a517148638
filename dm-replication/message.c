// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the view: what each does in each stage, and the words for it when
 * it may not. The words are QEMU's.
 */
#include "replication.h"

#define NOT_RUNNING	"Block replication is not running"
#define STARTED		"Block replication is running or done"
#define CANCELLED	"Backup job was cancelled unexpectedly"
#define METADATA_FAILED	"the metadata device has failed"
#define INTERRUPTED	"a failover was interrupted: the ingress is fenced; send failover again, or stop"
#define STOPPED		"killed before anything was done: the view is where it was"
#define KILLED		"killed before the merge began: the ingress is fenced; send failover again"

struct call {
	struct repl_set *rs;
	char *result;
	unsigned int maxlen;
	const char *why;	/* of an error */
	char sentence[400];	/* for @why */
};

/* All with rs->admin held. 0, 1 if there is a reply, or a negative errno. */

static int refuse(struct call *call, const char *why)
{
	call->why = why;
	return -EINVAL;
}

static int do_start(struct call *call)
{
	int r;

	switch (call->rs->stage) {
	case REPL_NONE:
		r = repl_start(call->rs);
		if (r)
			call->why = METADATA_FAILED;
		return r;
	case REPL_FAILOVER:
	case REPL_DONE:
		return 0;
	default:
		return refuse(call, STARTED);
	}
}

static const char *held_back(struct call *call, bool stop)
{
	struct repl_set *rs = call->rs;
	char name[DM_NAME_LEN] = "";

	dm_copy_name_and_uuid(rs->md, name, NULL);
	snprintf(call->sentence, sizeof(call->sentence),
		 "refused, nothing is changed: %llu KiB of the view's page cache are being written, but a limit (such as io.max of a cgroup) holds them back; raise the limit or stop the writer, sync /dev/mapper/%s, and send %s again",
		 DIV_ROUND_UP_ULL(rs->held_back, 1024), name, stop ? "stop" : "checkpoint");
	return call->sentence;
}

static int checkpoint(struct call *call, bool stop)
{
	int r = repl_checkpoint(call->rs, stop);

	if (r == -EBUSY && call->rs->held_back)
		call->why = held_back(call, stop);
	else if (r == -EINTR)
		call->why = STOPPED;
	else if (r == -ENOMEM)
		call->why = "out of memory; the view is where it was";
	else if (r == -EBUSY)
		call->why = "the view is suspended and its page cache in use; resume it first";
	else if (repl_commit_failed(call->rs))
		call->why = METADATA_FAILED;
	else if (r)
		call->why = "the secondary could not be flushed";
	return r;
}

static int do_checkpoint(struct call *call)
{
	switch (call->rs->stage) {
	case REPL_RUNNING:
		if (call->rs->fenced)
			return refuse(call, INTERRUPTED);
		return checkpoint(call, false);
	case REPL_FAILOVER:
	case REPL_DONE:
		return 0;
	default:
		return refuse(call, CANCELLED);
	}
}

static int do_failover(struct call *call)
{
	int r;

	switch (call->rs->stage) {
	case REPL_RUNNING:
	case REPL_FAILOVER_FAILED:
		r = repl_failover(call->rs);
		if (r)
			call->why = KILLED;
		return r;
	case REPL_FAILOVER:
	case REPL_DONE:
		return 0;
	default:
		return refuse(call, NOT_RUNNING);
	}
}

static int do_stop(struct call *call)
{
	switch (call->rs->stage) {
	case REPL_RUNNING:
		return checkpoint(call, true);
	case REPL_FAILOVER:
	case REPL_DONE:
		return 0;
	default:
		return refuse(call, NOT_RUNNING);
	}
}

static int do_get_error(struct call *call)
{
	struct repl_set *rs = call->rs;

	if (rs->stage == REPL_NONE)
		return refuse(call, NOT_RUNNING);
	repl_error_reply(atomic_read(&rs->errors), READ_ONCE(rs->latest), call->result,
			 call->maxlen);
	return 1;
}

static int do_clear_error(struct call *call)
{
	if (call->rs->stage == REPL_NONE)
		return refuse(call, NOT_RUNNING);
	if (call->rs->stage == REPL_FAILOVER_FAILED)
		return refuse(call,
			      "the merge has failed; failover tries it again, and clears its error");
	repl_clear_errors(call->rs);
	schedule_work(&call->rs->event_work);
	if (call->rs->commit)
		repl_commit_error(call->rs);
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(struct call *call);
} messages[] = {
	{ "start", do_start },
	{ "checkpoint", do_checkpoint },
	{ "failover", do_failover },
	{ "stop", do_stop },
	{ "get_error", do_get_error },
	{ "clear_error", do_clear_error },
};

static int serve(struct call *call, unsigned int argc, const char *name)
{
	int i, r;

	for (i = 0; i < ARRAY_SIZE(messages); i++)
		if (!strcasecmp(name, messages[i].name))
			break;
	if (i == ARRAY_SIZE(messages))
		return refuse(call,
			      "unknown; there are start, checkpoint, failover, stop, get_error and clear_error");
	if (argc != 1)
		return refuse(call, "it takes no arguments");

	if (test_and_set_bit_lock(0, &call->rs->busy)) {
		call->why = "another message is being served";
		return -EBUSY;
	}
	/* The merge's end has it while it waits for the metadata device. */
	r = mutex_lock_killable(&call->rs->admin);
	if (r) {
		r = -EINTR;
		call->why = "killed while it waited for the metadata device; nothing is changed";
	} else {
		r = messages[i].fn(call);
		mutex_unlock(&call->rs->admin);
	}
	clear_bit_unlock(0, &call->rs->busy);
	return r;
}

/**
 * repl_view_message - serve a message to the view
 * @face: the view's table
 * @argc: how many words, the name among them
 * @argv: the words
 * @result: the reply
 * @maxlen: its size, bytes
 *
 * Context: may sleep, for the I/O in flight and a flush, not for a merge; inside
 * dm's SRCU.
 * Return: 0, 1 if there is a reply, or a negative errno and a line in the log.
 */
int repl_view_message(struct repl_face *face, unsigned int argc, char **argv,
		      char *result, unsigned int maxlen)
{
	struct call call = { .rs = face->rs, .result = result, .maxlen = maxlen };
	int r = serve(&call, argc, argv[0]);

	if (r < 0)
		DMERR("%s: message '%s' in stage %s: %s", repl_set_name(face->rs),
		      argv[0], repl_stage_name(READ_ONCE(face->rs->shown_stage)), call.why);
	return r;
}
