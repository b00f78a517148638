/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The log of a run: what record saw and check is to judge.
 *
 * One clock orders everything: the requests that reach the four disks, and what the
 * workload asks of the two faces. Each is an event that begins and ends at a tick. A
 * tick that a disk's request ends at is taken before its reply is sent, one that the
 * workload's ends at, after its call has returned. So "ended before" means what it
 * says for all that could have known of each other.
 *
 * The file: the header, the events in the order of their beginning, the data.
 */
#ifndef TESTS_CRASH_LOG_H
#define TESTS_CRASH_LOG_H

#include "../tools/common.h"

#define LOG_MAGIC	0x676f6c6873617263ull
#define NEVER		(~0ull)
#define MAX_AREAS	8

/* Where: a disk, or a face. */
enum where {
	METADATA,
	ACTIVE,
	HIDDEN,
	SECONDARY,
	NR_DISKS,
	VIEW = NR_DISKS,
	INGRESS,
	NR_WHERE
};

static const char * const where_names[] = {
	"metadata", "active", "hidden", "secondary", "view", "ingress"
};

enum kind {
	EV_WRITE,
	EV_ZERO,		/* of a disk: a discard, which gives zeroes here */
	EV_FLUSH,
	/* Of the view: */
	EV_CREATE,
	EV_REMOVE,
	EV_CHECKPOINT,
	EV_FAILOVER,
	EV_STOP,
	EV_DONE,		/* the stage was seen to be done */
	NR_KINDS
};

static const char * const kind_names[] = {
	"write", "zero", "flush", "create", "remove", "checkpoint", "failover", "stop",
	"done"
};

#define EV_FUA		1

struct event {
	u64 begin, end;		/* ticks; NEVER: it has not ended, or has failed */
	u64 data;		/* of a disk's write, where in the log's data */
	__u32 sector, n;
	__u16 kind, where;
	__u32 flags;
};

struct area {
	__u32 first, end;	/* sectors */
};

struct log_header {
	u64 magic;
	u64 sectors;		/* of the secondary */
	u64 metadata_sectors;
	u64 chunk;
	u64 epoch;		/* the first */
	u64 nr_areas;
	struct area zone[MAX_AREAS];	/* where the workload writes */
	struct area area[MAX_AREAS];	/* the same, rounded to chunks */
	u64 nr_events, nr_data, nr_ticks;
};

struct log {
	struct log_header head;
	struct event *event;
	u8 *data;
	u64 max_events, max_data;
	pthread_mutex_t lock;	/* of all of the above, and the clock */
	u64 clock;
};

static struct log lg = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ----------------------------------------------------------------- content */

/*
 * What a sector can hold: what was there at first, zeroes, what event N wrote, or
 * something that nobody should see, as a disk's own first content.
 */
#define ID_FIRST	0u
#define ID_ZERO		1u
#define ID_EVENT	2u		/* and so on */
#define ID_JUNK		0xfffffff0u	/* and the disk */
#define ID_UNKNOWN	0xffffffffu

#define STAMP_MAGIC	0x3172706572637368ull
#define SECTOR_WORDS	(SECTOR_SIZE / 8)

static inline void stamp(void *buf, __u32 id, __u32 sector)
{
	u64 *word = buf, x = mix64((u64)id << 32 | sector);
	unsigned int i;

	if (id == ID_ZERO) {
		memset(buf, 0, SECTOR_SIZE);
		return;
	}
	word[0] = STAMP_MAGIC;
	word[1] = (u64)id << 32 | sector;
	for (i = 2; i < SECTOR_WORDS; i++, x += 0x9e3779b97f4a7c15ull)
		word[i] = x;
}

static inline __u32 identify(const void *buf, __u32 sector)
{
	const u64 *word = buf;
	u64 x = mix64(word[1]);
	unsigned int i;

	if (word[0] == STAMP_MAGIC && (__u32)word[1] == sector) {
		for (i = 2; i < SECTOR_WORDS; i++, x += 0x9e3779b97f4a7c15ull)
			if (word[i] != x)
				return ID_UNKNOWN;
		return word[1] >> 32;
	}
	for (i = 0; i < SECTOR_WORDS; i++)
		if (word[i])
			return ID_UNKNOWN;
	return ID_ZERO;
}

static inline const char *id_name(__u32 id, char *buf, size_t len)
{
	const struct event *ev;

	if (id == ID_FIRST) {
		snprintf(buf, len, "first content");
	} else if (id == ID_ZERO) {
		snprintf(buf, len, "zeroes");
	} else if (id >= ID_JUNK && id < ID_JUNK + NR_DISKS) {
		snprintf(buf, len, "junk of %s", where_names[id - ID_JUNK]);
	} else if (id - ID_EVENT >= lg.head.nr_events) {
		snprintf(buf, len, "something unknown");
	} else {
		ev = &lg.event[id - ID_EVENT];
		snprintf(buf, len, "%s's write %u (ticks %llu to %lld)",
			 where_names[ev->where], id - ID_EVENT, ev->begin,
			 (long long)ev->end);
	}
	return buf;
}

/* What a face's write leaves. */
static inline __u32 event_id(__u32 nr)
{
	return lg.event[nr].kind == EV_ZERO ? ID_ZERO : nr + ID_EVENT;
}

/* ------------------------------------------------------------------ writing */

static inline void log_create(u64 max_events, u64 max_data)
{
	lg.max_events = max_events;
	lg.max_data = max_data;
	lg.event = xcalloc(max_events, sizeof(*lg.event));
	lg.data = xcalloc(1, max_data);
}

/* Data of a disk's write is kept; a face's write is known by its number. */
static inline __u32 event_begin(enum kind kind, enum where where, __u32 sector, __u32 n,
				__u32 flags, const void *data)
{
	struct event *ev;
	__u32 nr;

	pthread_mutex_lock(&lg.lock);
	nr = lg.head.nr_events++;
	if (nr >= lg.max_events ||
	    (data && lg.head.nr_data + ((u64)n << SECTOR_SHIFT) > lg.max_data))
		trouble("the log is full");
	ev = &lg.event[nr];
	*ev = (struct event) {
		.begin = ++lg.clock, .end = NEVER, .sector = sector, .n = n,
		.kind = kind, .where = where, .flags = flags,
	};
	if (data) {
		ev->data = lg.head.nr_data;
		memcpy(lg.data + ev->data, data, (size_t)n << SECTOR_SHIFT);
		lg.head.nr_data += (u64)n << SECTOR_SHIFT;
	}
	pthread_mutex_unlock(&lg.lock);
	return nr;
}

static inline void event_end(__u32 nr)
{
	pthread_mutex_lock(&lg.lock);
	lg.event[nr].end = ++lg.clock;
	pthread_mutex_unlock(&lg.lock);
}

static inline void log_write(const char *path)
{
	FILE *file = fopen(path, "w");

	lg.head.magic = LOG_MAGIC;
	lg.head.nr_ticks = lg.clock;
	if (!file || fwrite(&lg.head, sizeof(lg.head), 1, file) != 1 ||
	    fwrite(lg.event, sizeof(*lg.event), lg.head.nr_events, file) != lg.head.nr_events ||
	    fwrite(lg.data, 1, lg.head.nr_data, file) != lg.head.nr_data || fclose(file))
		trouble("%s: cannot write: %s", path, strerror(errno));
}

/* ------------------------------------------------------------------ reading */

static inline void log_read(const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file || fread(&lg.head, sizeof(lg.head), 1, file) != 1 ||
	    lg.head.magic != LOG_MAGIC)
		trouble("%s: is no log", path);
	log_create(lg.head.nr_events, lg.head.nr_data);
	if (fread(lg.event, sizeof(*lg.event), lg.head.nr_events, file) != lg.head.nr_events ||
	    fread(lg.data, 1, lg.head.nr_data, file) != lg.head.nr_data)
		trouble("%s: is cut off", path);
	fclose(file);
}

/* -------------------------------------------------------------------- areas */

/*
 * The workload keeps to a few small zones, at both ends and around where map sectors
 * and regions meet, so that what has to be looked at after each loss of power is
 * little.
 */
static inline void areas_init(u64 sectors, u64 chunk)
{
	const u64 at[] = { 0, 1984 * chunk, 2048 * chunk, sectors };
	const u64 half = chunk > 64 ? chunk : 64;
	struct log_header *head = &lg.head;
	u64 first, end;
	size_t i;

	for (i = 0; i < sizeof(at) / sizeof(*at); i++) {
		/* With large chunks there is one map sector; then somewhere. */
		first = at[i] > sectors ? sectors * i / 4 : at[i];
		end = first + half;
		first = first > half ? first - half : 0;
		if (end > sectors)
			end = sectors;
		head->zone[i] = (struct area) { first, end };
		end = (end + chunk - 1) / chunk * chunk;
		head->area[i] = (struct area) { first / chunk * chunk,
						end < sectors ? end : sectors };
		if (i && head->area[i].first < head->area[i - 1].end)
			trouble("areas overlap");
	}
	head->nr_areas = i;
}

static inline u64 area_sectors(void)
{
	u64 n = 0, i;

	for (i = 0; i < lg.head.nr_areas; i++)
		n += lg.head.area[i].end - lg.head.area[i].first;
	return n;
}

/* Where a sector is among those of all areas; -1: in none. */
static inline long area_slot(u64 sector)
{
	const struct area *area = lg.head.area;
	long slot = 0;
	u64 i;

	for (i = 0; i < lg.head.nr_areas; slot += area[i].end - area[i].first, i++)
		if (sector >= area[i].first && sector < area[i].end)
			return slot + sector - area[i].first;
	return -1;
}

#endif
