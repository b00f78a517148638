// SPDX-License-Identifier: GPL-2.0-only
/*
 * hammer: a load for tests that fail over, suspend, resume or reload a device
 * while it is in use.
 *
 * Tests these rules of the design: "concurrent I/O to one chunk never loses a
 * completed write" (4), a view write during a failover "reaches the merged
 * result, never lost" (7, and the table of stages), "presuspend lets every held
 * bio go" (9: an I/O that hangs shows as the longest latency).
 *
 * Each thread has a range of its own, writes 512 bytes to 64 KiB at a time into
 * it, remembers what was acknowledged, and reads back at random.  The ranges
 * meet within chunks.  In the end everything written is read once more.
 *
 * With --allow-eio failed I/O is counted instead of fatal.  The sectors of a
 * failed write hold, each by itself, what they held before or what a failed
 * write since then carried, until a read tells.
 */
#include "common.h"
#include "stamp.h"

#include <signal.h>

#define MAX_IO		128u		/* sectors: 64 KiB */
#define CHECK_IO	MIB_SECTORS

static const char usage_text[] =
"usage: hammer --view DEV --seconds N [options]\n"
"  --view DEV         the device (all of it is overwritten)\n"
"  --seconds N        how long; 0: until a signal or the stop file\n"
"  --threads N        default 4\n"
"  --seed N           default: from the clock\n"
"  --chunk SECTORS    for messages only, default 8\n"
"  --verify           read all before, and compare the untouched sectors too\n"
"  --allow-eio        count failed I/O instead of ending with the first\n"
"  --stop-file FILE   stop as soon as FILE exists\n"
"SIGTERM and SIGINT stop it, too.  Every stop ends with the final compare.\n"
"exit status: 0 all is well, 1 wrong data, 2 usage or I/O trouble\n";

/* Failed writes since the last known content: their first and last number. */
struct doubt {
	u64 first, last;
};

struct worker {
	pthread_t thread;
	unsigned int id;
	struct rng rng;
	struct dev dev;
	u64 start, len;
	u64 op;
	void *buf;
	u64 reads, writes, flushes, failed;
	u64 unread;		/* sectors; in the end: of the final compare */
	u64 longest_ns;
};

static struct dev view;
static u64 *model;
static struct doubt *doubts;
static u64 chunk = 8;
static bool allow_eio, verify_all;
static const char *stop_file;
static atomic_bool stop;

static void on_signal(int sig)
{
	(void)sig;
	atomic_store(&stop, true);
}

static void note_latency(struct worker *w, u64 start)
{
	u64 ns = now_ns() - start;

	if (ns > w->longest_ns)
		w->longest_ns = ns;
}

/* True if the error may be passed over. */
static bool tolerated(struct worker *w, const char *what, u64 sector,
		      size_t n, int err)
{
	if (!err)
		return false;
	if (!allow_eio || err != -EIO)
		trouble("%s: %s of %zu sectors at offset %llu (chunk %llu) failed: %s",
			view.path, what, n, sector << SECTOR_SHIFT,
			sector / chunk, strerror(-err));
	w->failed++;
	return true;
}

/* Can this be one of the failed writes to this sector? */
static bool settles_doubt(const struct worker *w, u64 sector,
			  const void *buf)
{
	struct doubt *d = &doubts[sector];
	u64 tag = sector_tag(buf, sector);

	if (!d->first || tag & TAG_FLAGS || tag_face(tag) != FACE_VIEW ||
	    tag_thread(tag) != w->id || tag_op(tag) < d->first ||
	    tag_op(tag) > d->last)
		return false;
	model[sector] = tag;
	return true;
}

static void check(struct worker *w, u64 sector, size_t n, const void *buf)
{
	const char *p = buf;
	size_t i;

	for (i = 0; i < n; i++, sector++, p += SECTOR_SIZE) {
		if (model[sector] == TAG_FOREIGN)	/* not known yet */
			model[sector] = sector_tag(p, sector);
		if (!sector_is(p, sector, model[sector]) &&
		    !settles_doubt(w, sector, p))
			break;
		doubts[sector].first = 0;
	}
	if (i == n)
		return;
	pthread_mutex_lock(&report_lock);
	fprintf(stderr, "hammer: wrong data, thread %u, after its op %llu\n",
		w->id, w->op);
	report_range(&w->dev, sector, n - i, chunk, model, p);
	if (doubts[sector].first)
		fprintf(stderr, "  or a failed write between op %llu and op %llu\n",
			doubts[sector].first, doubts[sector].last);
	quit(EXIT_MISMATCH, "FAILED");
}

static void do_read(struct worker *w, u64 sector, size_t n)
{
	u64 start = now_ns();
	int err = dev_read(&w->dev, sector, w->buf, n);

	note_latency(w, start);
	if (tolerated(w, "read", sector, n, err)) {
		w->unread += n;
		return;
	}
	w->reads++;
	check(w, sector, n, w->buf);
}

static void do_write(struct worker *w, u64 sector, size_t n)
{
	u64 tag = tag_make(FACE_VIEW, 0, w->id, w->op);
	u64 start, s;
	int err;

	stamp_fill(w->buf, sector, n, tag);
	start = now_ns();
	err = dev_write(&w->dev, sector, w->buf, n);
	note_latency(w, start);
	if (!tolerated(w, "write", sector, n, err)) {
		w->writes++;
		model_set(model, sector, n, tag);
		for (s = sector; s < sector + n; s++)
			doubts[s].first = 0;
		return;
	}
	for (s = sector; s < sector + n; s++) {
		if (!doubts[s].first)
			doubts[s].first = w->op;
		doubts[s].last = w->op;
	}
}

static void do_flush(struct worker *w)
{
	u64 start = now_ns();
	int err = fdatasync(w->dev.fd) ? -errno : 0;

	note_latency(w, start);
	if (!tolerated(w, "flush", 0, 0, err))
		w->flushes++;
}

static void *hammer(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		size_t n = rnd_log(&w->rng, w->len < MAX_IO ? w->len : MAX_IO);
		u64 sector = w->start + rnd_below(&w->rng, w->len - n + 1);
		u64 failed = w->failed;

		w->op++;
		switch (rnd_below(&w->rng, 100)) {
		case 0 ... 1:
			do_flush(w);
			break;
		case 2 ... 39:
			do_read(w, sector, n);
			break;
		default:
			do_write(w, sector, n);
		}
		if (w->failed != failed)
			sleep_us(1000);		/* a failing device fails fast */
	}
	return NULL;
}

/* Read the worker's whole range: at first to learn it, in the end to compare. */
static void *sweep(void *arg)
{
	struct worker *w = arg;
	u64 sector, end = w->start + w->len;

	for (sector = w->start; sector < end; sector += CHECK_IO)
		do_read(w, sector, end - sector < CHECK_IO ? end - sector : CHECK_IO);
	return NULL;
}

static void run_all(struct worker *w, unsigned int n, void *(*fn)(void *))
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (pthread_create(&w[i].thread, NULL, fn, &w[i]))
			trouble("cannot start a thread");
	for (i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
}

/* Borders between the threads are put where a chunk is not aligned. */
static struct worker *make_workers(unsigned int n, u64 seed)
{
	struct worker *w = xcalloc(n, sizeof(*w));
	u64 share = view.sectors / n;
	unsigned int i;

	if (share < 16)
		trouble("%s: too small for %u threads", view.path, n);
	for (i = 0; i < n; i++) {
		w[i].id = i;
		w[i].rng.state = mix64(seed ^ mix64(i));
		w[i].dev = view;
		w[i].buf = xbuffer(CHECK_IO << SECTOR_SHIFT);
		w[i].start = i ? i * share + (i * 3) % 8 : 0;
		if (i)
			w[i - 1].len = w[i].start - w[i - 1].start;
	}
	w[n - 1].len = view.sectors - w[n - 1].start;
	return w;
}

static void *clockwork(void *arg)
{
	u64 seconds = *(u64 *)arg, end = now_ns() + seconds * 1000000000;

	while (!atomic_load(&stop)) {
		if (seconds && now_ns() >= end)
			break;
		if (stop_file && !access(stop_file, F_OK))
			break;
		sleep_us(20000);
	}
	atomic_store(&stop, true);
	return NULL;
}

static void totals(const struct worker *w, unsigned int n, u64 seed,
		   u64 longest_ns)
{
	u64 reads = 0, writes = 0, flushes = 0, failed = 0, unread = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		reads += w[i].reads;
		writes += w[i].writes;
		flushes += w[i].flushes;
		failed += w[i].failed;
		unread += w[i].unread;
	}
	printf("hammer: ok seed %llu reads %llu writes %llu flushes %llu failed %llu unread_sectors %llu longest_ms %llu\n",
	       seed, reads, writes, flushes, failed, unread,
	       longest_ns / 1000000);
}

static void run(unsigned int threads, u64 seconds, u64 seed)
{
	struct worker *w = make_workers(threads, seed);
	u64 i, longest = 0;
	pthread_t timer;

	for (i = 0; i < view.sectors; i++)
		model[i] = TAG_FOREIGN;
	if (verify_all)
		run_all(w, threads, sweep);
	for (i = 0; i < threads; i++)
		w[i].longest_ns = 0;
	printf("hammer: started\n");
	fflush(stdout);
	if (pthread_create(&timer, NULL, clockwork, &seconds))
		trouble("cannot start a thread");
	run_all(w, threads, hammer);
	pthread_join(timer, NULL);
	for (i = 0; i < threads; i++) {
		if (w[i].longest_ns > longest)
			longest = w[i].longest_ns;
		w[i].unread = 0;
	}
	run_all(w, threads, sweep);
	totals(w, threads, seed, longest);
}

int main(int argc, char **argv)
{
	u64 seconds = UINT64_MAX, threads = 4, seed = now_ns();
	const char *path = NULL;
	const struct arg args[] = {
		{ "view", .string = &path },
		{ "seconds", .number = &seconds },
		{ "threads", .number = &threads },
		{ "seed", .number = &seed },
		{ "chunk", .number = &chunk },
		{ "verify", .flag = &verify_all, .value = true },
		{ "allow-eio", .flag = &allow_eio, .value = true },
		{ "stop-file", .string = &stop_file },
		{ NULL },
	};

	prog = "hammer";
	if (!parse_args(argc, argv, args, usage_text) || !path ||
	    seconds == UINT64_MAX || !threads || threads > 256) {
		fputs(usage_text, stderr);
		return EXIT_TROUBLE;
	}
	check_chunk(chunk);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	stamp_salt = mix64(seed);
	printf("hammer: seed %llu\n", seed);
	dev_open(&view, path, O_RDWR | O_DIRECT);
	model = xcalloc(view.sectors, sizeof(*model));
	doubts = xcalloc(view.sectors, sizeof(*doubts));
	run(threads, seconds, seed);
	return EXIT_OK;
}
