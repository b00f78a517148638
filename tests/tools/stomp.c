// SPDX-License-Identifier: GPL-2.0-only
/*
 * stomp: a random test of view and ingress against a model in memory.
 *
 * Tests these rules of the design: the view never shows what the primary wrote
 * after the checkpoint (1); old content is saved before the secondary is
 * overwritten (2); a partial write fills the rest of the chunk from below (3);
 * concurrent I/O to one chunk loses no completed write and puts no old data
 * over newer (4); discard and zeroing expose no third content (5); a checkpoint
 * moves the view to the secondary's content, for a buffered reader too, and is
 * one instant (6); after a failover the view holds what it held before, the
 * secondary holds the same, and the ingress is fenced (7, and the stages).
 *
 * The model is one tag per sector (stamp.h) for the view and one for the
 * secondary.  Each face's sectors are shared out among that face's threads in
 * stripes whose borders know nothing of chunks, so threads meet within chunks
 * all the time but a sector has one owner per face, who always knows what must
 * be there.  Every thread keeps several requests in flight.
 *
 * The run is cut into phases with a checkpoint after each.  All threads pause
 * there, unless --live-checkpoints, where every other checkpoint happens while
 * they write: each sector of the view must then hold one of the few contents
 * that its requests' times allow, and there must be one instant that explains
 * all sectors together.
 *
 * What a thread does depends on the seed alone; how the threads fall together
 * in time does not.  How long the phase of the failover lasts depends on the
 * merge: it runs the same sequence on until the merge is done.
 */
#include "common.h"
#include "aio.h"
#include "stamp.h"

#include <getopt.h>

#define MAX_IO		MIB_SECTORS
#define MAX_QD		16
#define STUCK_SECONDS	300
#define BUFFERED_RANGES	16
#define BUFFERED_IO	128u

static const char usage_text[] =
"usage: stomp --view DEV --ingress DEV --name VIEWNAME [options]\n"
"  --view DEV             the view\n"
"  --ingress DEV          the ingress\n"
"  --name VIEWNAME        the view's device-mapper name, for messages\n"
"  --secondary DEV        the raw secondary, compared in the end\n"
"  --chunk SECTORS        chunk size, default 8\n"
"  --seed N               default: from the clock\n"
"  --ops N                operations of all threads together, default 20000\n"
"  --threads N            half of them each for view and ingress, default 8\n"
"  --qd N                 requests in flight per thread, default 4, up to 16\n"
"  --checkpoint-every N   operations between checkpoints, default ops / 10\n"
"  --live-checkpoints     every other checkpoint while the threads write\n"
"  --discard              discard, too\n"
"  --no-zeroout           do not zero by BLKZEROOUT\n"
"  --no-failover          end in stage running\n"
"  --failover-timeout S   for the merge, default 600\n"
"  --no-fill              keep what is there instead of filling it at first\n"
"exit status: 0 all is well, 1 wrong data, 2 usage or I/O trouble\n";

enum kind { READ, WRITE, FLUSH, WIDE, ZEROOUT, DISCARD };

static const char *const kind_name[] = {
	"read", "write", "flush", "wide read", "zeroout", "discard"
};

struct op {
	enum kind kind;
	uint64_t sector;
	size_t n;
	uint64_t number, tag;
	uint64_t start_ns, end_ns;
	int err;
	bool fenced;		/* submitted after the failover message */
	void *buf;
	struct iocb cb;
};

/* A write during a live checkpoint. */
struct record {
	uint64_t sector, tag, start_ns, end_ns;
	size_t n;
};

struct stripe {
	uint64_t start, len;
};

struct worker {
	pthread_t thread;
	unsigned int id;
	enum face face;
	struct dev dev;
	uint64_t *model;
	struct rng rng;
	aio_context_t aio;
	struct stripe *stripes;
	size_t nr_stripes, max_stripes;
	uint64_t next_op;
	struct op ops[MAX_QD], spare;
	bool have_spare;
	struct record *log;
	size_t logged, max_log;
	uint64_t count[DISCARD + 1], sectors, refused;
};

/* How far the failover is, as the ingress threads see it. */
enum failover { FO_NONE, FO_PAUSE, FO_SENT, FO_FENCED };

static struct {
	const char *view, *ingress, *secondary, *name;
	unsigned int chunk, threads, qd;
	uint64_t seed, ops, every, failover_timeout;
	bool discard, zeroout, failover, fill, live;
} opt = {
	.chunk = 8, .threads = 8, .qd = 4, .ops = 20000,
	.zeroout = true, .failover = true, .fill = true,
	.failover_timeout = 600,
};

static struct dev view, ingress, buffered;
static uint64_t sectors;
static uint64_t *view_model, *ingress_model;
static struct worker *workers;
static unsigned int nr_ingress;

static pthread_barrier_t phase_start, phase_end;
static uint64_t phase, phase_ops;
static bool phase_live, phase_failover, over;
static unsigned int epoch;		/* checkpoints so far */
static atomic_int failover_state;
static atomic_uint paused, view_progress;
static atomic_bool failover_done;
static struct {
	uint64_t checkpoints, live, compares, fenced;
} total;

/* --------------------------------------------------------------- failures */

static void __attribute__((noreturn))
wrong(struct dev *d, const uint64_t *model, uint64_t sector, size_t n,
      const void *buf, const char *when)
{
	pthread_mutex_lock(&report_lock);
	fprintf(stderr, "stomp: wrong data in %s: %s, phase %llu, after %u checkpoints, seed %llu\n",
		d->path, when, (unsigned long long)phase, epoch,
		(unsigned long long)opt.seed);
	report_range(d, sector, n, opt.chunk, model, buf);
	quit(EXIT_MISMATCH, "FAILED");
}

static void __attribute__((noreturn))
leaked(struct dev *d, uint64_t sector, uint64_t tag, const char *when)
{
	char text[160];

	tag_describe(text, sizeof(text), tag);
	pthread_mutex_lock(&report_lock);
	fprintf(stderr, "stomp: %s shows what the primary wrote after the checkpoint: %s, phase %llu, after %u checkpoints, seed %llu\n",
		d->path, when, (unsigned long long)phase, epoch,
		(unsigned long long)opt.seed);
	fprintf(stderr, "  offset %llu (sector %llu, chunk %llu)\n    expected: anything else\n    found:    %s\n",
		(unsigned long long)sector << SECTOR_SHIFT,
		(unsigned long long)sector,
		(unsigned long long)(sector / opt.chunk), text);
	quit(EXIT_MISMATCH, "FAILED");
}

static void __attribute__((noreturn))
failed(const struct worker *w, const struct op *op)
{
	trouble("%s: %s of %zu sectors at offset %llu (chunk %llu) failed: %s; op %llu of thread %u, phase %llu, seed %llu",
		w->dev.path, kind_name[op->kind], op->n,
		(unsigned long long)op->sector << SECTOR_SHIFT,
		(unsigned long long)(op->sector / opt.chunk),
		strerror(-op->err), (unsigned long long)op->number, w->id,
		(unsigned long long)phase, (unsigned long long)opt.seed);
}

/* ---------------------------------------------------------------- stripes */

static void add_stripe(struct worker *w, uint64_t start, uint64_t len)
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
static void make_stripes(struct worker *w, unsigned int n, uint64_t seed)
{
	struct rng r = { seed };
	uint64_t pos = 0, len;
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
static size_t find_stripe(const struct worker *w, uint64_t sector)
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
	uint64_t spot = mix64(opt.seed ^ mix64(w->next_op / 64)) % sectors;
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

static void pick_range(struct worker *w, struct op *op)
{
	const struct stripe *s = pick_stripe(w);
	uint64_t end = s->start + s->len;

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
	uint64_t dice = rnd_below(&w->rng, 100);
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
	pick_range(w, op);
	if (op->kind == WIDE) {
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
static unsigned int make_batch(struct worker *w, uint64_t left)
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

static void __attribute__((noreturn)) stuck(struct worker *w, unsigned int n)
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
	uint64_t deadline = now_ns() + STUCK_SECONDS * 1000000000ull;
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
			else if ((uint64_t)ev[r].res != op->cb.aio_nbytes &&
				 op->kind != FLUSH)
				op->err = -EIO;
		}
	}
}

static void remember(struct worker *w, const struct op *op)
{
	if (w->logged == w->max_log) {
		w->max_log = w->max_log ? 2 * w->max_log : 1024;
		w->log = realloc(w->log, w->max_log * sizeof(*w->log));
		if (!w->log)
			trouble("out of memory for the log of a live checkpoint");
	}
	w->log[w->logged++] = (struct record){
		op->sector, op->tag, op->start_ns, op->end_ns, op->n
	};
}

/* A read that is not to be compared: an old view during a live checkpoint. */
static bool comparable(const struct worker *w)
{
	return !phase_live || w->face != FACE_VIEW;
}

static void finish_read(struct worker *w, struct op *op)
{
	uint64_t tag;
	size_t good;

	if (!comparable(w))
		return;
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
		     (unsigned long long)op->sector << SECTOR_SHIFT,
		     (unsigned long long)(op->sector / opt.chunk),
		     (unsigned long long)op->number, w->id,
		     (unsigned long long)opt.seed);
	w->refused += op->err == -EIO;
}

/* ---------------------------------------------------------------- threads */

static void one_batch(struct worker *w, uint64_t left)
{
	unsigned int n = make_batch(w, left), i;

	run_batch(w, n);
	for (i = 0; i < n; i++) {
		if (w->face == FACE_INGRESS &&
		    atomic_load(&failover_state) >= FO_SENT)
			finish_fenced(w, &w->ops[i]);
		else
			finish(w, &w->ops[i]);
	}
	if (w->face == FACE_VIEW)
		atomic_fetch_add(&view_progress, n);
}

static void ingress_failover(struct worker *w)
{
	bool was_paused = false;

	while (!atomic_load(&failover_done)) {
		switch (atomic_load(&failover_state)) {
		case FO_PAUSE:
			if (!was_paused)
				atomic_fetch_add(&paused, 1);
			was_paused = true;
			sleep_us(1000);
			break;
		case FO_FENCED:
			one_batch(w, 2);
			sleep_us(20000);
			break;
		default:
			one_batch(w, opt.qd);
		}
	}
}

static void run_phase(struct worker *w)
{
	uint64_t end = w->next_op - w->have_spare + phase_ops;

	if (phase_failover && w->face == FACE_INGRESS) {
		ingress_failover(w);
		return;
	}
	if (w->face == FACE_INGRESS && atomic_load(&failover_state) != FO_NONE)
		return;
	while (w->next_op - w->have_spare < end)
		one_batch(w, end - (w->next_op - w->have_spare));
	while (phase_failover && !atomic_load(&failover_done))
		one_batch(w, opt.qd);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		pthread_barrier_wait(&phase_start);
		if (over)
			return NULL;
		run_phase(w);
		pthread_barrier_wait(&phase_end);
	}
}

/* --------------------------------------------------- while all are pausing */

static void compare(struct dev *d, uint64_t *model, uint64_t from, size_t n,
		    bool is_view, const char *when)
{
	static void *buf;
	uint64_t tag;
	size_t good;
	int err;

	if (!buf)
		buf = xbuffer(MAX_IO << SECTOR_SHIFT);
	err = dev_read(d, from, buf, n);
	if (err)
		trouble("%s: read of %zu sectors at offset %llu failed, %s: %s",
			d->path, n, (unsigned long long)from << SECTOR_SHIFT,
			when, strerror(-err));
	good = model_check(model, from, n, buf);
	if (good < n)
		wrong(d, model, from + good, n - good,
		      (char *)buf + good * SECTOR_SIZE, when);
	good = is_view ? find_leak(buf, from, n, epoch, &tag) : n;
	if (good < n)
		leaked(d, from + good, tag, when);
}

static void compare_all(struct dev *d, uint64_t *model, bool is_view,
			const char *when)
{
	uint64_t s;

	for (s = 0; s < sectors; s += MAX_IO)
		compare(d, model, s, sectors - s < MAX_IO ? sectors - s : MAX_IO,
			is_view, when);
	total.compares++;
}

/* Some ranges through the page cache, by a descriptor that stays open. */
static void compare_buffered(struct rng r, const char *when)
{
	unsigned int i;

	for (i = 0; i < BUFFERED_RANGES; i++) {
		size_t n = rnd_log(&r, sectors < BUFFERED_IO ? sectors : BUFFERED_IO);

		compare(&buffered, view_model, rnd_below(&r, sectors - n + 1), n,
			true, when);
	}
}

/* Where a discard left the secondary open, see what it holds. */
static void settle_ingress(void)
{
	uint64_t s, n;

	for (s = 0; s < sectors; s += n) {
		for (n = 0; s + n < sectors && n < MAX_IO; n++)
			if (!(ingress_model[s + n] & TAG_MAYBE_ZERO))
				break;
		if (n)
			compare(&ingress, ingress_model, s, n, false,
				"after a discard");
		else
			n = 1;
	}
}

static void paused_checkpoint(struct rng *r)
{
	struct rng ranges = { rnd(r) };

	settle_ingress();
	if (rnd_one_in(r, 3))
		compare_all(&view, view_model, true, "before a checkpoint");
	compare_buffered(ranges, "buffered, before a checkpoint");
	dm_checkpoint(opt.name);
	epoch++;
	total.checkpoints++;
	memcpy(view_model, ingress_model, sectors * sizeof(*view_model));
	compare_buffered(ranges, "buffered, after a checkpoint");
	if (rnd_one_in(r, 3))
		compare_all(&view, view_model, true, "after a checkpoint");
	if (rnd_one_in(r, 4))
		compare_all(&ingress, ingress_model, false, "after a checkpoint");
}

/* -------------------------------------------------------- live checkpoints */

/*
 * What is known of a sector when a checkpoint came while it was written.
 * base: its content by the last ingress write that was complete before, which
 * is ingress record base_rec (-1: none).  last: the last view record, or -1.
 * shown: the ingress record that the view shows (SHOWS_BASE: base).
 */
struct live_sector {
	uint64_t base;
	int32_t last_thread, last_rec;
	int32_t base_rec, shown;
};

#define SHOWS_VIEW	(-3)		/* the view's own data, written later */
#define SHOWS_BASE	(-2)

static void live_collect(struct live_sector *ls, uint64_t from_ns,
			 const uint64_t *ingress_before)
{
	unsigned int t;
	uint64_t s;
	size_t i;

	for (s = 0; s < sectors; s++)
		ls[s] = (struct live_sector){ ingress_before[s], -1, -1, -1, 0 };
	for (t = 0; t < opt.threads; t++) {
		const struct worker *w = &workers[t];

		for (i = 0; i < w->logged; i++) {
			const struct record *rec = &w->log[i];

			for (s = rec->sector; s < rec->sector + rec->n; s++) {
				if (w->face == FACE_VIEW) {
					ls[s].last_thread = t;
					ls[s].last_rec = i;
				} else if (rec->end_ns < from_ns) {
					ls[s].base = rec->tag;
					ls[s].base_rec = i;
				}
			}
		}
	}
}

/* The record that wrote the tag, if the window allows the view to show it. */
static int find_record(uint64_t tag, uint64_t sector, uint64_t from_ns,
		       uint64_t to_ns)
{
	const struct worker *w;
	size_t i;

	if (tag & TAG_FLAGS || tag_face(tag) != FACE_INGRESS ||
	    tag_thread(tag) >= opt.threads)
		return -1;
	w = &workers[tag_thread(tag)];
	for (i = 0; i < w->logged; i++) {
		const struct record *rec = &w->log[i];

		if (rec->tag == tag && rec->end_ns >= from_ns &&
		    rec->start_ns <= to_ns && sector >= rec->sector &&
		    sector < rec->sector + rec->n)
			return i;
	}
	return -1;
}

/*
 * Is the content that a sector of the view has one that a checkpoint between
 * from_ns and to_ns can have left there?
 */
static bool live_allowed(struct live_sector *l, uint64_t sector,
			 const void *buf, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t tag = sector_is_zero(buf) ? 0 : sector_tag(buf, sector);
	const struct record *last = NULL;

	if (l->last_rec >= 0)
		last = &workers[l->last_thread].log[l->last_rec];
	l->shown = SHOWS_VIEW;
	if (last && tag == last->tag && last->end_ns >= from_ns)
		return true;
	if (last && last->start_ns > to_ns)
		return false;
	l->shown = SHOWS_BASE;
	if (tag == l->base)
		return true;
	l->shown = find_record(tag, sector, from_ns, to_ns);
	return l->shown >= 0;
}

static void __attribute__((noreturn))
live_wrong(const struct live_sector *l, uint64_t sector, const void *buf,
	   uint64_t from_ns, uint64_t to_ns)
{
	const struct record *last;
	char text[160];

	pthread_mutex_lock(&report_lock);
	fprintf(stderr, "stomp: wrong data in %s after a checkpoint amid writes, phase %llu, seed %llu\n",
		view.path, (unsigned long long)phase, (unsigned long long)opt.seed);
	report_sector(&view, sector, opt.chunk, l->base, buf);
	if (l->last_rec >= 0) {
		last = &workers[l->last_thread].log[l->last_rec];
		tag_describe(text, sizeof(text), last->tag);
		fprintf(stderr, "    or %s: in flight from %lld to %lld us, the message from 0 to %lld us\n",
			text, ((long long)last->start_ns - (long long)from_ns) / 1000,
			((long long)last->end_ns - (long long)from_ns) / 1000,
			((long long)to_ns - (long long)from_ns) / 1000);
	}
	quit(EXIT_MISMATCH, "FAILED");
}

/*
 * Is there an instant that explains all sectors?  It is after the start of each
 * write that it includes, and before the end of each that it leaves out.
 */
static void live_instant(const struct live_sector *ls, uint64_t from_ns,
			 uint64_t to_ns)
{
	uint64_t not_before = from_ns, not_after = to_ns, s;
	unsigned int t;
	size_t i;

	for (t = 0; t < opt.threads; t++) {
		const struct worker *w = &workers[t];

		for (i = 0; i < w->logged; i++) {
			const struct record *rec = &w->log[i];

			for (s = rec->sector; s < rec->sector + rec->n; s++) {
				const struct live_sector *l = &ls[s];
				bool before, after;

				if (w->face == FACE_VIEW) {
					/* only the last write to a sector tells */
					if (l->last_rec != (int32_t)i)
						continue;
					after = l->shown == SHOWS_VIEW;
					before = !after;
				} else {
					int32_t shown = l->shown == SHOWS_BASE ?
							l->base_rec : l->shown;

					if (l->shown == SHOWS_VIEW)
						continue;
					before = (int32_t)i <= shown;
					after = !before;
				}
				if (before && rec->start_ns > not_before)
					not_before = rec->start_ns;
				if (after && rec->end_ns < not_after)
					not_after = rec->end_ns;
			}
		}
	}
	if (not_before > not_after)
		quit(EXIT_MISMATCH, "%s: no single instant explains what a checkpoint amid writes took: it has a write that began %llu us after one ended that it lacks; phase %llu, seed %llu",
		     view.path, (unsigned long long)(not_before - not_after) / 1000,
		     (unsigned long long)phase, (unsigned long long)opt.seed);
}

/* All is quiet again: take what the view shows, if it is allowed. */
static void live_settle(const uint64_t *ingress_before, uint64_t from_ns,
			uint64_t to_ns)
{
	struct live_sector *ls = xcalloc(sectors, sizeof(*ls));
	char *buf = xbuffer(MAX_IO << SECTOR_SHIFT);
	uint64_t s, i, n;
	int err;

	live_collect(ls, from_ns, ingress_before);
	for (s = 0; s < sectors; s += n) {
		n = sectors - s < MAX_IO ? sectors - s : MAX_IO;
		err = dev_read(&view, s, buf, n);
		if (err)
			trouble("%s: read at offset %llu failed: %s", view.path,
				(unsigned long long)s << SECTOR_SHIFT,
				strerror(-err));
		for (i = 0; i < n; i++) {
			void *p = buf + i * SECTOR_SIZE;

			if (!live_allowed(&ls[s + i], s + i, p, from_ns, to_ns))
				live_wrong(&ls[s + i], s + i, p, from_ns, to_ns);
			view_model[s + i] = sector_is_zero(p) ? 0 :
					    sector_tag(p, s + i);
		}
	}
	live_instant(ls, from_ns, to_ns);
	free(buf);
	free(ls);
}

static void run_live_phase(struct rng *r)
{
	uint64_t *before = xcalloc(sectors, sizeof(*before));
	uint64_t share = phase_ops * (opt.threads - nr_ingress);
	unsigned int after = atomic_load(&view_progress) + rnd_below(r, share * 3 / 4 + 1);
	uint64_t from_ns, to_ns;
	unsigned int t;

	settle_ingress();
	memcpy(before, ingress_model, sectors * sizeof(*before));
	for (t = 0; t < opt.threads; t++)
		workers[t].logged = 0;
	phase_live = true;
	pthread_barrier_wait(&phase_start);
	while ((int)(atomic_load(&view_progress) - after) < 0)
		sleep_us(1000);
	from_ns = now_ns();
	dm_checkpoint(opt.name);
	to_ns = now_ns();
	pthread_barrier_wait(&phase_end);
	phase_live = false;
	epoch++;
	total.checkpoints++;
	total.live++;
	live_settle(before, from_ns, to_ns);
	compare_all(&ingress, ingress_model, false, "after a checkpoint amid writes");
	free(before);
}

/* --------------------------------------------------------------- failover */

static void wait_for_done(void)
{
	uint64_t end = now_ns() + opt.failover_timeout * 1000000000;
	struct dm_status st;

	for (;;) {
		if (!dm_get_status(opt.name, &st))
			trouble("%s: no status during the failover: \"%s\"",
				opt.name, st.line);
		if (!strcmp(st.stage, "done"))
			return;
		if (strcmp(st.stage, "failover"))
			trouble("%s: stage %s during the failover", opt.name,
				st.stage);
		if (now_ns() > end)
			trouble("%s: still stage %s after %llu s, merged %llu/%llu",
				opt.name, st.stage,
				(unsigned long long)opt.failover_timeout,
				st.merged, st.to_merge);
		sleep_us(50000);
	}
}

/*
 * At a random point of the view threads' work.  By the seed the ingress threads
 * pause meanwhile, or they go on writing into it.
 */
static void run_failover_phase(struct rng *r)
{
	uint64_t share = phase_ops * (opt.threads - nr_ingress);
	unsigned int after = atomic_load(&view_progress) + rnd_below(r, share);
	bool pause = rnd_one_in(r, 2);

	phase_failover = true;
	pthread_barrier_wait(&phase_start);
	while ((int)(atomic_load(&view_progress) - after) < 0)
		sleep_us(1000);
	if (pause)
		atomic_store(&failover_state, FO_PAUSE);
	while (pause && atomic_load(&paused) < nr_ingress)
		sleep_us(1000);
	if (!pause)
		atomic_store(&failover_state, FO_SENT);
	dm_message(opt.name, "failover");
	atomic_store(&failover_state, FO_FENCED);
	printf("stomp: failover in phase %llu, ingress %s\n",
	       (unsigned long long)phase, pause ? "paused" : "writing");
	wait_for_done();
	sleep_us(100000);		/* for the ingress to be refused in done, too */
	atomic_store(&failover_done, true);
	pthread_barrier_wait(&phase_end);
	phase_failover = false;
	compare_all(&view, view_model, true, "after the failover");
	dm_message(opt.name, "checkpoint");	/* has no effect any more */
}

/* ------------------------------------------------------------- the program */

static void fill(void)
{
	uint64_t tag = tag_make(FACE_FILL, 0, 0, 0), s, n;
	void *buf = xbuffer(MAX_IO << SECTOR_SHIFT);
	int err;

	for (s = 0; s < sectors; s += n) {
		n = sectors - s < MAX_IO ? sectors - s : MAX_IO;
		stamp_fill(buf, s, n, tag);
		err = dev_write(&ingress, s, buf, n);
		if (err)
			trouble("%s: write at offset %llu failed: %s",
				ingress.path,
				(unsigned long long)s << SECTOR_SHIFT,
				strerror(-err));
	}
	free(buf);
	model_set(ingress_model, 0, sectors, tag);
	model_set(view_model, 0, sectors, tag);
	dm_checkpoint(opt.name);
	epoch++;
	compare_all(&view, view_model, true, "after the first fill");
}

/* Take the present content of a face as what it should be. */
static void adopt(struct dev *d, uint64_t *model)
{
	char *buf = xbuffer(MAX_IO << SECTOR_SHIFT);
	uint64_t s, i, n;

	for (s = 0; s < sectors; s += n) {
		n = sectors - s < MAX_IO ? sectors - s : MAX_IO;
		if (dev_read(d, s, buf, n))
			trouble("%s: read at offset %llu failed", d->path,
				(unsigned long long)s << SECTOR_SHIFT);
		for (i = 0; i < n; i++)
			model[s + i] = sector_is_zero(buf + i * SECTOR_SIZE) ? 0 :
				       sector_tag(buf + i * SECTOR_SIZE, s + i);
	}
	free(buf);
}

static void make_workers(void)
{
	unsigned int i, j;

	nr_ingress = opt.threads / 2;
	workers = xcalloc(opt.threads, sizeof(*workers));
	for (i = 0; i < opt.threads; i++) {
		struct worker *w = &workers[i];

		w->id = i;
		w->face = i < nr_ingress ? FACE_INGRESS : FACE_VIEW;
		w->dev = i < nr_ingress ? ingress : view;
		w->model = i < nr_ingress ? ingress_model : view_model;
		w->rng.state = mix64(opt.seed ^ mix64(i + 1));
		aio_init(&w->aio, MAX_QD);
		for (j = 0; j < opt.qd; j++)
			w->ops[j].buf = xbuffer(MAX_IO << SECTOR_SHIFT);
	}
	make_stripes(workers, nr_ingress, mix64(opt.seed + 1));
	make_stripes(workers + nr_ingress, opt.threads - nr_ingress,
		     mix64(opt.seed + 2));
	pthread_barrier_init(&phase_start, NULL, opt.threads + 1);
	pthread_barrier_init(&phase_end, NULL, opt.threads + 1);
	for (i = 0; i < opt.threads; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			trouble("cannot start a thread");
}

static void run_phases(void)
{
	uint64_t phases = opt.ops / opt.every < 3 ? 3 : opt.ops / opt.every;
	struct rng r = { mix64(opt.seed + 3) };
	uint64_t fail_at = phases - 1 - rnd_below(&r, (phases + 2) / 3);

	phase_ops = opt.every / opt.threads ? opt.every / opt.threads : 1;
	for (phase = 0; phase < phases; phase++) {
		bool after = opt.failover && phase > fail_at;

		if (opt.failover && phase == fail_at) {
			run_failover_phase(&r);
			continue;
		}
		if (opt.live && !after && phase % 2) {
			run_live_phase(&r);
			continue;
		}
		pthread_barrier_wait(&phase_start);
		pthread_barrier_wait(&phase_end);
		/* the failover's phase may go on with what is there */
		if (!after && phase < phases - 1 &&
		    !(opt.failover && phase + 1 == fail_at && rnd_one_in(&r, 2)))
			paused_checkpoint(&r);
		printf("stomp: phase %llu of %llu\n", (unsigned long long)phase + 1,
		       (unsigned long long)phases);
		fflush(stdout);
	}
	over = true;
	pthread_barrier_wait(&phase_start);
}

static void final_compare(void)
{
	struct dev raw;

	compare_all(&view, view_model, true, "in the end");
	if (!opt.failover) {
		settle_ingress();
		compare_all(&ingress, ingress_model, false, "in the end");
	}
	if (!opt.secondary)
		return;
	dev_open(&raw, opt.secondary, O_RDONLY | O_DIRECT);
	if (raw.sectors < sectors)
		trouble("%s: shorter than the view", raw.path);
	compare_all(&raw, opt.failover ? view_model : ingress_model, false,
		    "the raw secondary in the end");
}

static void totals(void)
{
	uint64_t count[2][DISCARD + 1] = { 0 }, mib = 0, refused = 0;
	unsigned int i, k;

	for (i = 0; i < opt.threads; i++) {
		for (k = 0; k <= DISCARD; k++)
			count[workers[i].face == FACE_INGRESS][k] += workers[i].count[k];
		mib += workers[i].sectors;
		refused += workers[i].refused;
	}
	printf("stomp: ok seed %llu mib %llu checkpoints %llu live %llu compares %llu failover %s refused %llu",
	       (unsigned long long)opt.seed, (unsigned long long)mib / MIB_SECTORS,
	       (unsigned long long)total.checkpoints,
	       (unsigned long long)total.live,
	       (unsigned long long)total.compares,
	       opt.failover ? "yes" : "no", (unsigned long long)refused);
	for (i = 0; i < 2; i++) {
		printf("; %s", i ? "ingress" : "view");
		for (k = 0; k <= DISCARD; k++)
			if (count[i][k])
				printf(" %s %llu", kind_name[k],
				       (unsigned long long)count[i][k]);
	}
	putchar('\n');
}

static void parse_args(int argc, char **argv)
{
	static const struct option options[] = {
		{ "view", required_argument, NULL, 'v' },
		{ "ingress", required_argument, NULL, 'i' },
		{ "secondary", required_argument, NULL, 's' },
		{ "name", required_argument, NULL, 'n' },
		{ "chunk", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 'r' },
		{ "ops", required_argument, NULL, 'o' },
		{ "threads", required_argument, NULL, 't' },
		{ "qd", required_argument, NULL, 'q' },
		{ "checkpoint-every", required_argument, NULL, 'e' },
		{ "live-checkpoints", no_argument, NULL, 'l' },
		{ "discard", no_argument, NULL, 'd' },
		{ "no-zeroout", no_argument, NULL, 'z' },
		{ "no-failover", no_argument, NULL, 'F' },
		{ "failover-timeout", required_argument, NULL, 'T' },
		{ "no-fill", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'v': opt.view = optarg; break;
		case 'i': opt.ingress = optarg; break;
		case 's': opt.secondary = optarg; break;
		case 'n': opt.name = optarg; break;
		case 'c': opt.chunk = parse_chunk(optarg); break;
		case 'r': opt.seed = parse_number("--seed", optarg); break;
		case 'o': opt.ops = parse_number("--ops", optarg); break;
		case 't': opt.threads = parse_number("--threads", optarg); break;
		case 'q': opt.qd = parse_number("--qd", optarg); break;
		case 'e': opt.every = parse_number("--checkpoint-every", optarg); break;
		case 'l': opt.live = true; break;
		case 'd': opt.discard = true; break;
		case 'z': opt.zeroout = false; break;
		case 'F': opt.failover = false; break;
		case 'T': opt.failover_timeout = parse_number("--failover-timeout", optarg); break;
		case 'k': opt.fill = false; break;
		case 'h': fputs(usage_text, stdout); exit(EXIT_OK);
		default: fputs(usage_text, stderr); exit(EXIT_TROUBLE);
		}
	}
	if (!opt.view || !opt.ingress || !opt.name || optind != argc ||
	    opt.threads < 2 || opt.threads > 256 || !opt.ops || !opt.qd ||
	    opt.qd > MAX_QD) {
		fputs(usage_text, stderr);
		exit(EXIT_TROUBLE);
	}
	if (!opt.every)
		opt.every = opt.ops / 10 ? opt.ops / 10 : 1;
}

int main(int argc, char **argv)
{
	prog = "stomp";
	opt.seed = now_ns();
	parse_args(argc, argv);
	stamp_salt = mix64(opt.seed);
	printf("stomp: seed %llu\n", (unsigned long long)opt.seed);
	fflush(stdout);
	dev_open(&view, opt.view, O_RDWR | O_DIRECT);
	dev_open(&ingress, opt.ingress, O_RDWR | O_DIRECT);
	dev_open(&buffered, opt.view, O_RDONLY);
	sectors = view.sectors;
	if (ingress.sectors < sectors)
		trouble("%s: shorter than the view", ingress.path);
	if (sectors < 4 * opt.threads)
		trouble("%s: too small for %u threads", view.path, opt.threads);
	view_model = xcalloc(sectors, sizeof(*view_model));
	ingress_model = xcalloc(sectors, sizeof(*ingress_model));
	if (opt.fill) {
		fill();
	} else {
		adopt(&view, view_model);
		adopt(&ingress, ingress_model);
	}
	make_workers();
	run_phases();
	final_compare();
	totals();
	return EXIT_OK;
}
