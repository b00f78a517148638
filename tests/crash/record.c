// SPDX-License-Identifier: GPL-2.0-only
/*
 * record - a life of a view and its ingress over four disks, all of it logged.
 *
 * In rounds: up to eight operations at once, writes of both faces that do not overlap
 * (but share chunks), some of them FUA, zeroes, discards, flushes, a checkpoint. Later
 * a failover, or a stop, with more of it meanwhile and afterwards. In between the
 * tables are removed and made again, and the content has to be what it was.
 */
#include "disk.h"
#include "dm.h"
#include "../tools/aio.h"

#define THREADS		8
#define MAX_OPS		12
#define MAX_OP_SECTORS	64u
#define TOP		"crash-view"
#define IN		"crash-in"

enum op_kind { OP_WRITE, OP_ZERO, OP_DISCARD, OP_FLUSH, OP_CHECKPOINT };

struct op {
	enum op_kind kind;
	enum where where;
	__u32 sector, n;
	bool fua;
};

static const char usage[] =
	"Usage: record --log FILE [options]\n"
	"\n"
	"  --chunk SECTORS    of the set (8)\n"
	"  --sectors SECTORS  of the secondary (17002)\n"
	"  --rounds N         before the end (60), and a third of it after\n"
	"  --stop             end with a stop instead of a failover\n"
	"  --seed N           what is left to chance\n";

static u64 arg_chunk = 8, arg_sectors = 17002, arg_rounds = 60, arg_seed = 1;
static const char *arg_log;
static bool arg_stop;

static struct rng rng;
static unsigned int top_minor, in_minor;
static int face_fd[NR_WHERE];
static enum { RUNNING, ENDING, DONE } phase;
static u64 end_begins, end_ends;	/* ticks */

/* The round's work, and who has taken it. */
static struct op ops[MAX_OPS];
static unsigned int nr_ops;
static atomic_uint next_op;
static pthread_barrier_t round_begins, round_ends;

/* ------------------------------------------------------------------- tables */

static void tables_create(void)
{
	__u32 ev = event_begin(EV_CREATE, VIEW, 0, 0, 0, NULL);
	struct dm_status st;

	top_minor = dm_create(TOP);
	if (dm_load(TOP, arg_sectors, "replication",
		    "secondary /dev/nbd%u /dev/nbd%u /dev/nbd%u /dev/nbd%u %llu 1 no_discard",
		    METADATA, ACTIVE, HIDDEN, SECONDARY, arg_chunk))
		trouble("the view's table is refused");
	dm_resume(TOP);
	dm_state(TOP, false, &st);
	if (!lg.head.epoch)
		lg.head.epoch = st.epoch;
	in_minor = dm_create(IN);
	if (dm_load(IN, arg_sectors, "replication", "ingress /dev/dm-%u", top_minor))
		trouble("the ingress' table is refused");
	dm_resume(IN);
	face_fd[VIEW] = dm_open(top_minor);
	face_fd[INGRESS] = dm_open(in_minor);
	event_end(ev);
}

static void tables_remove(void)
{
	__u32 ev = event_begin(EV_REMOVE, VIEW, 0, 0, 0, NULL);

	close(face_fd[VIEW]);
	close(face_fd[INGRESS]);
	dm_remove(IN);
	dm_remove(TOP);
	event_end(ev);
}

static u8 *areas_read(int fd)
{
	u8 *buf = xbuffer(area_sectors() << SECTOR_SHIFT), *to = buf;
	u64 i;

	for (i = 0; i < lg.head.nr_areas; i++) {
		u64 first = lg.head.area[i].first << SECTOR_SHIFT;
		ssize_t n = ((u64)lg.head.area[i].end << SECTOR_SHIFT) - first;

		if (pread(fd, to, n, first) != n)
			trouble("cannot read sector %llu: %s", first >> SECTOR_SHIFT,
				strerror(errno));
		to += n;
	}
	return buf;
}

/* No power is lost: everything is as it was. */
static void tables_again(void)
{
	size_t n = area_sectors() << SECTOR_SHIFT;
	u8 *view = areas_read(face_fd[VIEW]), *now;

	tables_remove();
	tables_create();
	now = areas_read(face_fd[VIEW]);
	if (memcmp(view, now, n))
		quit(EXIT_MISMATCH, "the view shows something else after a removal");
	free(view);
	free(now);
}

/* --------------------------------------------------------------- operations */

/*
 * By asynchronous I/O, though it is waited for: with FUA that is a write with FUA and no
 * more, whereas a synchronous one with RWF_DSYNC would be followed by a flush.
 */
static int do_write(const struct op *op, __u32 ev)
{
	static __thread aio_context_t ctx;
	size_t n = (size_t)op->n << SECTOR_SHIFT;
	u8 *buf = xbuffer(n);
	struct io_event done;
	struct iocb cb;
	__u32 i;
	int err;

	if (!ctx)
		aio_init(&ctx, 1);
	for (i = 0; i < op->n; i++)
		stamp(buf + ((size_t)i << SECTOR_SHIFT), event_id(ev), op->sector + i);
	aio_prepare(&cb, IOCB_CMD_PWRITE, face_fd[op->where], buf, op->sector, op->n, NULL);
	cb.aio_rw_flags = op->fua ? RWF_DSYNC : 0;
	err = aio_submit(ctx, &cb);
	while (!err && !aio_reap(ctx, 1, 1, &done, 1000000000))
		;
	free(buf);
	if (err)
		return err;
	return done.res == (__s64)n ? 0 : done.res < 0 ? (int)done.res : -EIO;
}

static int do_range(const struct op *op, unsigned long cmd)
{
	u64 range[2] = { (u64)op->sector << SECTOR_SHIFT, (u64)op->n << SECTOR_SHIFT };

	return ioctl(face_fd[op->where], cmd, range) ? -errno : 0;
}

static void do_op(const struct op *op)
{
	static const enum kind kinds[] = {
		[OP_WRITE] = EV_WRITE, [OP_ZERO] = EV_ZERO, [OP_DISCARD] = EV_ZERO,
		[OP_FLUSH] = EV_FLUSH, [OP_CHECKPOINT] = EV_CHECKPOINT,
	};
	__u32 ev = event_begin(kinds[op->kind], op->where, op->sector, op->n,
			       op->fua ? EV_FUA : 0, NULL);
	int err;

	switch (op->kind) {
	case OP_WRITE:
		err = do_write(op, ev);
		break;
	case OP_ZERO:
		err = do_range(op, BLKZEROOUT);
		break;
	case OP_DISCARD:
		err = do_range(op, BLKDISCARD);
		break;
	case OP_FLUSH:
		err = fsync(face_fd[op->where]) ? -errno : 0;
		break;
	default:
		err = dm_send(TOP, "checkpoint");
	}
	if (err)
		trouble("%s of the %s, %u sectors from %u: %s", kind_names[kinds[op->kind]],
			where_names[op->where], op->n, op->sector, strerror(-err));
	event_end(ev);
}

static void *worker(void __maybe_unused *unused)
{
	unsigned int nr;

	for (;;) {
		pthread_barrier_wait(&round_begins);
		if (!nr_ops)
			return NULL;
		while ((nr = next_op++) < nr_ops)
			do_op(&ops[nr]);
		pthread_barrier_wait(&round_ends);
	}
}

static void round_go(void)
{
	next_op = 0;
	pthread_barrier_wait(&round_begins);
	if (nr_ops)
		pthread_barrier_wait(&round_ends);
}

/* ------------------------------------------------------------------- rounds */

/* A range of a zone that nothing in this round writes yet; small ones are likelier. */
static bool op_place(struct op *op)
{
	const struct area *zone = &lg.head.zone[rnd_below(&rng, lg.head.nr_areas)];
	unsigned int i, tries;

	for (tries = 0; tries < 4; tries++) {
		op->n = rnd_log(&rng, MAX_OP_SECTORS);
		if (rnd_one_in(&rng, 3))
			op->n = (op->n + 7) & ~7u;
		op->sector = zone->first + rnd_below(&rng, zone->end - zone->first);
		if (rnd_one_in(&rng, 3))
			op->sector &= ~7u;
		if (op->sector < zone->first || op->sector + op->n > zone->end)
			continue;
		for (i = 0; i < nr_ops; i++)
			if (ops[i].n && ops[i].where == op->where &&
			    ops[i].sector < op->sector + op->n &&
			    op->sector < ops[i].sector + ops[i].n)
				break;
		if (i == nr_ops)
			return true;
	}
	return false;
}

static void op_add(bool *checkpointed)
{
	struct op *op = &ops[nr_ops];
	unsigned int dice = rnd_below(&rng, 100);

	*op = (struct op) {
		.where = phase == RUNNING && rnd_one_in(&rng, 2) ? INGRESS : VIEW,
	};
	if (dice < 16 || (phase == ENDING && dice < 30)) {
		op->kind = OP_FLUSH;
	} else if (dice < 19 && phase == RUNNING && !*checkpointed) {
		op->kind = OP_CHECKPOINT;
		op->where = VIEW;
		*checkpointed = true;
	} else {
		if (!op_place(op))
			return;
		op->kind = dice < 25 ? OP_ZERO : OP_WRITE;
		if (dice < 22 && op->where == INGRESS)
			op->kind = OP_DISCARD;
		op->fua = op->kind == OP_WRITE && rnd_one_in(&rng, 8);
	}
	nr_ops++;
}

static void round_plan(void)
{
	unsigned int i, n = 1 + rnd_below(&rng, MAX_OPS - 1);
	bool checkpointed = false;

	nr_ops = 0;
	/* Alone it meets what the rounds before have left. */
	if (phase == RUNNING && rnd_one_in(&rng, 8)) {
		ops[nr_ops++] = (struct op) { .kind = OP_CHECKPOINT, .where = VIEW };
		return;
	}
	for (i = 0; i < n; i++)
		op_add(&checkpointed);
	if (!nr_ops)
		ops[nr_ops++] = (struct op) { .kind = OP_FLUSH, .where = VIEW };
}

static void rounds(unsigned int n)
{
	while (n--) {
		disk_delay = rnd_one_in(&rng, 3) ? 200 : 0;
		round_plan();
		round_go();
	}
}

/* ------------------------------------------------------------------ the end */

static bool is_done(void)
{
	struct dm_status st;

	dm_state(TOP, false, &st);
	if (strcmp(st.stage, "done") && strcmp(st.stage, "failover"))
		quit(EXIT_MISMATCH, "after a failover the status is \"%s\"", st.line);
	return !strcmp(st.stage, "done");
}

static void message_end(const char *text, enum kind kind)
{
	__u32 ev = event_begin(kind, VIEW, 0, 0, 0, NULL);
	int err = dm_send(TOP, text);

	end_begins = lg.event[ev].begin;
	if (err)
		trouble("message %s: %s", text, strerror(-err));
	event_end(ev);
}

/* The merge goes on meanwhile, slowly enough to be met in many states. */
static void fail_over(void)
{
	/* If it ends in peace, nobody flushes what the merge has written last. */
	unsigned int n, most = rnd_one_in(&rng, 2) ? 3 : arg_rounds;
	bool removed = false;

	/* Little in the stores makes many short runs to merge. */
	if (rnd_one_in(&rng, 2)) {
		message_end("checkpoint", EV_CHECKPOINT);
		rounds(4);
	}
	phase = ENDING;
	disk_delay = 2000;
	secondary_lazy = true;
	message_end("failover", EV_FAILOVER);
	for (n = 0; !is_done(); n++) {
		if (n < most) {
			round_plan();
			round_go();
		} else {
			sleep_us(1000);
		}
		if (n >= 2 && !removed && !is_done()) {
			tables_again();
			removed = true;
		}
	}
	event_end(event_begin(EV_DONE, VIEW, 0, 0, 0, NULL));
	secondary_lazy = false;
}

static void run(void)
{
	pthread_t thread[THREADS];
	int i;

	pthread_barrier_init(&round_begins, NULL, THREADS + 1);
	pthread_barrier_init(&round_ends, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, worker, NULL);

	tables_create();
	rounds(arg_rounds / 2);
	tables_again();
	rounds(arg_rounds - arg_rounds / 2);
	if (arg_stop)
		message_end("stop", EV_STOP);
	else
		fail_over();
	end_ends = lg.clock;
	phase = DONE;
	rounds(arg_rounds / 6 + 1);
	tables_again();
	tables_remove();

	nr_ops = 0;
	round_go();
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
	const struct arg args[] = {
		{ "log", .string = &arg_log }, { "chunk", .number = &arg_chunk },
		{ "sectors", .number = &arg_sectors }, { "rounds", .number = &arg_rounds },
		{ "stop", .flag = &arg_stop, .value = true },
		{ "seed", .number = &arg_seed }, {}
	};

	prog = "record";
	if (!parse_args(argc, argv, args, usage) || !arg_log) {
		fputs(usage, stderr);
		return EXIT_TROUBLE;
	}
	check_chunk(arg_chunk);
	rng.state = arg_seed;
	log_create(1 << 18, 512ull << 20);
	lg.head.sectors = arg_sectors;
	lg.head.metadata_sectors = 64;
	lg.head.chunk = arg_chunk;
	areas_init(arg_sectors, arg_chunk);

	disks_start(arg_sectors, lg.head.metadata_sectors, ~arg_seed);
	run();
	disks_stop();
	log_write(arg_log);
	printf("%llu events, %llu KiB, %llu ticks, the end from %llu to %llu\n",
	       lg.head.nr_events, lg.head.nr_data >> 10, lg.clock, end_begins, end_ends);
	return EXIT_OK;
}
