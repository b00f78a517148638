// SPDX-License-Identifier: GPL-2.0-only
/*
 * racer: can a reader of the view be overtaken by an ingress write?
 *
 * Tests rule 1 of the design: a view read that was sent to the secondary must
 * finish before an ingress write replaces those sectors; and the same of the
 * read with which a partial view write fills the rest of its chunk.
 *
 * The secondary must delay reads by --delay-ms D and nothing else, which is
 * dm-delay with its separate write leg (active and hidden without any delay):
 *
 *	dmsetup create slow --table "0 SIZE delay DISK 0 D DISK 0 0"
 *
 * Why that catches a target that does not wait, nearly every time:
 *
 *	0		an ingress write touches a chunk for the first time in this
 *			epoch; the target reads the old content: that takes D
 *	u in (0, D)	a view read; the chunk is in neither store yet, so it goes
 *			to the secondary, which will execute it at u + D
 *	D		the copy is read, is written to hidden, and without the
 *			wait the new data is on the secondary at once
 *	u + D		the view's read is executed, on the new data
 *
 * A delay of everything alike, or reads before the write, would not do: then
 * the reader's read is executed before the copy's.  Some cells get a second
 * ingress write to other sectors of the same chunks when the copy is just about
 * complete: it finds the chunk saved, and must wait for the readers all the
 * same.  Some get a partial view write within (0, D).
 *
 * In each epoch every chunk is touched once, in random order and by many pairs
 * of threads in parallel: a pair takes some cells (a cell is a few chunks), its
 * writer submits all their writes, its reader submits the reads at random
 * moments after.  Every byte read must be of the checkpoint's generation.  Then
 * comes a checkpoint, and the next generation.
 */
#include "common.h"
#include "aio.h"
#include "stamp.h"

#define READS		4		/* per cell */
#define READ_IO		128u
#define FILL_IO		MIB_SECTORS
#define MAX_CELLS	64

static const char usage_text[] =
"usage: racer --view DEV --ingress DEV --name VIEWNAME [options]\n"
"  --view DEV        the view, whose secondary is slow to read\n"
"  --ingress DEV     the ingress\n"
"  --name VIEWNAME   the view's device-mapper name, for messages\n"
"  --chunk SECTORS   chunk size, default 8\n"
"  --seconds N       default 30\n"
"  --threads N       half writers, half readers, default 8\n"
"  --cells N         raced at a time by each pair of threads, default 8\n"
"  --delay-ms D      the delay of the secondary's reads, default 20\n"
"  --seed N          default: from the clock\n"
"The secondary is to be: dmsetup create slow --table \"0 SIZE delay DISK 0 D DISK 0 0\"\n"
"exit status: 0 all is well, 1 wrong data, 2 usage or I/O trouble\n";

struct io {
	u64 sector;
	size_t n;
	bool write;
	u64 after_ns;		/* since the start of the round */
	u64 start_ns, end_ns;
	int err;
	struct cell *cell;
	void *buf;
	struct iocb cb;
};

struct cell {
	u64 start;
	size_t len;
	struct io write[2];		/* of the ingress */
	unsigned int writes;
	struct io view_write;
	bool has_view_write;
	struct io read[READS];
	void *data;
};

struct pair {
	pthread_t writer, reader;
	unsigned int id;
	struct rng rng;
	pthread_barrier_t barrier;
	aio_context_t writer_aio, reader_aio;
	struct cell cells[MAX_CELLS];
	unsigned int nr_cells;
	u64 op, start_ns;
	bool more;
	u64 rounds, reads, overlaps, second_writes, view_writes, read_ns;
	void *check_buf;
};

static struct {
	const char *view, *ingress, *name;
	u64 chunk, threads, cells, seconds, delay_ms, seed;
} opt = {
	.chunk = 8, .threads = 8, .cells = 8, .seconds = 30, .delay_ms = 20,
};

static struct dev view, ingress;
static u64 sectors;
static u64 *view_model, *ingress_model;
static struct pair *pairs;
static u64 nr_pairs, delay_ns;
static unsigned int epoch;
static u64 deadline_ns;

/* The epoch's cells in the order in which they are raced. */
static struct {
	u64 start, len;
} *deck;
static u64 deck_size;
static size_t max_cell;
static atomic_ulong deck_next;
static pthread_barrier_t epoch_start, epoch_end;
static bool over;

/* --------------------------------------------------------------- failures */

static void print_io(const char *what, const struct io *io, const struct pair *p)
{
	fprintf(stderr, "    %s: sectors %llu to %llu, from %lld to %lld us\n", what,
		io->sector, io->sector + io->n - 1,
		((long long)io->start_ns - (long long)p->start_ns) / 1000,
		io->end_ns ? ((long long)io->end_ns - (long long)p->start_ns) / 1000 : -1);
}

static __noreturn void wrong(const struct pair *p, const struct cell *c,
			     const struct io *io, u64 sector, const void *buf,
			     const char *when)
{
	unsigned int i;

	pthread_mutex_lock(&report_lock);
	fprintf(stderr, "racer: wrong data in %s: %s, after %u checkpoints, seed %llu\n",
		view.path, when, epoch, opt.seed);
	report_sector(&view, sector, opt.chunk, view_model[sector], buf);
	if (p) {
		if (io)
			print_io("this view read", io, p);
		for (i = 0; i < c->writes; i++)
			print_io("ingress write", &c->write[i], p);
		if (c->has_view_write)
			print_io("view write", &c->view_write, p);
		fprintf(stderr, "  in round %llu of pair %u, after %llu good reads\n",
			p->rounds, p->id, p->reads);
	}
	quit(EXIT_MISMATCH, "FAILED");
}

static __noreturn void failed(const char *dev, bool write, u64 sector, size_t n, int err)
{
	trouble("%s: %s of %zu sectors at offset %llu (chunk %llu) failed: %s; after %u checkpoints, seed %llu",
		dev, write ? "write" : "read", n, sector << SECTOR_SHIFT,
		sector / opt.chunk, strerror(-err), epoch, opt.seed);
}

/* ------------------------------------------------------------------ cells */

/* Cut the device into cells of one to sixteen chunks and shuffle them. */
static void shuffle_deck(struct rng *r)
{
	u64 pos = 0, len, i, j;

	for (deck_size = 0; pos < sectors; pos += len, deck_size++) {
		len = opt.chunk * rnd_log(r, max_cell / opt.chunk);
		if (len > sectors - pos)
			len = sectors - pos;
		deck[deck_size].start = pos;
		deck[deck_size].len = len;
	}
	for (i = deck_size - 1; i > 0; i--) {
		typeof(deck[0]) tmp = deck[i];

		j = rnd_below(r, i + 1);
		deck[i] = deck[j];
		deck[j] = tmp;
	}
	atomic_store(&deck_next, 0);
}

static void set_io(struct cell *c, struct io *io, u64 sector, size_t n,
		   void *buf, u64 after_ns)
{
	memset(io, 0, sizeof(*io));
	io->cell = c;
	io->sector = sector;
	io->n = n;
	io->buf = buf;
	io->after_ns = after_ns;
}

static void set_write(struct pair *p, struct cell *c, u64 sector, size_t n,
		      u64 after_ns)
{
	struct io *io = &c->write[c->writes++];
	u64 tag = tag_make(FACE_INGRESS, epoch, p->id, p->op++);

	set_io(c, io, sector, n,
	       (char *)c->data + ((sector - c->start) << SECTOR_SHIFT), after_ns);
	io->write = true;
	stamp_fill(io->buf, sector, n, tag);
	model_set(ingress_model, sector, n, tag);
}

/* One write to all of the cell or part of it; or two, which meet anywhere. */
static void plan_writes(struct pair *p, struct cell *c)
{
	struct rng *r = &p->rng;
	u64 from = c->start, end = c->start + c->len, mid;

	c->writes = 0;
	if (rnd_one_in(r, 2)) {
		from += rnd_below(r, c->len);
		end -= rnd_below(r, end - from);
	}
	if (end - from < 2 || rnd_one_in(r, 2)) {
		set_write(p, c, from, end - from, 0);
		return;
	}
	mid = from + 1 + rnd_below(r, end - from - 1);
	set_write(p, c, from, mid - from, 0);
	set_write(p, c, mid, end - mid,
		  delay_ns / 2 + rnd_below(r, 3 * delay_ns / 2));
	p->second_writes++;
}

static void plan_reads(struct pair *p, struct cell *c)
{
	size_t most = c->len < READ_IO ? c->len : READ_IO;
	struct rng *r = &p->rng;
	struct io *io = &c->view_write;
	unsigned int i;

	for (i = 0; i < READS; i++) {
		size_t n = rnd_one_in(r, 3) ? most : rnd_log(r, most);

		set_io(c, &c->read[i], c->start + rnd_below(r, c->len - n + 1), n,
		       c->read[i].buf,
		       rnd_below(r, i ? delay_ns : 2 * delay_ns));
	}
	c->has_view_write = rnd_one_in(r, 4);
	if (c->has_view_write) {
		size_t n = rnd_log(r, most < 12 ? most : 12);

		set_io(c, io, c->start + rnd_below(r, c->len - n + 1), n, io->buf,
		       rnd_below(r, delay_ns));
		io->write = true;
		stamp_fill(io->buf, io->sector, n,
			   tag_make(FACE_VIEW, epoch, p->id, p->op++));
		p->view_writes++;
	}
}

/* False when the epoch has no more cells, or the time is over. */
static bool plan_round(struct pair *p)
{
	p->nr_cells = 0;
	while (p->nr_cells < opt.cells) {
		u64 i = atomic_fetch_add(&deck_next, 1);
		struct cell *c = &p->cells[p->nr_cells];

		if (i >= deck_size || now_ns() > deadline_ns)
			break;
		c->start = deck[i].start;
		c->len = deck[i].len;
		plan_writes(p, c);
		plan_reads(p, c);
		p->nr_cells++;
	}
	return p->nr_cells;
}

/* -------------------------------------------------------------- one round */

static int by_time(const void *a, const void *b)
{
	const struct io *const *x = a, *const *y = b;

	return ((*x)->after_ns > (*y)->after_ns) -
	       ((*x)->after_ns < (*y)->after_ns);
}

static unsigned int reap(aio_context_t aio, struct dev *d, u64 wait_ns)
{
	struct io_event ev[32];
	long n = aio_reap(aio, wait_ns ? 1 : 0, 32, ev, wait_ns), i;

	for (i = 0; i < n; i++) {
		struct io *io = (void *)(uintptr_t)ev[i].data;

		io->end_ns = now_ns();
		if (ev[i].res < 0)
			failed(d->path, io->write, io->sector, io->n, ev[i].res);
		if ((u64)ev[i].res != io->cb.aio_nbytes)
			failed(d->path, io->write, io->sector, io->n, -EIO);
	}
	return n;
}

/* Submit each at its time, and wait for all. */
static void play(struct pair *p, aio_context_t aio, struct dev *d,
		 struct io **list, unsigned int n)
{
	unsigned int done = 0, i = 0;

	qsort(list, n, sizeof(*list), by_time);
	while (done < n) {
		u64 now = now_ns(), at;
		int err;

		if (i == n) {
			done += reap(aio, d, 1000000000);
			continue;
		}
		at = p->start_ns + list[i]->after_ns;
		if (now < at) {
			if (i > done)
				done += reap(aio, d, at - now);
			else
				sleep_us((at - now) / 1000 + 1);
			continue;
		}
		aio_prepare(&list[i]->cb,
			    list[i]->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
			    d->fd, list[i]->buf, list[i]->sector, list[i]->n,
			    list[i]);
		list[i]->start_ns = now_ns();
		err = aio_submit(aio, &list[i]->cb);
		if (err)
			failed(d->path, list[i]->write, list[i]->sector,
			       list[i]->n, err);
		i++;
	}
}

static void play_writes(struct pair *p)
{
	struct io *list[2 * MAX_CELLS];
	unsigned int n = 0, i, j;

	for (i = 0; i < p->nr_cells; i++)
		for (j = 0; j < p->cells[i].writes; j++)
			list[n++] = &p->cells[i].write[j];
	play(p, p->writer_aio, &ingress, list, n);
}

static void play_reads(struct pair *p)
{
	struct io *list[(READS + 1) * MAX_CELLS];
	unsigned int n = 0, i, j;

	for (i = 0; i < p->nr_cells; i++) {
		for (j = 0; j < READS; j++)
			list[n++] = &p->cells[i].read[j];
		if (p->cells[i].has_view_write)
			list[n++] = &p->cells[i].view_write;
	}
	play(p, p->reader_aio, &view, list, n);
}

static bool in_view_write(const struct cell *c, u64 sector)
{
	return c->has_view_write && sector >= c->view_write.sector &&
	       sector < c->view_write.sector + c->view_write.n;
}

static void check_read(struct pair *p, struct cell *c, struct io *io)
{
	const char *buf = io->buf;
	u64 tag;
	size_t i;

	for (i = 0; i < io->n; i++, buf += SECTOR_SIZE) {
		u64 s = io->sector + i;

		if (in_view_write(c, s)) {
			if (!find_leak(buf, s, 1, epoch, &tag))
				wrong(p, c, io, s, buf,
				      "a read beside a view write and an ingress write");
		} else if (!sector_is(buf, s, view_model[s])) {
			wrong(p, c, io, s, buf, "a read beside an ingress write");
		}
	}
	p->reads++;
	p->read_ns += io->end_ns - io->start_ns;
	for (i = 0; i < c->writes; i++)
		if (io->start_ns < c->write[i].end_ns &&
		    io->end_ns > c->write[i].start_ns) {
			p->overlaps++;
			break;
		}
}

/* The race is over.  Now the cell comes from the stores. */
static void check_cell(struct pair *p, struct cell *c)
{
	struct io *vw = &c->view_write;
	size_t good;
	int err;

	if (c->has_view_write)
		model_set(view_model, vw->sector, vw->n,
			  *(const u64 *)vw->buf);
	err = dev_read(&view, c->start, p->check_buf, c->len);
	if (err)
		failed(view.path, false, c->start, c->len, err);
	good = model_check(view_model, c->start, c->len, p->check_buf);
	if (good < c->len)
		wrong(p, c, NULL, c->start + good,
		      (char *)p->check_buf + good * SECTOR_SIZE,
		      "a read after ingress writes, and view writes if any, were complete");
}

static void check_round(struct pair *p)
{
	unsigned int i, j;

	for (i = 0; i < p->nr_cells; i++)
		for (j = 0; j < READS; j++)
			check_read(p, &p->cells[i], &p->cells[i].read[j]);
	for (i = 0; i < p->nr_cells; i++)
		check_cell(p, &p->cells[i]);
	p->rounds++;
}

/* ---------------------------------------------------------------- threads */

static void *writer(void *arg)
{
	struct pair *p = arg;

	for (;;) {
		pthread_barrier_wait(&epoch_start);
		if (over)
			return NULL;
		do {
			p->more = plan_round(p);
			p->start_ns = now_ns();
			pthread_barrier_wait(&p->barrier);
			if (!p->more)
				break;
			play_writes(p);
			pthread_barrier_wait(&p->barrier);
			/* the reader compares */
			pthread_barrier_wait(&p->barrier);
		} while (1);
		pthread_barrier_wait(&epoch_end);
	}
}

static void *reader(void *arg)
{
	struct pair *p = arg;

	for (;;) {
		pthread_barrier_wait(&epoch_start);
		if (over)
			return NULL;
		do {
			pthread_barrier_wait(&p->barrier);
			if (!p->more)
				break;
			play_reads(p);
			pthread_barrier_wait(&p->barrier);
			check_round(p);
			pthread_barrier_wait(&p->barrier);
		} while (1);
		pthread_barrier_wait(&epoch_end);
	}
}

static void make_cell_buffers(struct cell *c)
{
	unsigned int i;

	c->data = xbuffer(max_cell << SECTOR_SHIFT);
	for (i = 0; i < READS; i++)
		c->read[i].buf = xbuffer(READ_IO << SECTOR_SHIFT);
	c->view_write.buf = xbuffer(READ_IO << SECTOR_SHIFT);
}

static void make_pairs(void)
{
	unsigned int i, j;

	pairs = xcalloc(nr_pairs, sizeof(*pairs));
	pthread_barrier_init(&epoch_start, NULL, 2 * nr_pairs + 1);
	pthread_barrier_init(&epoch_end, NULL, 2 * nr_pairs + 1);
	for (i = 0; i < nr_pairs; i++) {
		struct pair *p = &pairs[i];

		p->id = i;
		p->rng.state = mix64(opt.seed ^ mix64(i + 1));
		p->check_buf = xbuffer(max_cell << SECTOR_SHIFT);
		pthread_barrier_init(&p->barrier, NULL, 2);
		aio_init(&p->writer_aio, 2 * MAX_CELLS);
		aio_init(&p->reader_aio, (READS + 1) * MAX_CELLS);
		for (j = 0; j < opt.cells; j++)
			make_cell_buffers(&p->cells[j]);
		if (pthread_create(&p->writer, NULL, writer, p) ||
		    pthread_create(&p->reader, NULL, reader, p))
			trouble("cannot start a thread");
	}
}

/* ----------------------------------------------------------------- epochs */

static void checkpoint(void)
{
	dm_checkpoint(opt.name);
	epoch++;
	memcpy(view_model, ingress_model, sectors * sizeof(*view_model));
}

static void fill(void)
{
	u64 tag = tag_make(FACE_INGRESS, 0, 0xff, 0), s, n;
	void *buf = xbuffer(FILL_IO << SECTOR_SHIFT);
	int err;

	for (s = 0; s < sectors; s += n) {
		n = sectors - s < FILL_IO ? sectors - s : FILL_IO;
		stamp_fill(buf, s, n, tag);
		err = dev_write(&ingress, s, buf, n);
		if (err)
			failed(ingress.path, true, s, n, err);
	}
	free(buf);
	model_set(ingress_model, 0, sectors, tag);
	checkpoint();
}

/* After a checkpoint: some of the view, which must be the new generation. */
static void compare_some(struct rng *r, unsigned int times)
{
	char *buf = xbuffer(FILL_IO << SECTOR_SHIFT);
	size_t n = sectors < FILL_IO ? sectors : FILL_IO, good;
	int err;

	while (times--) {
		u64 s = rnd_below(r, sectors - n + 1);

		err = dev_read(&view, s, buf, n);
		if (err)
			failed(view.path, false, s, n, err);
		good = model_check(view_model, s, n, buf);
		if (good < n)
			wrong(NULL, NULL, NULL, s + good,
			      buf + good * SECTOR_SIZE, "after a checkpoint");
	}
	free(buf);
}

static void totals(void)
{
	u64 rounds = 0, reads = 0, overlaps = 0, second = 0, vw = 0, ns = 0;
	unsigned int i;

	for (i = 0; i < nr_pairs; i++) {
		rounds += pairs[i].rounds;
		reads += pairs[i].reads;
		overlaps += pairs[i].overlaps;
		second += pairs[i].second_writes;
		vw += pairs[i].view_writes;
		ns += pairs[i].read_ns;
	}
	printf("racer: ok seed %llu epochs %u rounds %llu reads %llu overlaps %llu second_writes %llu view_writes %llu mean_read_us %llu\n",
	       opt.seed, epoch, rounds, reads, overlaps, second, vw,
	       reads ? ns / reads / 1000 : 0);
	if (reads && ns / reads < delay_ns / 2)
		printf("racer: warning: the mean read took less than half of --delay-ms: is the secondary slow to read?\n");
}

static void run(void)
{
	struct rng r = { mix64(opt.seed) };

	fill();
	deadline_ns = now_ns() + opt.seconds * 1000000000;
	while (now_ns() < deadline_ns) {
		shuffle_deck(&r);
		pthread_barrier_wait(&epoch_start);
		pthread_barrier_wait(&epoch_end);
		checkpoint();
		compare_some(&r, 8);
	}
	over = true;
	pthread_barrier_wait(&epoch_start);
	totals();
}

static bool parse(int argc, char **argv)
{
	static const struct arg args[] = {
		{ "view", .string = &opt.view },
		{ "ingress", .string = &opt.ingress },
		{ "name", .string = &opt.name },
		{ "chunk", .number = &opt.chunk },
		{ "seconds", .number = &opt.seconds },
		{ "threads", .number = &opt.threads },
		{ "cells", .number = &opt.cells },
		{ "delay-ms", .number = &opt.delay_ms },
		{ "seed", .number = &opt.seed },
		{ NULL },
	};

	opt.seed = now_ns();
	return parse_args(argc, argv, args, usage_text) && opt.view &&
	       opt.ingress && opt.name && opt.threads > 1 &&
	       opt.threads <= 256 && opt.cells && opt.cells <= MAX_CELLS &&
	       opt.seconds && opt.delay_ms;
}

int main(int argc, char **argv)
{
	prog = "racer";
	if (!parse(argc, argv)) {
		fputs(usage_text, stderr);
		return EXIT_TROUBLE;
	}
	check_chunk(opt.chunk);
	nr_pairs = opt.threads / 2;
	delay_ns = opt.delay_ms * 1000000;
	stamp_salt = mix64(opt.seed);
	printf("racer: seed %llu\n", opt.seed);
	fflush(stdout);
	dev_open(&view, opt.view, O_RDWR | O_DIRECT);
	dev_open(&ingress, opt.ingress, O_RDWR | O_DIRECT);
	sectors = view.sectors;
	if (ingress.sectors < sectors)
		trouble("%s: shorter than the view", ingress.path);
	max_cell = 16 * opt.chunk < READ_IO ? 16 * opt.chunk : READ_IO;
	if (max_cell < opt.chunk)
		max_cell = opt.chunk;
	view_model = xcalloc(sectors, sizeof(*view_model));
	ingress_model = xcalloc(sectors, sizeof(*ingress_model));
	deck = xcalloc(sectors / opt.chunk + 1, sizeof(*deck));
	make_pairs();
	run();
	return EXIT_OK;
}
