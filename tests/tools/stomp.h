/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of stomp.c: its state, and how it says what is wrong. */
#ifndef TESTS_TOOLS_STOMP_H
#define TESTS_TOOLS_STOMP_H

#include "common.h"
#include "aio.h"
#include "stamp.h"

#define MAX_IO		MIB_SECTORS
#define MAX_QD		16
#define STUCK_SECONDS	300
#define BUFFERED_RANGES	16
#define BUFFERED_IO	128u

enum kind { READ, WRITE, FLUSH, WIDE, ZEROOUT, DISCARD };

static const char *const kind_name[] = {
	"read", "write", "flush", "wide read", "zeroout", "discard"
};

struct op {
	enum kind kind;
	u64 sector;
	size_t n;
	u64 number, tag;
	u64 start_ns, end_ns;
	int err;
	bool fenced;		/* submitted after the failover message */
	bool after_live;	/* submitted after a live checkpoint */
	void *buf;
	struct iocb cb;
};

/*
 * A write amid a live checkpoint, by its tag, or a read of the view after it,
 * by what it found.
 */
struct record {
	u64 sector, tag, start_ns, end_ns;
	u64 *found;
	size_t n;
};

struct stripe {
	u64 start, len;
};

struct worker {
	pthread_t thread;
	unsigned int id;
	enum face face;
	struct dev dev;
	u64 *model;
	struct rng rng;
	aio_context_t aio;
	struct stripe *stripes;
	size_t nr_stripes, max_stripes;
	u64 next_op;
	u64 follow, follow_end;	/* where the last operation and its stripe ended */
	struct op ops[MAX_QD], spare;
	bool have_spare;
	struct record *log;
	size_t logged, max_log;
	u64 count[DISCARD + 1], sectors, refused;
};

/* How far the failover is, as the ingress threads see it. */
enum failover { FO_NONE, FO_PAUSE, FO_SENT, FO_FENCED };

static struct {
	const char *view, *ingress, *secondary, *name;
	u64 chunk, threads, qd, seed, ops, every, failover_timeout, sync_timeout;
	bool discard, zeroout, failover, fill, live, primary;
} opt = {
	.chunk = 8, .threads = 8, .qd = 8, .ops = 20000,
	.zeroout = true, .failover = true, .fill = true,
	.failover_timeout = 600, .sync_timeout = 120,
};

static struct dev view, ingress, buffered;
static u64 sectors;
static u64 *view_model, *ingress_model;
static struct worker *workers;
static unsigned int nr_ingress;

static pthread_barrier_t phase_start, phase_end;
static u64 phase, phase_ops;
static bool phase_live, phase_failover, over;
static unsigned int epoch;		/* checkpoints so far */
static atomic_int failover_state;
static atomic_uint paused, view_progress;
static atomic_bool failover_done, live_done;
static struct {
	u64 checkpoints, live, compares;
} total;

/* --------------------------------------------------------------- failures */

static __noreturn void wrong(struct dev *d, const u64 *model, u64 sector,
			     size_t n, const void *buf, const char *when)
{
	pthread_mutex_lock(&report_lock);
	fprintf(stderr, "stomp: wrong data in %s: %s, phase %llu, after %u checkpoints, seed %llu\n",
		d->path, when, phase, epoch, opt.seed);
	report_range(d, sector, n, opt.chunk, model, buf);
	quit(EXIT_MISMATCH, "FAILED");
}

static __noreturn void leaked(struct dev *d, u64 sector, u64 tag, const char *when)
{
	char text[160];

	tag_describe(text, sizeof(text), tag);
	pthread_mutex_lock(&report_lock);
	fprintf(stderr, "stomp: %s shows what the primary wrote after the checkpoint: %s, phase %llu, after %u checkpoints, seed %llu\n",
		d->path, when, phase, epoch, opt.seed);
	fprintf(stderr, "  offset %llu (sector %llu, chunk %llu)\n    expected: anything else\n    found:    %s\n",
		sector << SECTOR_SHIFT, sector, sector / opt.chunk, text);
	quit(EXIT_MISMATCH, "FAILED");
}

static __noreturn void failed(const struct worker *w, const struct op *op)
{
	trouble("%s: %s of %zu sectors at offset %llu (chunk %llu) failed: %s; op %llu of thread %u, phase %llu, seed %llu",
		w->dev.path, kind_name[op->kind], op->n,
		op->sector << SECTOR_SHIFT, op->sector / opt.chunk,
		strerror(-op->err), op->number, w->id, phase, opt.seed);
}

#endif
