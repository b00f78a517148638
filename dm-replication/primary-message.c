// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the primary: what each does in each stage, and the words for it when it
 * may not. The words are QEMU's, where it has any.
 */
#include "primary.h"

#define NOT_RUNNING	"Block replication is not running"
#define STARTED		"Block replication is running or done"
#define CANCELLED	"Backup job was cancelled unexpectedly"

struct call {
	struct repl_primary *table;
	struct repl_pair *p;
	const char *arg;
	char *result;
	unsigned int maxlen;
	const char *why;	/* of an error */
};

/* All with p->admin held. 0, 1 if there is a reply, or a negative errno. */

static int refuse(struct call *call, const char *why)
{
	call->why = why;
	return -EINVAL;
}

static int do_start(struct call *call)
{
	int r;

	if (call->p->stage == REPL_RUNNING)
		return refuse(call, STARTED);
	if (call->p->stage == REPL_DONE)
		return 0;
	r = repl_pair_start(call->p);
	if (r)
		call->why = "the metadata device has failed";
	return r;
}

static int do_checkpoint(struct call *call)
{
	int r;

	if (call->p->stage == REPL_NONE)
		return refuse(call, CANCELLED);
	if (call->p->stage == REPL_DONE)
		return 0;
	r = repl_pair_checkpoint(call->p);
	if (r == -ENODATA)
		call->why = "the replica is not in sync";
	else if (r)
		call->why = "local device and replica could not both be flushed";
	return r;
}

/* QEMU's primary takes both for the end. */
static int do_stop(struct call *call)
{
	int r;

	if (call->p->stage == REPL_NONE)
		return refuse(call, NOT_RUNNING);
	if (call->p->stage == REPL_DONE)
		return 0;
	r = repl_pair_stop(call->p);
	if (r)
		call->why = "the metadata device cannot record it; reload with another one first";
	return r;
}

static int do_get_error(struct call *call)
{
	struct repl_pair *p = call->p;

	if (p->stage == REPL_NONE)
		return refuse(call, NOT_RUNNING);
	repl_error_reply(READ_ONCE(p->errors), READ_ONCE(p->latest), call->result, call->maxlen);
	return 1;
}

static int do_clear_error(struct call *call)
{
	struct repl_pair *p = call->p;

	if (p->stage == REPL_NONE)
		return refuse(call, NOT_RUNNING);
	spin_lock_irq(&p->lock);
	repl_pair_clear_errors(p, p->errors);
	spin_unlock_irq(&p->lock);
	return 0;
}

static int do_resync(struct call *call)
{
	struct repl_pair *p = call->p;
	int r = 0;

	if (!p->local)
		return refuse(call, "there is no local device to resynchronise from");
	if (p->stage != REPL_RUNNING)
		return refuse(call, NOT_RUNNING);
	spin_lock_irq(&p->lock);
	if (p->sync == REPL_DEGRADED && repl_late_io(p)) {
		call->why = "the replica still has I/O from before it failed";
		r = -EBUSY;
	} else if (p->sync == REPL_DEGRADED) {
		p->resync_wanted = true;
		p->retry_seconds = 1;
	}
	spin_unlock_irq(&p->lock);
	if (!r)
		mod_delayed_work(p->idle_wq, &p->retry_work, 0);
	return r;
}

static int do_resync_rate(struct call *call)
{
	u32 rate;

	if (kstrtou32(call->arg, 10, &rate))
		return refuse(call, "it takes a number of KiB/s; 0 is no limit");
	spin_lock_irq(&call->p->lock);
	call->p->resync_rate = rate;
	call->p->resync_at = 0;
	spin_unlock_irq(&call->p->lock);
	if (call->p->local)
		repl_resync_kick(call->p);
	return 0;
}

/* Without p->admin: who has it may wait for the device. */
static int do_abandon_metadata(struct call *call)
{
	int r = repl_log_abandon(call->p);

	if (r == -ENODEV)
		return refuse(call, "there is no metadata device");
	return r ? refuse(call, NOT_RUNNING) : 0;
}

static const struct {
	const char *name;
	int (*fn)(struct call *call);
	unsigned int nr_args;
	bool at_once;		/* it waits for no other message, nor for a resume */
} messages[] = {
	{ "start", do_start },
	{ "checkpoint", do_checkpoint },
	{ "failover", do_stop },
	{ "stop", do_stop },
	{ "get_error", do_get_error },
	{ "clear_error", do_clear_error },
	{ "resync", do_resync },
	{ "resync_rate", do_resync_rate, 1 },
	{ "abandon_metadata", do_abandon_metadata, .at_once = true },
};

static int serve(struct call *call, unsigned int argc, char **argv)
{
	int i, r;

	for (i = 0; i < ARRAY_SIZE(messages); i++)
		if (!strcasecmp(argv[0], messages[i].name))
			break;
	if (i == ARRAY_SIZE(messages))
		return refuse(call,
			      "unknown; there are start, checkpoint, stop, get_error, clear_error, resync, resync_rate and abandon_metadata");
	if (argc - 1 != messages[i].nr_args)
		return refuse(call, messages[i].nr_args ? "it takes a number of KiB/s" :
			      "it takes no arguments");
	call->arg = argv[argc - 1];
	if (messages[i].at_once && READ_ONCE(call->p->replica))
		return messages[i].fn(call);

	if (test_and_set_bit_lock(0, &call->p->busy)) {
		call->why = "another message is being served";
		return -EBUSY;
	}
	mutex_lock(&call->p->admin);
	if (call->p->replica) {
		r = messages[i].fn(call);
	} else {
		call->why = "the device is just being resumed for the first time";
		r = -EBUSY;
	}
	mutex_unlock(&call->p->admin);
	clear_bit_unlock(0, &call->p->busy);
	return r;
}

/**
 * repl_primary_message - serve a message to the primary
 * @table: the primary's table
 * @argc: how many words, the name among them
 * @argv: the words
 * @result: the reply
 * @maxlen: its size, bytes
 *
 * Context: may sleep, for a flush, not for a resync; inside dm's SRCU.
 * Return: 0, 1 if there is a reply, or a negative errno and a line in the log.
 */
int repl_primary_message(struct repl_primary *table, unsigned int argc, char **argv,
			 char *result, unsigned int maxlen)
{
	struct call call = {
		.table = table,
		.p = table->p,
		.result = result,
		.maxlen = maxlen,
	};
	int r = serve(&call, argc, argv);

	if (r < 0)
		DMERR("%s: message '%s' in stage %s: %s", dm_device_name(table->p->md),
		      argv[0], repl_stage_name(READ_ONCE(table->p->stage)), call.why);
	return r;
}
