// SPDX-License-Identifier: GPL-2.0-only
/*
 * check - power is lost at many points of a log; what comes back is judged.
 *
 * For each point the disks are made on RAM disks as they may be then, the table is
 * made again, and stage, epoch, every sector of the view and of the secondary are
 * compared with what the model allows. Now and then it goes on: a failover to its
 * end, a checkpoint, the table once more.
 */
#include "model.h"
#include "dm.h"
#include <sys/mman.h>
#include <sys/wait.h>

#define MAX_JOBS	8
#define MERGE_SECONDS	60

static const char usage[] =
	"Usage: check --log FILE [options]\n"
	"\n"
	"  --points N    so many, all over the log (1000)\n"
	"  --seed N      what is left to chance\n"
	"  --jobs N      so many at once (2); /dev/ram0 and on, four for each\n"
	"  --skip N      RAM disks to leave out\n"
	"  --only N      this point of those alone\n";

static const char *arg_log;
static u64 arg_points = 1000, arg_seed = 1, arg_jobs = 2, arg_skip, arg_only = NEVER;

/* One loss of power. */
struct point {
	u64 nr, tick;
	enum mode mode;
	struct rng rng;
	unsigned int nr_volatile, world;
	struct dm_status found;
};

/* What the jobs add up. */
static struct totals {
	atomic_ullong points, failovers, checkpoints, again, whole, bad;
} *totals;

static char name[32];
static unsigned int first_ram;
static int view_fd;
static int ram_fd[NR_DISKS];
static u8 *shadow[NR_DISKS];	/* what is on the RAM disks */
static u8 *view, *scratch;	/* all areas */

static __printf(2, 3) void bad(const struct point *pt, const char *fmt, ...)
{
	va_list ap;

	totals->bad++;
	printf("point %llu: tick %llu, %s of %u volatile writes, %s in epoch %llu: ", pt->nr,
	       pt->tick, mode_names[pt->mode], pt->nr_volatile, pt->found.stage,
	       pt->found.epoch);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

/* -------------------------------------------------------------------- disks */

static void ram_open(void)
{
	size_t chunk = 1024;
	u8 *buf = xbuffer(chunk << SECTOR_SHIFT);
	u64 sector, i, n;
	char path[32];
	int d;

	for (d = 0; d < NR_DISKS; d++) {
		snprintf(path, sizeof(path), "/dev/ram%u", first_ram + d);
		ram_fd[d] = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (ram_fd[d] < 0)
			trouble("%s: %s", path, strerror(errno));
		shadow[d] = xcalloc(disk_slots(d), SECTOR_SIZE);
		memcpy(shadow[d], base.content[d], disk_slots(d) * SECTOR_SIZE);
		for (sector = 0; sector < lg.head.sectors; sector += n) {
			n = lg.head.sectors - sector;
			if (n > chunk)
				n = chunk;
			for (i = 0; i < n; i++)
				stamp(buf + i * SECTOR_SIZE, d == METADATA ? ID_ZERO :
				      d == SECONDARY ? ID_FIRST : ID_JUNK + d, sector + i);
			if (pwrite(ram_fd[d], buf, n * SECTOR_SIZE, sector * SECTOR_SIZE) !=
			    (ssize_t)(n * SECTOR_SIZE))
				trouble("%s: cannot write: %s", path, strerror(errno));
		}
	}
	free(buf);
}

/* The RAM disks get the image: what differs is written. */
static void ram_write(enum where d)
{
	u64 n = disk_slots(d), slot, end;
	size_t bytes;

	for (slot = 0; slot < n; slot = end) {
		end = slot + 1;
		if (!memcmp(shadow[d] + slot * SECTOR_SIZE,
			    image.content[d] + slot * SECTOR_SIZE, SECTOR_SIZE))
			continue;
		while (end < n && slot_sector(d, end) == slot_sector(d, slot) + end - slot &&
		       memcmp(shadow[d] + end * SECTOR_SIZE,
			      image.content[d] + end * SECTOR_SIZE, SECTOR_SIZE))
			end++;
		bytes = (end - slot) * SECTOR_SIZE;
		memcpy(scratch, image.content[d] + slot * SECTOR_SIZE, bytes);
		memcpy(shadow[d] + slot * SECTOR_SIZE, scratch, bytes);
		if (pwrite(ram_fd[d], scratch, bytes, slot_sector(d, slot) * SECTOR_SIZE) !=
		    (ssize_t)bytes)
			trouble("a RAM disk cannot be written: %s", strerror(errno));
	}
}

/* The areas, or all of metadata. */
static void ram_read(int fd, enum where d, u8 *to)
{
	u64 n = disk_slots(d), slot, end;
	size_t bytes;

	for (slot = 0; slot < n; slot = end) {
		for (end = slot + 1; end < n && slot_sector(d, end) ==
		     slot_sector(d, slot) + end - slot; end++)
			;
		bytes = (end - slot) * SECTOR_SIZE;
		if (pread(fd, scratch, bytes, slot_sector(d, slot) * SECTOR_SIZE) !=
		    (ssize_t)bytes)
			trouble("cannot read sector %llu: %s", slot_sector(d, slot),
				strerror(errno));
		memcpy(to + slot * SECTOR_SIZE, scratch, bytes);
	}
}

/* After something that wrote to them. */
static void ram_sync(void)
{
	int d;

	for (d = 0; d < NR_DISKS; d++)
		ram_read(ram_fd[d], d, shadow[d]);
}

/* -------------------------------------------------------------------- table */

/* The device stays, and has a table of another kind meanwhile, for that is quicker. */
static void device_create(void)
{
	unsigned int minor = dm_create(name);

	if (dm_load(name, lg.head.sectors, "error", " "))
		trouble("%s: cannot have a table", name);
	dm_resume(name);
	view_fd = dm_open(minor);
}

/* False: it is refused. */
static bool table_create(struct point *pt)
{
	unsigned int ram = first_ram;

	if (dm_load(name, lg.head.sectors, "replication",
		    "secondary /dev/ram%u /dev/ram%u /dev/ram%u /dev/ram%u %llu", ram,
		    ram + ACTIVE, ram + HIDDEN, ram + SECONDARY, lg.head.chunk))
		return false;
	dm_state(name, true, &pt->found);
	dm_resume(name);
	return true;
}

static void table_remove(void)
{
	if (dm_load(name, lg.head.sectors, "error", " "))
		trouble("%s: cannot have another table", name);
	dm_resume(name);
}

/* ----------------------------------------------------------------- judgment */

static void say_sector(const struct point *pt, const char *what, u64 slot, __u32 found,
		       const struct ids *ids)
{
	char text[1024] = "", one[96];
	unsigned int i;

	for (i = 0; i < ids->n && strlen(text) < sizeof(text) - 200; i++) {
		strcat(text, i ? "; " : "");
		strcat(text, id_name(ids->id[i], one, sizeof(one)));
	}
	bad(pt, "%s, sector %llu: found %s; allowed: %s", what, slot_sector(VIEW, slot),
	    id_name(found, one, sizeof(one)), text);
}

/* Says the first that is wrong: more than one seldom says more. */
static bool judge(const struct point *pt, const char *what, const u8 *content,
		  void (*allowed)(struct ids *ids, u64 slot, u64 tick, unsigned int world))
{
	u64 slot, n = area_sectors();
	struct ids ids;
	__u32 id;

	for (slot = 0; slot < n; slot++) {
		id = identify(content + slot * SECTOR_SIZE, slot_sector(VIEW, slot));
		allowed(&ids, slot, pt->tick, pt->world);
		if (!ids_have(&ids, id)) {
			say_sector(pt, what, slot, id, &ids);
			return false;
		}
	}
	return true;
}

static bool same(const struct point *pt, const char *what, const u8 *content,
		 const u8 *expected)
{
	u64 slot, n = area_sectors();
	struct ids ids = { .n = 1 };

	for (slot = 0; slot < n; slot++) {
		if (!memcmp(content + slot * SECTOR_SIZE, expected + slot * SECTOR_SIZE,
			    SECTOR_SIZE))
			continue;
		ids.id[0] = identify(expected + slot * SECTOR_SIZE, slot_sector(VIEW, slot));
		say_sector(pt, what, slot,
			   identify(content + slot * SECTOR_SIZE, slot_sector(VIEW, slot)), &ids);
		return false;
	}
	return true;
}

static bool wait_done(const struct point *pt)
{
	u64 end = now_ns() + MERGE_SECONDS * 1000000000ull;
	struct dm_status st;

	for (;;) {
		dm_state(name, false, &st);
		if (!strcmp(st.stage, "done"))
			return true;
		if (strcmp(st.stage, "failover") || now_ns() > end) {
			bad(pt, "the merge does not end: %s", st.line);
			return false;
		}
		sleep_us(200);
	}
}

/* The merge leaves on the secondary what the view has shown. */
static void judge_merge(struct point *pt)
{
	totals->failovers++;
	if (!wait_done(pt))
		return;
	ram_read(ram_fd[SECONDARY], SECONDARY, shadow[SECONDARY]);
	if (!same(pt, "the secondary after the merge", shadow[SECONDARY], view))
		return;
	ram_read(view_fd, VIEW, view);
	same(pt, "the view after the merge", view, shadow[SECONDARY]);
}

static void judge_checkpoint(struct point *pt)
{
	totals->checkpoints++;
	if (dm_send(name, "checkpoint")) {
		bad(pt, "a checkpoint fails");
		return;
	}
	ram_read(view_fd, VIEW, view);
	same(pt, "the view after a checkpoint", view, image.content[SECONDARY]);
}

/* What nobody has written has to be what it was. */
static void judge_whole(struct point *pt)
{
	u8 *buf = xbuffer(MIB_SECTORS << SECTOR_SHIFT);
	u64 sector, i, n;

	totals->whole++;
	for (sector = 0; sector < lg.head.sectors; sector += n) {
		n = lg.head.sectors - sector;
		if (n > MIB_SECTORS)
			n = MIB_SECTORS;
		if (pread(view_fd, buf, n << SECTOR_SHIFT, sector << SECTOR_SHIFT) !=
		    (ssize_t)(n << SECTOR_SHIFT))
			trouble("cannot read sector %llu: %s", sector, strerror(errno));
		for (i = 0; i < n; i++)
			if (area_slot(sector + i) < 0 &&
			    identify(buf + (i << SECTOR_SHIFT), sector + i) != ID_FIRST) {
				bad(pt, "sector %llu, which nobody wrote, has changed",
				    sector + i);
				sector = lg.head.sectors;
				break;
			}
	}
	free(buf);
}

/* The table is made anew: nothing changes. False: there is none now. */
static bool judge_again(struct point *pt)
{
	u8 *before = xbuffer(area_sectors() << SECTOR_SHIFT);
	struct point again = *pt;
	bool there;

	totals->again++;
	memcpy(before, view, area_sectors() << SECTOR_SHIFT);
	table_remove();
	there = table_create(&again);
	if (!there) {
		bad(pt, "once more, the table is refused");
	} else {
		if (again.found.epoch != pt->found.epoch ||
		    strcmp(again.found.stage, pt->found.stage))
			bad(pt, "once more: %s", again.found.line);
		ram_read(view_fd, VIEW, view);
		same(pt, "the view once more", view, before);
	}
	free(before);
	return there;
}

static void judge_running(struct point *pt)
{
	if (!judge(pt, "the secondary", image.content[SECONDARY], secondary_allowed)) {
		table_remove();
		return;
	}
	if (rnd_one_in(&pt->rng, 64))
		judge_whole(pt);
	if (rnd_one_in(&pt->rng, 16) && !judge_again(pt))
		return;
	if (rnd_one_in(&pt->rng, 6)) {
		if (dm_send(name, "failover"))
			bad(pt, "a failover fails");
		else
			judge_merge(pt);
	} else if (rnd_one_in(&pt->rng, 12)) {
		judge_checkpoint(pt);
	}
	table_remove();
}

static void try(struct point *pt)
{
	int d;

	totals->points++;
	snprintf(pt->found.stage, sizeof(pt->found.stage), "nothing");
	pt->nr_volatile = image_build(pt->tick, pt->mode, &pt->rng);
	for (d = 0; d < NR_DISKS; d++)
		ram_write(d);

	if (!table_create(pt)) {
		bad(pt, "the table is refused; the kernel's log says why");
		return;
	}
	if (!state_allowed(pt->tick, pt->found.stage, pt->found.epoch, &pt->world)) {
		bad(pt, "this stage and epoch are not allowed");
		table_remove();
		ram_sync();
		return;
	}
	ram_read(view_fd, VIEW, view);
	if (!judge(pt, "the view", view, view_allowed)) {
		table_remove();
	} else if (!strcmp(pt->found.stage, "running")) {
		judge_running(pt);
	} else {
		if (!strcmp(pt->found.stage, "failover"))
			judge_merge(pt);
		table_remove();
	}
	ram_sync();
}

/* ------------------------------------------------------------------- points */

/* Behind what promises something, the next one from here on. */
static u64 next_promise(u64 tick)
{
	u64 best = tick + 64;
	__u32 i;

	for (i = 0; i < lg.head.nr_events; i++) {
		const struct event *ev = &lg.event[i];

		if (ev->where >= NR_DISKS && ev->end >= tick && ev->end < best &&
		    (ev->kind > EV_ZERO || ev->flags & EV_FUA))
			best = ev->end;
	}
	return best > lg.head.nr_ticks ? tick : best;
}

/* Soon behind one of what there are few of: a failover, its end, a removal. */
static u64 rare_promise(struct rng *r)
{
	enum kind kind = EV_CREATE + rnd_below(r, NR_KINDS - EV_CREATE);
	u64 tick = rnd_below(r, lg.head.nr_ticks);
	unsigned int n = 0;
	__u32 i;

	for (i = 0; i < lg.head.nr_events; i++)
		if (lg.event[i].kind == kind && rnd_one_in(r, ++n))
			tick = lg.event[i].end + rnd_below(r, 16);
	return tick;
}

static void point_make(struct point *pt, u64 nr)
{
	static const enum mode dice[] = {
		KEEP_ALL, KEEP_NONE, KEEP_NONE, KEEP_PREFIX, KEEP_RANDOM, KEEP_RANDOM,
		KEEP_RANDOM, KEEP_RANDOM, LOSE_DISK, LOSE_DISK, KEEP_DISK, KEEP_DISK
	};

	memset(pt, 0, sizeof(*pt));
	pt->nr = nr;
	pt->rng.state = mix64(arg_seed ^ mix64(nr));
	pt->tick = nr * lg.head.nr_ticks / arg_points;
	/* Then they are not in their order any more; each job sorts its own. */
	if (rnd_one_in(&pt->rng, 2))
		pt->tick = next_promise(pt->tick);
	else if (rnd_one_in(&pt->rng, 4))
		pt->tick = rare_promise(&pt->rng);
	pt->mode = dice[rnd_below(&pt->rng, sizeof(dice) / sizeof(*dice))];
}

static int by_tick(const void *a, const void *b)
{
	const struct point *first = a, *second = b;

	if (first->tick != second->tick)
		return first->tick < second->tick ? -1 : 1;
	return first->nr < second->nr ? -1 : first->nr > second->nr;
}

static void job(unsigned int nr)
{
	struct point *points = xcalloc(arg_points / arg_jobs + 1, sizeof(*points));
	u64 i, n = 0;

	snprintf(name, sizeof(name), "crash%u", nr);
	first_ram = arg_skip + nr * NR_DISKS;
	view = xbuffer(area_sectors() << SECTOR_SHIFT);
	scratch = xbuffer((area_sectors() + lg.head.metadata_sectors) << SECTOR_SHIFT);
	images_init();
	ram_open();
	device_create();
	for (i = nr; i < arg_points; i += arg_jobs)
		if (arg_only == NEVER || arg_only == i)
			point_make(&points[n++], i);
	qsort(points, n, sizeof(*points), by_tick);
	for (i = 0; i < n && totals->bad < 5; i++)
		try(&points[i]);
	close(view_fd);
	dm_remove(name);
	exit(EXIT_OK);
}

static int run_jobs(void)
{
	unsigned int i;
	int status, worst = 0;

	fflush(stdout);
	for (i = 0; i < arg_jobs; i++)
		if (!fork())
			job(i);
	while (wait(&status) > 0)
		if (status)
			worst = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_TROUBLE;
	return worst;
}

int main(int argc, char **argv)
{
	const struct arg args[] = {
		{ "log", .string = &arg_log }, { "points", .number = &arg_points },
		{ "seed", .number = &arg_seed }, { "jobs", .number = &arg_jobs },
		{ "skip", .number = &arg_skip }, { "only", .number = &arg_only }, {}
	};
	int worst;

	prog = "check";
	if (!parse_args(argc, argv, args, usage) || !arg_log || !arg_jobs ||
	    arg_jobs > MAX_JOBS || !arg_points) {
		fputs(usage, stderr);
		return EXIT_TROUBLE;
	}
	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (totals == MAP_FAILED)
		trouble("out of memory");
	log_read(arg_log);
	find_durable();
	model_init();
	worst = run_jobs();
	printf("%llu crash points: %llu merges, %llu checkpoints, %llu once more, %llu whole; %llu bad\n",
	       totals->points, totals->failovers, totals->checkpoints, totals->again,
	       totals->whole, totals->bad);
	if (totals->bad)
		printf("again: check --log %s --seed %llu --points %llu --only POINT\n", arg_log,
		       arg_seed, arg_points);
	return totals->bad ? EXIT_MISMATCH : worst;
}
