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
 * that its requests' times allow, there must be one instant that explains all
 * sectors together, and what a read saw after it must not change by itself.
 *
 * Races show where I/O takes time, and different ones on different devices.  Run
 * it on devices without any delay, on a secondary that is slow to read (copies
 * and fills that run into each other), on an active and a secondary that are
 * slow to write (8 ms by dm-delay: writes in flight while a checkpoint or the
 * merge comes), and on devices that discard, which RAM disks do not: null_blk,
 * memory-backed.
 *
 * With --primary it is about the legs of a primary: the ingress is the primary, where
 * all threads write, the view its replica, which nobody else touches.  A checkpoint is
 * repeated until the two are in sync, and then the replica holds all that was written,
 * however often it has failed meanwhile.
 *
 * What a thread does depends on the seed alone; how the threads fall together
 * in time does not.  How long the phase of the failover lasts depends on the
 * merge: it runs the same sequence on until the merge is done.
 */
#include "stomp-live.h"
#include "stomp-ops.h"

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
"  --qd N                 requests in flight per thread, default 8, up to 16\n"
"  --checkpoint-every N   operations between checkpoints, default ops / 10\n"
"  --live-checkpoints     every other checkpoint while the threads write\n"
"  --discard              discard, too\n"
"  --no-zeroout           do not zero by BLKZEROOUT\n"
"  --no-failover          end in stage running\n"
"  --failover-timeout S   for the merge, default 600\n"
"  --no-fill              keep what is there instead of filling it at first\n"
"  --primary              DEV of --ingress is a primary, that of --view its replica\n"
"  --sync-timeout S       for the two to be in sync, default 120\n"
"exit status: 0 all is well, 1 wrong data, 2 usage or I/O trouble\n";

/* ---------------------------------------------------------------- threads */

static void one_batch(struct worker *w, u64 left)
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
	u64 end = w->next_op - w->have_spare + phase_ops;

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

static void compare(struct dev *d, u64 *model, u64 from, size_t n,
		    bool is_view, const char *when)
{
	static void *buf;
	u64 tag;
	size_t good;
	int err;

	if (!buf)
		buf = xbuffer(MAX_IO << SECTOR_SHIFT);
	err = dev_read(d, from, buf, n);
	if (err)
		trouble("%s: read of %zu sectors at offset %llu failed, %s: %s",
			d->path, n, from << SECTOR_SHIFT, when, strerror(-err));
	good = model_check(model, from, n, buf);
	if (good < n)
		wrong(d, model, from + good, n - good,
		      (char *)buf + good * SECTOR_SIZE, when);
	good = is_view ? find_leak(buf, from, n, epoch, &tag) : n;
	if (good < n)
		leaked(d, from + good, tag, when);
}

static void compare_all(struct dev *d, u64 *model, bool is_view,
			const char *when)
{
	u64 s;

	for (s = 0; s < sectors; s += MAX_IO)
		compare(d, model, s, sectors - s < MAX_IO ? sectors - s : MAX_IO,
			is_view, when);
	total.compares++;
}

/* Some ranges through the page cache, by a descriptor that stays open. */
static void compare_buffered(struct rng r, const char *when)
{
	unsigned int i;

	if (opt.primary)	/* what changes below a page cache does not show there */
		return;
	for (i = 0; i < BUFFERED_RANGES; i++) {
		size_t n = rnd_log(&r, sectors < BUFFERED_IO ? sectors : BUFFERED_IO);

		compare(&buffered, view_model, rnd_below(&r, sectors - n + 1), n,
			true, when);
	}
}

static void checkpoint_primary(void)
{
	u64 end = now_ns() + opt.sync_timeout * 1000000000;
	int err;

	while ((err = dm_try_message(opt.name, "checkpoint"))) {
		/* Or somebody else's message is being served. */
		if (err != -ENODATA && err != -EBUSY)
			trouble("%s: the message checkpoint: %s", opt.name, strerror(-err));
		if (now_ns() > end)
			trouble("%s: not in sync for %llu s", opt.name, opt.sync_timeout);
		sleep_us(300000);
	}
}

static void checkpoint(void)
{
	if (opt.primary)
		checkpoint_primary();
	else
		dm_checkpoint(opt.name);
	epoch++;
}

/* Where a discard left the secondary open, see what it holds. */
static void settle_ingress(void)
{
	u64 s, n;

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
	if (!opt.primary && rnd_one_in(r, 3))
		compare_all(&view, view_model, true, "before a checkpoint");
	compare_buffered(ranges, "buffered, before a checkpoint");
	checkpoint();
	total.checkpoints++;
	memcpy(view_model, ingress_model, sectors * sizeof(*view_model));
	compare_buffered(ranges, "buffered, after a checkpoint");
	if (opt.primary || rnd_one_in(r, 3))
		compare_all(&view, view_model, true, "after a checkpoint");
	if (rnd_one_in(r, 4))
		compare_all(&ingress, ingress_model, false, "after a checkpoint");
}

/* -------------------------------------------------------- live checkpoints */

static void run_live_phase(struct rng *r)
{
	u64 *before = xcalloc(sectors, sizeof(*before));
	u64 share = phase_ops * (opt.threads - nr_ingress);
	unsigned int after = atomic_load(&view_progress) + rnd_below(r, share * 3 / 4 + 1);
	u64 from_ns, to_ns;
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
	atomic_store(&live_done, true);
	pthread_barrier_wait(&phase_end);
	atomic_store(&live_done, false);
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
	u64 end = now_ns() + opt.failover_timeout * 1000000000;
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
				opt.name, st.stage, opt.failover_timeout,
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
	u64 share = phase_ops * (opt.threads - nr_ingress);
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
	       phase, pause ? "paused" : "writing");
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
	u64 tag = tag_make(FACE_FILL, 0, 0, 0), s, n;
	void *buf = xbuffer(MAX_IO << SECTOR_SHIFT);
	int err;

	for (s = 0; s < sectors; s += n) {
		n = sectors - s < MAX_IO ? sectors - s : MAX_IO;
		stamp_fill(buf, s, n, tag);
		err = dev_write(&ingress, s, buf, n);
		if (err)
			trouble("%s: write at offset %llu failed: %s",
				ingress.path, s << SECTOR_SHIFT,
				strerror(-err));
	}
	free(buf);
	model_set(ingress_model, 0, sectors, tag);
	model_set(view_model, 0, sectors, tag);
	checkpoint();
	compare_all(&view, view_model, true, "after the first fill");
}

/* Take the present content of a face as what it should be. */
static void adopt(struct dev *d, u64 *model)
{
	char *buf = xbuffer(MAX_IO << SECTOR_SHIFT);
	u64 s, i, n;

	for (s = 0; s < sectors; s += n) {
		n = sectors - s < MAX_IO ? sectors - s : MAX_IO;
		if (dev_read(d, s, buf, n))
			trouble("%s: read at offset %llu failed", d->path,
				s << SECTOR_SHIFT);
		for (i = 0; i < n; i++)
			model[s + i] = tag_of(buf + i * SECTOR_SIZE, s + i);
	}
	free(buf);
}

static void make_workers(void)
{
	unsigned int i, j;

	nr_ingress = opt.primary ? opt.threads : opt.threads / 2;
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
	if (nr_ingress < opt.threads)
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
	u64 phases = opt.ops / opt.every < 3 ? 3 : opt.ops / opt.every;
	struct rng r = { mix64(opt.seed + 3) };
	u64 fail_at = phases - 1 - rnd_below(&r, (phases + 2) / 3);

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
		printf("stomp: phase %llu of %llu\n", phase + 1,
		       phases);
		fflush(stdout);
	}
	over = true;
	pthread_barrier_wait(&phase_start);
}

static void final_compare(void)
{
	struct dev raw;

	if (opt.primary) {
		struct rng r = { mix64(opt.seed + 4) };

		paused_checkpoint(&r);
	}
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
	u64 count[2][DISCARD + 1] = { 0 }, mib = 0, refused = 0;
	unsigned int i, k;

	for (i = 0; i < opt.threads; i++) {
		for (k = 0; k <= DISCARD; k++)
			count[workers[i].face == FACE_INGRESS][k] += workers[i].count[k];
		mib += workers[i].sectors;
		refused += workers[i].refused;
	}
	printf("stomp: ok seed %llu mib %llu checkpoints %llu live %llu compares %llu failover %s refused %llu",
	       opt.seed, mib / MIB_SECTORS, total.checkpoints, total.live,
	       total.compares, opt.failover ? "yes" : "no", refused);
	for (i = 0; i < 2; i++) {
		printf("; %s", i ? "ingress" : "view");
		for (k = 0; k <= DISCARD; k++)
			if (count[i][k])
				printf(" %s %llu", kind_name[k],
				       count[i][k]);
	}
	putchar('\n');
}

static bool parse(int argc, char **argv)
{
	static const struct arg args[] = {
		{ "view", .string = &opt.view },
		{ "ingress", .string = &opt.ingress },
		{ "secondary", .string = &opt.secondary },
		{ "name", .string = &opt.name },
		{ "chunk", .number = &opt.chunk },
		{ "seed", .number = &opt.seed },
		{ "ops", .number = &opt.ops },
		{ "threads", .number = &opt.threads },
		{ "qd", .number = &opt.qd },
		{ "checkpoint-every", .number = &opt.every },
		{ "live-checkpoints", .flag = &opt.live, .value = true },
		{ "discard", .flag = &opt.discard, .value = true },
		{ "no-zeroout", .flag = &opt.zeroout, .value = false },
		{ "no-failover", .flag = &opt.failover, .value = false },
		{ "failover-timeout", .number = &opt.failover_timeout },
		{ "no-fill", .flag = &opt.fill, .value = false },
		{ "primary", .flag = &opt.primary, .value = true },
		{ "sync-timeout", .number = &opt.sync_timeout },
		{ NULL },
	};

	opt.seed = now_ns();
	if (!parse_args(argc, argv, args, usage_text) || !opt.view ||
	    !opt.ingress || !opt.name || opt.threads < 2 ||
	    opt.threads > 256 || !opt.ops || !opt.qd || opt.qd > MAX_QD)
		return false;
	if (!opt.every)
		opt.every = opt.ops / 10 ? opt.ops / 10 : 1;
	if (opt.primary) {
		opt.failover = false;
		opt.live = false;
	}
	return true;
}

int main(int argc, char **argv)
{
	prog = "stomp";
	if (!parse(argc, argv)) {
		fputs(usage_text, stderr);
		return EXIT_TROUBLE;
	}
	check_chunk(opt.chunk);
	stamp_salt = mix64(opt.seed);
	printf("stomp: seed %llu\n", opt.seed);
	fflush(stdout);
	dev_open(&view, opt.view, (opt.primary ? O_RDONLY : O_RDWR) | O_DIRECT);
	dev_open(&ingress, opt.ingress, O_RDWR | O_DIRECT);
	dev_open(&buffered, opt.view, O_RDONLY);
	sectors = view.sectors;
	if (ingress.sectors < sectors)
		trouble("%s: shorter than the view", ingress.path);
	if (sectors < 4 * opt.threads)
		trouble("%s: too small for %llu threads", view.path, opt.threads);
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
