/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The primary: what its files share. It has nothing to do with sets.
 *
 * Words
 *
 *   pair	the state of one primary: a local device and its replica, the "legs".
 *		It outlives tables, as sets do.
 *   region	the unit in which is known where the legs may differ
 *   written	a region that has been written since it was last known to be equal,
 *		and durable, on both legs. The metadata device has it, durably, before
 *		the first of these writes goes to either leg.
 *   dirty	a region that the replica lacks: all that were written when it failed,
 *		and what has been written since. Dirty regions are written ones.
 *   forward	to send a write to both legs; the job is what keeps track of it
 *   abandoned	I/O of the replica that has not come back in time: nobody waits for it
 *		any more, but until it is back no resync may begin
 *   late	said of a replica before the present one: what was abandoned there may
 *		still reach the disk that is the replica now
 *
 * Lock order, outermost first: repl_pairs_lock, repl_pair.admin, repl_log.lock,
 * repl_pair.tables_lock, repl_pair.lock (irq).
 */
#ifndef DM_REPLICATION_PRIMARY_H
#define DM_REPLICATION_PRIMARY_H

#include <linux/completion.h>

#include "replication.h"

#define REPL_MIN_REGION_SECTORS	128U		/* 64 KiB */
#define REPL_MAX_REGION_SECTORS	8192U		/* 4 MiB */
#define REPL_MAX_REGIONS	BIT_ULL(24)
#define REPL_REPLICA_TIMEOUT	30U		/* seconds */

#define REPL_JOBS		256U
#define REPL_JOB_PAGES		64U
#define REPL_PAIR_PAGES		2048U
#define REPL_RESYNC_SLOTS	4U
#define REPL_SCAN_PAGES		16U	/* of a slot */

/*
 * Sectors of a discard or of zeroes: of one, and of all that the replica has at the same
 * time. A standby saves the old content of each before it answers, so they are bounded as
 * data is. A region is not longer than one, so that it can be discarded as a whole.
 */
#define REPL_ZERO_SECTORS	REPL_MAX_REGION_SECTORS
#define REPL_PAIR_ZERO_SECTORS	(REPL_PAIR_PAGES << PAGE_SECTORS_SHIFT)

/* How the legs are to each other. */
enum repl_sync {
	REPL_FILTER,			/* there is no local device */
	REPL_INSYNC,			/* they differ only by what is in flight */
	REPL_DEGRADED,			/* the replica has failed: nothing is forwarded */
	REPL_RESYNC,			/* dirty regions are being copied */
};

/* Per-bio data. Owned by the context that has the bio. */
struct repl_primary_io {
	u32 first, last;		/* its regions */
	bool counted;			/* in their writers */
	bool waited;			/* it goes on in run_work, which must not block */
	bool alone;			/* it is what the local device has been sent */
};

/* Who waits for I/O of our own. */
struct repl_own {
	struct completion done;
	int error;
};

/* A write, discard or flush on its way to both legs. Protected by repl_pair.lock. */
struct repl_job {
	struct repl_pair *p;
	struct list_head list;		/* free_jobs; or jobs, till it is abandoned */
	struct list_head unsent;	/* to->unsent */
	struct bio *orig;		/* valid till it has ended; NULL: our own I/O */
	struct repl_own *own;		/* the same */
	struct repl_replica *to;
	unsigned long start;		/* jiffies */
	sector_t sector, end;		/* the same for a flush */
	u32 first, last;		/* regions; not for a flush */
	bool local_done, replica_done;
	bool abandoned;			/* the replica's bio is still out, and may stay so */
	bool ended;			/* orig or own has been told */
	bool blocks;			/* somebody waits for its end */
	bool probe;			/* of our own: of the replica alone, at sector */
	blk_opf_t probe_opf;		/* the same: a read or a write */
	unsigned int nr_pages;
	unsigned int zeroes;		/* sectors, in p->zeroes, of a discard or zeroes */
	struct bio local, replica;
	struct bio_vec vecs[REPL_JOB_PAGES];	/* of both: what is written does not change */
};

/* What came of the copying of a region. */
enum repl_copied {
	REPL_COPIED,
	REPL_COPY_AGAIN,		/* it is still to be copied */
	REPL_LOCAL_FAILED,
	REPL_REPLICA_FAILED,
};

/* A region that is being copied. Protected by repl_pair.lock, but for the copy's own. */
struct repl_resync_slot {
	struct repl_replica *to;
	u32 region;
	bool busy;			/* for whatever reason */
	bool copying;			/* has begun; else it waits for writers of the region */
	bool discard;			/* rather than copy */
	bool again;			/* what was read may not be there any more */
	bool abandoned;
	unsigned long start;		/* jiffies; when copying has begun */

	/* The copy's own; see region-copy.c. */
	struct work_struct work;
	struct bio bio;			/* of a discard, zeroes, or a read */
	bool zeroed;			/* it is the replica that is read */
	bool zeroes_failed;		/* the replica has failed to write zeroes */
	bool discard_failed;		/* or to discard; so the data is copied */
	sector_t at;			/* in the region: all before this is zero */
	unsigned int reading;		/* sectors */
	struct bio_vec vecs[REPL_SCAN_PAGES];
	struct page *pages[REPL_SCAN_PAGES];	/* constant */
};

/*
 * A replica. What it has of our I/O it may keep for as long as it likes, and so the
 * next one has other means: nothing of a replica that hangs is waited for then, but by
 * the table that had it, when it goes. Protected by repl_pair.lock, but for what is
 * constant.
 */
struct repl_replica {
	struct repl_pair *p;		/* constant */
	struct dm_kcopyd_client *kcopyd;	/* constant; NULL: no local device */
	dev_t nr;			/* constant */
	struct block_device *bdev;	/* valid while there are tables; changed by a bind */
	bool blocks;			/* to submit may take long; then send_work does it */
	bool late;
	bool no_zeroes;			/* it has rejected them; read and written without lock */
	bool no_discard;		/* or not made zeroes of what it discarded; the same */
	unsigned int nr_abandoned;	/* jobs and slots */
	unsigned int nr_tables;		/* that have it */
	struct list_head list;		/* p->replicas */
	struct list_head unsent;	/* jobs for send_work */
	struct repl_resync_slot *slots;	/* REPL_RESYNC_SLOTS of them; constant */
	struct page *probe_page;	/* constant; what it has at one place, see retry_work */
	struct work_struct send_work;
	struct delayed_work resync_work;
};

/* One primary. */
struct repl_pair {
	/* Constant after creation. */
	struct mapped_device *md;
	dev_t local_nr;			/* 0: there is none */
	struct block_device *local;	/* valid while there are tables; NULL: none */
	sector_t len;
	u32 region_sectors;
	u8 region_shift;		/* of sectors */
	u32 nr_regions;
	struct workqueue_struct *wq;	/* nothing on it waits for another work */
	struct workqueue_struct *send_wq;	/* may wait for a replica that hangs */
	struct workqueue_struct *idle_wq;	/* waits for I/O of our own */
	struct repl_job *jobs_memory;

	spinlock_t lock;		/* what follows, up to the next lock */
	enum repl_stage stage;		/* written under admin too, read without any */
	enum repl_sync sync;
	unsigned int errors;		/* those that stand, a bit each; read without lock */
	enum repl_error error;		/* the worst of them; read without lock */
	enum repl_error latest;		/* the same; it may have been cleared */
	bool local_stays;		/* local-io is of a write: nothing shows that it is over */
	struct repl_replica *replica;	/* of the table that was resumed last; NULL: none was */
	dev_t replica_nr;		/* its device */
	struct list_head replicas;	/* of all tables, and of those that wait for theirs */
	bool manual_resync;		/* of the table that was resumed last, as the next */
	unsigned long timeout;		/* jiffies */
	struct repl_log *log;		/* see dirty-log.c; changed under admin too; NULL: none */
	bool logging;			/* writes wait for it */
	bool suspended;			/* nothing of our own begins */
	struct dm_target *requeue;	/* noflush suspend of it: bios that wait go back */

	/* A bit for each region. */
	unsigned long *written, *dirty;
	unsigned long *logged;		/* written, and the metadata device has it */
	unsigned long *touched;		/* written to since the cleaner was here last */
	unsigned long *idle;		/* what the cleaner is about to clean */
	unsigned long *discarded;	/* dirty by nothing but a discard of all of it */
	u32 nr_dirty;
	u32 *writers;			/* of each region: bios that have been routed */

	struct list_head jobs;		/* in flight, the oldest first */
	struct list_head free_jobs;
	struct page *pages[REPL_PAIR_PAGES];
	unsigned int nr_pages;		/* of them that are free */
	unsigned int zeroes;		/* sectors of discards and zeroes at the replica */
	bool watching;			/* timeout_work is queued */
	bool flush_failed;		/* the local device's last one; read without lock */

	/* Bios that wait, by bi_next. */
	struct bio_list blocked;	/* for a job that they overlap */
	struct bio_list held;		/* for the copying of a region */
	struct bio_list throttled;	/* for a job and pages */
	struct bio_list throttled_zeroes;	/* the same, of discards and zeroes */
	struct bio_list runnable;	/* for run_work */

	u32 resync_next;		/* where to look for a dirty region */
	u32 resync_rate;		/* KiB/s; 0: no limit */
	u64 resync_at;			/* ns: no region begins before */
	bool resync_wanted;		/* by message, since the replica failed */
	unsigned int retry_seconds;	/* till the next attempt to reach the replica */
	time64_t insync_since;		/* if it is so; see repl_replica_proven() */
	u32 nr_probes;			/* so far; they are made in different places */
	bool stalled;			/* somebody has waited in vain since it was proven */
	unsigned int trial;		/* regions till a writer waits for it again */
	unsigned long slowest;		/* jiffies; of its answers; see repl_replica_took() */

	struct work_struct run_work;
	struct work_struct event_work;
	struct delayed_work timeout_work;
	struct delayed_work clean_work;
	struct delayed_work retry_work;
	wait_queue_head_t quiet;	/* jobs, and of replicas slots and nr_abandoned */

	struct mutex admin;		/* changes of stage */
	bool insync;			/* admin; the legs are equal at the start */
	unsigned long busy;		/* bit 0: a message is being served */
	struct mutex tables_lock;
	struct list_head tables;	/* tables_lock; struct repl_primary */
	struct list_head logs;		/* tables_lock; of all tables, and the pair's */
	struct repl_primary *bound;	/* tables_lock; the one that was resumed last */
	bool left;			/* tables_lock; something else may have been the device */

	struct list_head list;		/* repl_pairs_lock */
	unsigned int nr_tables;		/* repl_pairs_lock; without any it is not found again */
	unsigned int nr_refs;		/* repl_pairs_lock; also of tables that still wait */
};

/* A table. */
struct repl_primary {
	const struct repl_mode *mode;	/* first: what target.c looks at */
	struct repl_pair *p;
	struct dm_target *ti;
	struct list_head list;		/* p->tables */
	struct dm_dev *metadata, *local, *replica_dev;
	struct repl_replica *replica;	/* its own, or, once resumed, that of a table before */
	struct repl_log *log;		/* of its metadata device; NULL: none */
	unsigned int timeout;		/* seconds; 0: not given */
	bool manual_start, insync, manual_resync;
	bool resumed;			/* once */
};

extern const struct repl_mode repl_primary_mode;	/* primary.c */

/* pair.c */
int repl_pair_get(struct repl_primary *table, u32 region_sectors);
void repl_pair_bind(struct repl_primary *table);
void repl_pair_put(struct repl_primary *table);
void repl_pair_suspend(struct repl_pair *p);
void repl_pair_resume(struct repl_pair *p);
int repl_pair_start(struct repl_pair *p);
int repl_pair_stop(struct repl_pair *p);
int repl_pair_checkpoint(struct repl_pair *p);
void repl_pair_error(struct repl_pair *p, enum repl_error error);
void repl_local_error(struct repl_pair *p, bool write);
void repl_pair_clear_errors(struct repl_pair *p, unsigned int errors);
void repl_pair_recovered(struct repl_pair *p);
void repl_pair_set_sync(struct repl_pair *p, enum repl_sync sync);
const char *repl_sync_name(enum repl_sync sync);

/* primary-message.c */
int repl_primary_message(struct repl_primary *table, unsigned int argc, char **argv,
			 char *result, unsigned int maxlen);

/* regions.c */
int repl_regions_create(struct repl_pair *p);
void repl_regions_destroy(struct repl_pair *p);
void repl_regions_all(struct repl_pair *p, bool dirty);
bool repl_regions_any(const unsigned long *map, u32 first, u32 last);
bool repl_regions_all_set(const unsigned long *map, u32 first, u32 last);
void repl_regions_enter(struct repl_pair *p, struct bio *bio);
void repl_regions_exit(struct repl_pair *p, u32 first, u32 last);
void repl_regions_mark_dirty(struct repl_pair *p, u32 first, u32 last);
void repl_regions_not_discarded(struct repl_pair *p, u32 first, u32 last);
void repl_regions_dirty_written(struct repl_pair *p);
void repl_regions_clean(struct repl_pair *p, bool all);
void repl_clean_work(struct work_struct *work);

/* forward.c */
int repl_forward_create(struct repl_pair *p);
void repl_forward_destroy(struct repl_pair *p);
bool repl_forward_overlaps(struct repl_pair *p, struct bio *bio);
struct repl_job *repl_forward_get(struct repl_pair *p, struct bio *bio);
void repl_forward_start(struct repl_job *job);
int repl_forward_flush(struct repl_pair *p);
int repl_forward_probe(struct repl_pair *p, sector_t sector, bool write);
void repl_local_flush_failed(struct repl_pair *p);
void repl_replica_failed(struct repl_pair *p, enum repl_error error,
			 struct bio_list *ended);
void repl_end_bios(struct bio_list *ended);
void repl_send_work(struct work_struct *work);
void repl_timeout_work(struct work_struct *work);

/* replica.c */
struct repl_replica *repl_replica_create(struct repl_pair *p, struct block_device *bdev);
bool repl_replica_bind(struct repl_primary *table, bool *insync);
void repl_replica_put(struct repl_primary *table);
bool repl_late_io(struct repl_pair *p);
void repl_late_back(struct repl_replica *to);

/* resync.c */
void repl_resync_init(struct repl_pair *p);
void repl_resync_work(struct work_struct *work);
bool repl_resync_holds(struct repl_pair *p, u32 first, u32 last);
void repl_resync_pass(struct repl_pair *p, u32 first, u32 last);
void repl_resync_kick(struct repl_pair *p);
void repl_resync_abandon(struct repl_pair *p);
void repl_resync_again(struct repl_pair *p);
void repl_resync_done(struct repl_resync_slot *slot, enum repl_copied outcome);
void repl_resync_unhold(struct repl_pair *p);
bool repl_resync_is_quiet(struct repl_pair *p);
void repl_retry(struct repl_pair *p);
bool repl_replica_proven(struct repl_pair *p);
void repl_replica_took(struct repl_replica *to, unsigned long start);
unsigned long repl_patience(struct repl_pair *p);

/* region-copy.c */
int repl_region_slot_create(struct repl_resync_slot *slot, struct repl_replica *to);
void repl_region_slot_destroy(struct repl_resync_slot *slot);
void repl_region_copy(struct repl_resync_slot *slot);

/* dirty-log.c */
int repl_log_get(struct repl_primary *table);
int repl_log_open(struct repl_primary *table, char *why, size_t len);
void repl_log_put(struct repl_primary *table);
void repl_log_bind(struct repl_primary *table);
void repl_log_begin(struct repl_pair *p);
void repl_log_end(struct repl_pair *p);
void repl_log_destroy(struct repl_pair *p);
bool repl_log_uses(struct repl_pair *p, dev_t nr);
bool repl_log_takes(struct repl_pair *p, dev_t nr);
void repl_log_wait(struct repl_pair *p, struct bio *bio);
void repl_log_stale(struct repl_pair *p, u32 region);
void repl_log_reset(struct repl_pair *p, bool clean);
int repl_log_stage(struct repl_pair *p, enum repl_stage stage);
int repl_log_forget(struct repl_pair *p);
int repl_log_abandon(struct repl_pair *p);
void repl_log_kick(struct repl_pair *p);
int repl_log_sync(struct repl_pair *p);
bool repl_log_failed(struct repl_pair *p);
const char *repl_log_mode(struct repl_pair *p);

/* primary.c */
void repl_primary_run_work(struct work_struct *work);

static inline struct repl_primary_io *repl_primary_io(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct repl_primary_io));
}

/* Whether a bio is a discard or zeroes: it has a length and no data. */
static inline bool repl_zeroes(const struct bio *bio)
{
	return bio_op(bio) != REQ_OP_WRITE;
}

/* Those that wait, as this bio does, for a job. p->lock held. */
static inline struct bio_list *repl_throttled(struct repl_pair *p, const struct bio *bio)
{
	return unlikely(repl_zeroes(bio)) ? &p->throttled_zeroes : &p->throttled;
}

/* That a device cannot discard or write zeroes is no failure of the device. */
static inline bool repl_not_supported(struct bio *bio, blk_status_t status)
{
	return (status == BLK_STS_NOTSUPP || status == BLK_STS_TARGET) &&
		bio_op(bio) != REQ_OP_WRITE;
}

/* Sectors of a region: the last one may be short. */
static inline sector_t repl_region_len(struct repl_pair *p, u32 region)
{
	sector_t start = (sector_t)region << p->region_shift;

	return min_t(sector_t, p->region_sectors, p->len - start);
}

#endif
