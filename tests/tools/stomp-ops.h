/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of stomp.c: which operations a thread does, and doing them. */
#ifndef TESTS_TOOLS_STOMP_OPS_H
#define TESTS_TOOLS_STOMP_OPS_H

#include "stomp.h"

/* ---------------------------------------------------------------- stripes */

static void add_stripe(struct worker *w, u64 start, u64 len)
{
	if (w->nr_stripes == w->max_stripes) {
		w->max_stripes = w->max_stripes ? 2 * w->max_stripes : 256;
		w->stripes = realloc(w->stripes,
				     w->max_stripes * sizeof(*w->stripes));
		if (!w->stripes)
			trouble("out of memory for stripes");
	}
	w->stripes[w->nr_stripes++] = (struct stripe){ start, len };
}

/*
 * Share the device out among n workers.  Runs of stripes about as long as a
 * chunk take turns with single stripes of up to 2 MiB.
 */
static void make_stripes(struct worker *w, unsigned int n, u64 seed)
{
	struct rng r = { seed };
	u64 pos = 0, len;
	unsigned int fine = 0, i;

	for (i = 0; i < n; i++)	/* everybody has something, whatever the size */
		add_stripe(&w[i], pos++, 1);
	while (pos < sectors) {
		if (!fine && rnd_one_in(&r, 2))
			fine = 32 + rnd_below(&r, 96);
		if (fine) {
			fine--;
			len = 1 + rnd_below(&r, 2 * opt.chunk);
		} else {
			len = rnd_log(&r, 2 * MIB_SECTORS);
		}
		if (len > sectors - pos)
			len = sectors - pos;
		add_stripe(&w[rnd_below(&r, n)], pos, len);
		pos += len;
	}
}

/* The worker's first stripe that ends after the sector, or its last one. */
static size_t find_stripe(const struct worker *w, u64 sector)
{
	size_t lo = 0, hi = w->nr_stripes - 1;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (w->stripes[mid].start + w->stripes[mid].len <= sector)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Half of the time anywhere, by stripe or by place; else near a spot that moves
 * on with the count of operations and is the same for all threads.
 */
static const struct stripe *pick_stripe(struct worker *w)
{
	u64 spot = mix64(opt.seed ^ mix64(w->next_op / 64)) % sectors;
	size_t i;

	switch (rnd_below(&w->rng, 4)) {
	case 0:
		i = find_stripe(w, rnd_below(&w->rng, sectors));
		break;
	case 1:
		i = rnd_below(&w->rng, w->nr_stripes);
		break;
	default:
		i = find_stripe(w, spot) + rnd_below(&w->rng, 4);
	}
	return &w->stripes[i < w->nr_stripes ? i : w->nr_stripes - 1];
}

/*
 * Straight after the operation before, which is most likely still in flight and
 * in the same chunk.  False if its stripe ends there.
 */
static bool follow(struct worker *w, struct op *op)
{
	u64 left = w->follow_end - w->follow;

	if (!left)
		return false;
	op->sector = w->follow;
	op->n = 1 + rnd_below(&w->rng, left < opt.chunk ? left : opt.chunk);
	return true;
}

static void pick_range(struct worker *w, struct op *op)
{
	const struct stripe *s;
	u64 end;

	if (!rnd_one_in(&w->rng, 3) && follow(w, op))
		return;
	s = pick_stripe(w);
	end = s->start + s->len;
	w->follow_end = end;
	op->n = rnd_log(&w->rng, s->len < MAX_IO ? s->len : MAX_IO);
	op->sector = s->start + rnd_below(&w->rng, s->len - op->n + 1);
	switch (rnd_below(&w->rng, 8)) {
	case 0:
		op->sector = s->start;
		break;
	case 1:
		op->sector = end - op->n;
		break;
	case 2 ... 3:		/* whole chunks, where the stripe has some */
		op->sector -= op->sector % opt.chunk;
		if (op->sector < s->start)
			op->sector += opt.chunk;
		op->n += opt.chunk - 1 - (op->n - 1) % opt.chunk;
		if (op->n > MAX_IO)
			op->n = MAX_IO;
		if (op->sector + op->n <= end)
			break;
		op->sector = s->start;
		op->n = op->n < s->len ? op->n : s->len;
	}
}

/* ------------------------------------------------------------- operations */

static enum kind pick_kind(struct worker *w)
{
	u64 dice = rnd_below(&w->rng, 100);
	bool is_view = w->face == FACE_VIEW;
	enum kind kind = WRITE;

	if (dice < (is_view ? 35 : 20))
		kind = READ;
	else if (dice < 38)
		kind = FLUSH;
	else if (dice < 44)
		kind = ZEROOUT;
	else if (dice < 50)
		kind = DISCARD;
	else if (dice < 54 && is_view)
		kind = WIDE;
	if ((kind == ZEROOUT && !opt.zeroout) ||
	    (kind == DISCARD && !opt.discard) ||
	    ((kind == ZEROOUT || kind == DISCARD) && phase_live))
		kind = WRITE;
	return kind;
}

static void make_op(struct worker *w, struct op *op)
{
	void *buf = op->buf;

	memset(op, 0, sizeof(*op));
	op->buf = buf;
	op->number = w->next_op++;
	op->kind = pick_kind(w);
	op->tag = tag_make(w->face, epoch, w->id, op->number);
	if (op->kind == FLUSH)
		return;
	if (op->kind != WIDE) {
		pick_range(w, op);
		w->follow = op->sector + op->n;
	} else {
		op->n = rnd_log(&w->rng, sectors < MAX_IO ? sectors : MAX_IO);
		op->sector = rnd_below(&w->rng, sectors - op->n + 1);
	}
}

static bool is_ioctl(const struct op *op)
{
	return op->kind == ZEROOUT || op->kind == DISCARD;
}

static bool overlap(const struct op *a, const struct op *b)
{
	return a->kind != WIDE && b->kind != WIDE &&
	       a->sector < b->sector + b->n && b->sector < a->sector + a->n;
}

/* The next few operations that do not touch each other's sectors. */
static unsigned int make_batch(struct worker *w, u64 left)
{
	unsigned int want = 1 + rnd_below(&w->rng, opt.qd), n, i;
	struct op *op = w->ops;

	if (want > left)
		want = left;
	for (n = 0; n < want; n++, op++) {
		void *buf = op->buf;

		if (w->have_spare) {
			*op = w->spare;
			op->buf = buf;
			op->tag = tag_make(w->face, epoch, w->id, op->number);
			if (phase_live && is_ioctl(op))
				op->kind = WRITE;
			w->have_spare = false;
			continue;
		}
		make_op(w, op);
		for (i = 0; i < n; i++) {
			if (!overlap(op, &w->ops[i]))
				continue;
			w->spare = *op;
			w->have_spare = true;
			return n;
		}
	}
	return n;
}

static void submit(struct worker *w, struct op *op)
{
	static const int opcode[] = {
		[READ] = IOCB_CMD_PREAD, [WIDE] = IOCB_CMD_PREAD,
		[WRITE] = IOCB_CMD_PWRITE, [FLUSH] = IOCB_CMD_FSYNC,
	};

	op->fenced = atomic_load(&failover_state) == FO_FENCED;
	op->after_live = atomic_load(&live_done);
	if (op->kind == WRITE)
		stamp_fill(op->buf, op->sector, op->n, op->tag);
	aio_prepare(&op->cb, opcode[op->kind], w->dev.fd,
		    op->kind == FLUSH ? NULL : op->buf, op->sector, op->n, op);
	if (op->kind == FLUSH && op->number % 2)
		op->cb.aio_lio_opcode = IOCB_CMD_FDSYNC;
	op->start_ns = now_ns();
	op->err = aio_submit(w->aio, &op->cb);
	op->end_ns = op->err ? now_ns() : 0;
}

static void do_ioctl(struct worker *w, struct op *op)
{
	op->fenced = atomic_load(&failover_state) == FO_FENCED;
	op->err = dev_range(&w->dev, op->kind == ZEROOUT ? BLKZEROOUT : BLKDISCARD,
			    op->sector, op->n);
}

static __noreturn void stuck(struct worker *w, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		w->ops[i].err = -ETIMEDOUT;
		if (!is_ioctl(&w->ops[i]) && !w->ops[i].end_ns)
			failed(w, &w->ops[i]);
	}
	trouble("%s: lost a request", w->dev.path);
}

/* All of the batch in flight together; the ioctls wait, so they go last. */
static void run_batch(struct worker *w, unsigned int n)
{
	struct io_event ev[MAX_QD];
	u64 deadline = now_ns() + STUCK_SECONDS * 1000000000ull;
	unsigned int i, waiting = 0;

	for (i = 0; i < n; i++) {
		if (is_ioctl(&w->ops[i]))
			continue;
		submit(w, &w->ops[i]);
		waiting += !w->ops[i].err;
	}
	for (i = 0; i < n; i++)
		if (is_ioctl(&w->ops[i]))
			do_ioctl(w, &w->ops[i]);
	while (waiting) {
		long r = aio_reap(w->aio, 1, MAX_QD, ev, 1000000000);

		if (!r && now_ns() > deadline)
			stuck(w, n);
		waiting -= r;
		while (r-- > 0) {
			struct op *op = (void *)(uintptr_t)ev[r].data;

			op->end_ns = now_ns();
			if (ev[r].res < 0)
				op->err = ev[r].res;
			else if ((u64)ev[r].res != op->cb.aio_nbytes &&
				 op->kind != FLUSH)
				op->err = -EIO;
		}
	}
}

static u64 tag_of(const void *buf, u64 sector)
{
	return sector_is_zero(buf) ? 0 : sector_tag(buf, sector);
}

static void remember(struct worker *w, const struct op *op)
{
	struct record *rec;
	size_t i;

	if (w->logged == w->max_log) {
		w->max_log = w->max_log ? 2 * w->max_log : 1024;
		w->log = realloc(w->log, w->max_log * sizeof(*w->log));
		if (!w->log)
			trouble("out of memory for the log of a live checkpoint");
	}
	rec = &w->log[w->logged++];
	*rec = (struct record){
		op->sector, op->tag, op->start_ns, op->end_ns, NULL, op->n
	};
	if (op->kind == WRITE)
		return;
	rec->found = xcalloc(op->n, sizeof(*rec->found));
	for (i = 0; i < op->n; i++)
		rec->found[i] = tag_of((char *)op->buf + i * SECTOR_SIZE,
				       op->sector + i);
}

/* Not so: what the view holds amid a live checkpoint. */
static bool comparable(const struct worker *w)
{
	return !phase_live || w->face != FACE_VIEW;
}

static void finish_read(struct worker *w, struct op *op)
{
	u64 tag;
	size_t good;

	if (!comparable(w)) {
		if (op->kind == READ && op->after_live)
			remember(w, op);
		return;
	}
	if (op->kind == READ) {
		good = model_check(w->model, op->sector, op->n, op->buf);
		if (good < op->n)
			wrong(&w->dev, w->model, op->sector + good, op->n - good,
			      (char *)op->buf + good * SECTOR_SIZE,
			      "a read amid the load");
	}
	if (w->face != FACE_VIEW)
		return;
	good = find_leak(op->buf, op->sector, op->n, epoch, &tag);
	if (good < op->n)
		leaked(&w->dev, op->sector + good, tag, "a read amid the load");
}

static void finish(struct worker *w, struct op *op)
{
	if (op->err && is_ioctl(op) && not_to_be_had(op->err))
		return;
	if (op->err)
		failed(w, op);
	w->count[op->kind]++;
	w->sectors += op->n;
	switch (op->kind) {
	case READ:
	case WIDE:
		finish_read(w, op);
		break;
	case WRITE:
		if (phase_live)
			remember(w, op);
		if (comparable(w))
			model_set(w->model, op->sector, op->n, op->tag);
		break;
	case ZEROOUT:
		model_set(w->model, op->sector, op->n, 0);
		break;
	case DISCARD:
		model_discard(w->model, op->sector, op->n);
		break;
	case FLUSH:
		break;
	}
}

/*
 * The ingress around the failover.  What was under way when the message was
 * sent may succeed or fail; after it nothing may be written.
 */
static void finish_fenced(struct worker *w, struct op *op)
{
	if (op->kind == READ || op->kind == FLUSH)
		return;
	if (is_ioctl(op) && (not_to_be_had(op->err) || op->kind == DISCARD))
		return;
	if (op->err && op->err != -EIO)
		failed(w, op);
	if (op->fenced && !op->err)
		quit(EXIT_MISMATCH, "%s: a %s of %zu sectors at offset %llu (chunk %llu) succeeded after the failover: not fenced; op %llu of thread %u, seed %llu",
		     w->dev.path, kind_name[op->kind], op->n,
		     op->sector << SECTOR_SHIFT, op->sector / opt.chunk,
		     op->number, w->id, opt.seed);
	w->refused += op->err == -EIO;
}

#endif
