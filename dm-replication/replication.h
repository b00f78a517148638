/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dm-replication: what its files share.
 *
 * Words (Documentation/replication.rst has the whole list)
 *
 *   set	the state of one secondary: its stores, maps, stage and jobs. It
 *		outlives tables: a table is only a handle on it, a "face".
 *   view	the face that a secondary host works on
 *   ingress	the face that the primary's writes land on
 *   store	active or hidden: a device laid out 1:1 with the secondary, and a
 *		map of the chunks that it holds
 *   chunk	the unit of the maps
 *   region	REPL_REGION_CHUNKS neighbouring chunks: the unit of locking
 *   claim	a range of chunks of one region that one I/O has business with;
 *		see claim.c
 *   gate	what every bio of a face passes; closed, it quiesces the face
 *
 * Lock order, outermost first
 *
 *   repl_sets_lock (mutex)	the list of sets
 *   repl_set.admin (mutex)	changes of stage and epoch, the gates' closing
 *   repl_set.cache_lock (mutex)	the view's page cache; held over a checkpoint, which
 *				a suspend waits for. Below it, in this order, are
 *				block's exclusive claim on the view, and the lock
 *				of a page of it, but no page's is waited for while
 *				a gate is closed.
 *   repl_set.faces_lock (mutex)
 *   stale_lock (mutex)		what stale.c remembers
 *   repl_region.lock (irq)
 *   repl_set.wait_lock (irq)
 *   repl_lost.lock (irq)
 *
 * A bio is counted in at its gate when it is mapped and counted out in end_io;
 * in between, the stage and the epoch stay what they are but for the merge's
 * end, which changes neither where data is nor where it goes.
 */
#ifndef DM_REPLICATION_H
#define DM_REPLICATION_H

#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "metadata.h"

#define DM_MSG_PREFIX "replication"

#define REPL_MIN_CHUNK_SECTORS	8U		/* 4 KiB */
#define REPL_MAX_CHUNK_SECTORS	2048U		/* 1 MiB */
#define REPL_MAX_CHUNKS		BIT_ULL(32)	/* 16 TiB of the smallest */
#define REPL_REGION_SHIFT	11
#define REPL_REGION_CHUNKS	((u32)BIT(REPL_REGION_SHIFT))

#define REPL_MERGE_SLOTS	8
#define REPL_MERGE_SECTORS	(1U << (20 - SECTOR_SHIFT))

/* The devices of a set; for a chunk: where the view finds it. */
enum repl_dev {
	REPL_SECONDARY,
	REPL_HIDDEN,
	REPL_ACTIVE,
	REPL_METADATA,			/* there may be none */
	REPL_NR_DEVS,
	REPL_NOWHERE = REPL_NR_DEVS,
};

/*
 * Every bio is counted in on the CPU that maps it and out on the one that
 * completes it. percpu_ref would do but for its pace: it waits for a normal
 * grace period, tens of milliseconds in which the faces stand still.
 */
struct repl_gate {
	int __percpu *inflight;
	bool closed;			/* written under repl_set.admin */
	unsigned long closed_at;	/* jiffies; the same, before closed */
	wait_queue_head_t drained;
	struct list_head held;		/* wait_lock; ios by wait, that came meanwhile */
};

/*
 * REPL_REGION_CHUNKS chunks. The maps are those of @epoch, and empty if that is
 * not the set's epoch: so a checkpoint empties them all by one increment.
 * Protected by @lock, all of it. 536 bytes: 2 bits a chunk and 4.7 %.
 */
struct repl_region {
	spinlock_t lock;		/* all of the region */
	struct hlist_head claims;	/* struct repl_io, by node */
	u64 epoch;
	unsigned long active[BITS_TO_LONGS(REPL_REGION_CHUNKS)];
	unsigned long hidden[BITS_TO_LONGS(REPL_REGION_CHUNKS)];
};

/* What a claim is for; a bit mask, so that a search can ask for several. */
enum repl_claim {
	REPL_CLAIM_NONE = 0,
	REPL_CLAIM_READ = 1,	/* a read of the view sent to the secondary */
	REPL_CLAIM_COPY = 2,	/* secondary to hidden, before an ingress write */
	REPL_CLAIM_FILL = 4,	/* from below to active, before a view write */
	REPL_CLAIM_WRITE = 8,	/* a view write to active that sets bits or that
				 * a merge has to wait for
				 */
	REPL_CLAIM_MERGE = 16,	/* a store to the secondary */
	REPL_CLAIM_TRIM_ACTIVE = 32,	/* what active does not hold is discarded */
	REPL_CLAIM_TRIM_HIDDEN = 64,	/* what hidden does not hold is discarded */
	REPL_CLAIM_READ_STORE = 128,	/* a read of the view sent to a store that is merged */
};

/*
 * One I/O as we see it: the per-bio data of a mapped bio, or a slot of the merge.
 * Owned by the context that has the bio, but for the lists.
 */
struct repl_io {
	struct hlist_node node;		/* region->claims; region->lock */
	struct repl_region *region;	/* of the claim */
	u16 first, end;			/* claimed chunks in region, end exclusive */
	u8 claim;			/* enum repl_claim; written under region->lock */
	u8 dev;				/* enum repl_dev that the bio was sent to */
	bool entered;			/* counted in at the gate */
	bool mapping;			/* in ->map, where a bio may be cut */
	bool discard;			/* of the view, sent as a write of zeroes */
	bool fua;			/* of the view: to be committed when it is done */
	bool flush_both;		/* of the view: then the secondary is flushed too */

	sector_t sector;		/* of the view: where the bio began, and ends, if it */
	sector_t end_sector;		/* may write to lost sectors; else the end is 0 */

	struct repl_set *rs;
	struct repl_lane *lane;		/* its user's */
	struct repl_gate *gate;		/* of the face; NULL for the merge */
	struct dm_target *ti;		/* NULL for the merge */
	void (*resume)(struct repl_io *io);	/* process context, may sleep */

	struct list_head waiters;	/* by wait; see repl_io_wait_for() */
	struct list_head wait;		/* wait_lock; on one list of waiting ios */
	struct list_head held;		/* wait_lock; rs->held while on one */
};

/* Run of chunks that the merge copies at once. */
struct repl_merge_slot {
	struct repl_io io;
	struct repl_copy *copy;		/* that it has waited for; before resumed */
	bool busy;			/* merge work sets, copy work clears */
	bool waiting;			/* for a view write or a copy; merge work only */
	bool resumed;			/* waited enough */
};

/* Online merge of the stores into the secondary; see merge.c. */
struct repl_merge {
	struct work_struct work;
	wait_queue_head_t wait;		/* for idle */
	u64 next;			/* chunk to look at next; merge work only */
	unsigned long commit_at;	/* jiffies: when to commit next; copy work, while idle
					 * whoever starts it
					 */
	u64 total;			/* chunks to merge; written before the work */
	bool paused;			/* the view is suspended */
	bool failed;			/* copy work sets, failover clears; so it does this: */
	bool no_space;			/* because the secondary has none left */
	bool idle;			/* paused or over: no slot is busy */
	struct repl_merge_slot slot[REPL_MERGE_SLOTS];
};

/* Who uses a set. */
enum repl_user {
	REPL_VIEW,
	REPL_INGRESS,
	REPL_MERGE,
	REPL_NR_USERS,
};

/*
 * What is done for one user, and waits: each has works of its own. A device may make
 * whoever submits to it wait, for a request that is free or by a throttle. That holds up
 * the works of one user, and no other's.
 */
struct repl_lane {
	struct repl_set *rs;		/* constant */
	struct repl_gate *gate;		/* constant; of the face; NULL for the merge */

	struct list_head runnable;	/* wait_lock; ios by wait: to go on */
	struct work_struct run_work;	/* queued with wait_lock held */

	struct list_head throttled;	/* wait_lock; ios by wait: no copy is free */
	struct repl_io *copy_turn;	/* wait_lock; is resumed, and may take a free copy */
	unsigned int nr_copies;		/* wait_lock; that it has */
	unsigned int nr_borrowed;	/* wait_lock; spare pages that they have */
	struct llist_head done_copies;	/* lock-free; struct repl_copy, by done */
	struct work_struct copy_work;
};

/* What a store is to give back; see reclaim.c. */
struct repl_trim {
	unsigned long *used;		/* atomic bits, one a region */
	unsigned long *stale;		/* atomic bits, one a region */
	u64 region;			/* all of this: the work's; where it is */
	unsigned int chunk;		/* of that region, if it is in one */
	bool in_region;
	bool cannot;			/* the device says so */
};

#define REPL_NR_STORES	2

struct repl_reclaim {
	struct delayed_work work;
	struct repl_io io;		/* the work's: its claim */
	struct repl_trim trim[REPL_NR_STORES];	/* of active, of hidden */
	bool paused;			/* the view is suspended, or does not want it */
};

/* Sectors of the stores that are lost; see lost.c. */
struct repl_lost {
	spinlock_t lock;		/* what follows */
	unsigned int nr;		/* lock; only grows in an epoch */
	u64 entry[REPL_META_LOST];	/* lock */
};

struct repl_set {
	/* Constant after creation. */
	struct mapped_device *md;	/* of the view; valid while !dead */
	dev_t devt;			/* of the view */
	dev_t dev_nr[REPL_NR_DEVS];	/* 0: there is none */
	struct block_device *bdev[REPL_NR_DEVS];	/* valid while !dead */
	sector_t len;
	u32 chunk_sectors;
	u8 chunk_shift;			/* of sectors */
	u64 nr_chunks;
	u64 nr_regions;
	struct repl_region *regions;
	struct workqueue_struct *wq;
	struct repl_copy *copies;	/* see copy.c */
	struct repl_commit *commit;	/* see commit.c; NULL: no metadata */

	/* Read on every I/O inside a gate; written with both closed, or by the
	 * merge's end; writers hold admin.
	 */
	enum repl_stage stage;
	u64 epoch;
	/* What the status says of them; see repl_publish(). Writers hold admin. */
	enum repl_stage shown_stage;
	u64 shown_epoch;
	bool fenced;			/* written under admin: the ingress is, whatever
					 * the stage; a failover has begun
					 */

	struct repl_gate view_gate;
	struct repl_gate ingress_gate;

	unsigned long untold;		/* atomic bits; see flush.c */

	atomic64_t nr_active;		/* chunks that active holds */
	atomic64_t nr_hidden;
	atomic64_t nr_held;		/* chunks that either holds */

	atomic_t errors;		/* enum repl_error: those that stand, a bit each */
	enum repl_error latest;		/* without lock; it may have been cleared */

	spinlock_t wait_lock;		/* the lists of ios that wait */
	struct list_head held;		/* wait_lock; all ios that wait, by held */
	struct repl_lane lane[REPL_NR_USERS];

	struct list_head free_copies;	/* wait_lock; struct repl_copy, by free */
	unsigned int nr_free_copies;	/* wait_lock */
	unsigned int own_pages;		/* of each copy; constant after creation */
	unsigned int most_borrowed;	/* spare pages of a lane; constant after creation */
	unsigned int nr_spare_pages;	/* wait_lock; that copies may borrow: */
	struct page **spare_pages;	/* wait_lock */

	struct repl_merge merge;
	struct repl_reclaim reclaim;
	struct repl_lost lost;

	struct mutex cache_lock;	/* the next four; see page-cache.c */
	bool suspended;			/* cache_lock; the view, or it is about to be */
	bool cache_stale;		/* cache_lock; there are old pages to drop, at the
					 * resume if the view is suspended
					 */
	struct xarray cache_left;	/* written under cache_lock, read under RCU; struct
					 * folio: pages to look at again
					 */
	struct delayed_work cache_work;
	u64 held_back;			/* admin; bytes that kept a checkpoint from being
					 * made
					 */

	struct mutex admin;		/* changes of stage and epoch */
	unsigned long busy;		/* bit 0: a message is being served */

	struct work_struct event_work;
	struct mutex faces_lock;	/* faces */
	struct list_head faces;		/* faces_lock; struct repl_face */

	struct kref ref;		/* faces, for the memory alone */
	struct list_head list;		/* repl_sets_lock */
	unsigned int nr_views;		/* repl_sets_lock; tables of the view */
	bool live;			/* repl_sets_lock; a table was resumed */
};

/* A checkpoint and the view's page cache; see page-cache.c. Its own, all of it. */
struct repl_cache_drop {
	struct repl_set *rs;
	bool suspended;			/* the view was, so cache_lock is not held */
	bool claimed;			/* nobody else can open the view exclusively */
};

/* A table: one instance of the target. */
struct repl_face {
	const struct repl_mode *mode;	/* first: what target.c looks at */
	struct repl_set *rs;
	struct dm_target *ti;
	struct list_head list;		/* rs->faces */
	bool requeue;			/* noflush suspend: bios that wait go back; set
					 * under wait_lock
					 */
};

/* What target.c dispatches to: a mode's part of struct target_type. */
struct repl_mode {
	const char *name;
	int (*ctr)(struct dm_target *ti, unsigned int argc, char **argv);
	void (*dtr)(struct dm_target *ti);
	int (*map)(struct dm_target *ti, struct bio *bio);
	int (*end_io)(struct dm_target *ti, struct bio *bio, blk_status_t *error);
	void (*presuspend)(struct dm_target *ti);
	void (*presuspend_undo)(struct dm_target *ti);
	void (*postsuspend)(struct dm_target *ti);
	void (*resume)(struct dm_target *ti);	/* before bios come again */
	void (*status)(struct dm_target *ti, char *result, unsigned int maxlen);
	void (*table)(struct dm_target *ti, char *result, unsigned int maxlen);
	int (*message)(struct dm_target *ti, unsigned int argc, char **argv,
		       char *result, unsigned int maxlen);
	int (*iterate_devices)(struct dm_target *ti,
			       iterate_devices_callout_fn fn, void *data);
	void (*io_hints)(struct dm_target *ti, struct queue_limits *limits);
};

extern const struct repl_mode repl_view_mode;		/* view.c */
extern const struct repl_mode repl_ingress_mode;	/* ingress.c */

/* args.c */
__printf(3, 4)
int repl_refuse(struct dm_target *ti, int error, const char *fmt, ...);
int repl_parse_nr_options(struct dm_target *ti, struct dm_arg_set *as,
			  unsigned int *nr);
int repl_get_device(struct dm_target *ti, const char *role, const char *arg,
		    struct dm_dev **result);
int repl_check_blocks(struct dm_target *ti, const char *what, struct block_device *bdev,
		      const char *whose, unsigned int most);
int repl_parse_dev(const char *arg, dev_t *dev);
int repl_parse_chunk(struct dm_target *ti, const char *arg, u32 *sectors);

/* target.c */
void repl_submit(struct mapped_device *md, struct bio *bio);

/* set.c */
struct repl_set *repl_set_get(struct dm_target *ti, struct dm_dev *const dev[],
			      u32 chunk_sectors);
struct repl_set *repl_set_find(dev_t view);
void repl_set_bind(struct repl_set *rs);
void repl_set_put_view(struct repl_set *rs);
void repl_set_put(struct repl_set *rs);
void repl_face_add(struct repl_face *face);
void repl_face_del(struct repl_face *face);

/* stage.c */
const char *repl_stage_name(enum repl_stage stage);
const char *repl_error_name(enum repl_error error);
enum repl_error repl_worst_error(unsigned int errors);
void repl_error_reply(unsigned int errors, enum repl_error latest, char *result,
		      unsigned int maxlen);
enum repl_error repl_error(struct repl_set *rs);
enum repl_error repl_error_to_record(struct repl_set *rs);
unsigned int repl_clear_errors(struct repl_set *rs);
unsigned int repl_retry_errors(struct repl_set *rs);
void repl_restore_errors(struct repl_set *rs, unsigned int errors);
const char *repl_set_name(struct repl_set *rs);
void repl_set_stage(struct repl_set *rs, enum repl_stage stage);
void repl_publish(struct repl_set *rs);
void repl_fail(struct repl_set *rs, enum repl_error error);
void repl_fail_dev(struct repl_set *rs, enum repl_dev dev, blk_status_t status);
unsigned int repl_checkpoint_errors(struct repl_set *rs);
void repl_event_work(struct work_struct *work);

/* gate.c */
int repl_gate_init(struct repl_gate *gate);
void repl_gate_destroy(struct repl_gate *gate);
void repl_gate_drop(struct repl_set *rs, struct repl_gate *gate,
		    bool (*which)(struct repl_io *io, void *data), void *data);
bool repl_gate_holds(struct repl_set *rs, struct repl_gate *gate,
		     bool (*which)(struct repl_io *io, void *data), void *data);
void repl_quiesce(struct repl_set *rs);
int repl_quiesce_view(struct repl_set *rs);
int repl_quiesce_ingress(struct repl_set *rs);
void repl_unquiesce_ingress(struct repl_set *rs);
int repl_quiesce_killable(struct repl_set *rs);
void repl_unquiesce(struct repl_set *rs);
bool repl_gate_presses(struct repl_set *rs, unsigned long time);

/* chunk-map.c */
int repl_map_create(struct repl_set *rs);
void repl_map_destroy(struct repl_set *rs);
void repl_map_empty(struct repl_set *rs);
void repl_map_load(struct repl_set *rs, u32 sector, const struct repl_meta_maps *maps);
void repl_map_save(struct repl_set *rs, u32 sector, u64 epoch, struct repl_meta_maps *maps);
void repl_region_sync(struct repl_set *rs, struct repl_region *r);
enum repl_dev repl_map_run(struct repl_region *r, unsigned int first,
			   unsigned int *end);
bool repl_map_next_run(struct repl_region *r, unsigned int *first,
		       unsigned int *run_end, unsigned int end, enum repl_dev *from);
bool repl_map_held_run(struct repl_region *r, unsigned int first,
		       unsigned int *end);
void repl_map_set(struct repl_set *rs, struct repl_region *r, enum repl_dev store,
		  unsigned int first, unsigned int end);
void repl_map_clear(struct repl_set *rs, struct repl_region *r,
		    unsigned int first, unsigned int end);

/* claim.c */
void repl_io_init(struct repl_io *io, struct repl_lane *lane, struct dm_target *ti,
		  void (*resume)(struct repl_io *io));
void repl_io_claim(struct repl_io *io, enum repl_claim claim,
		   struct repl_region *r, unsigned int first, unsigned int end);
void repl_io_release_locked(struct repl_io *io);
void repl_io_release(struct repl_io *io);
struct repl_io *repl_claim_find(struct repl_region *r, unsigned int mask,
				unsigned int first, unsigned int end);
void repl_io_wait_for(struct repl_io *io, struct repl_io *blocker);
void repl_io_wait_locked(struct repl_io *io, struct list_head *where);
void repl_io_resume(struct repl_io *io);
void repl_io_cut(struct repl_io *io, struct bio *bio, sector_t sector);
void repl_io_continue(struct repl_io *io,
		      int (*route)(struct repl_io *io, struct bio *bio));
int repl_io_map(struct repl_io *io, struct bio *bio,
		int (*route)(struct repl_io *io, struct bio *bio), sector_t unit);
void repl_io_end(struct repl_io *io, struct bio *bio, blk_status_t error);
void repl_io_requeue(struct repl_face *face);
void repl_run_work(struct work_struct *work);

/* copy.c */
typedef bool (*repl_next_run_fn)(struct repl_region *r, unsigned int *first,
				 unsigned int *run_end, unsigned int end,
				 enum repl_dev *from);
typedef void (*repl_copied_fn)(struct repl_io *io, blk_status_t read_error,
			       blk_status_t write_error);
int repl_copies_create(struct repl_set *rs);
void repl_copies_destroy(struct repl_set *rs);
struct repl_copy *repl_copy_get(struct repl_io *io);
struct repl_copy *repl_copy_turn(struct repl_io *io);
struct repl_io *repl_copy_next(struct repl_lane *lane, bool any);
void repl_copy_start(struct repl_copy *job, struct repl_io *io, enum repl_dev to,
		     repl_next_run_fn next, repl_copied_fn fn);
void repl_copy_work(struct work_struct *work);

/* commit.c */
int repl_commit_create(struct repl_set *rs, const char *view, char *why, size_t len);
void repl_commit_close(struct repl_set *rs);
void repl_commit_destroy(struct repl_set *rs);
void repl_commit_saved(struct repl_io *io);
void repl_commit_flush(struct repl_io *io, bool flush);
void repl_commit_progress(struct repl_set *rs);
void repl_commit_error(struct repl_set *rs);
void repl_commit_dirty(struct repl_set *rs, struct repl_region *r,
		       unsigned int first, unsigned int end);
int repl_commit_state(struct repl_set *rs, enum repl_stage stage, u64 epoch);
int repl_commit_failover(struct repl_set *rs);
int repl_commit_sync(struct repl_set *rs);
void repl_commit_suspend(struct repl_set *rs);
void repl_commit_resume(struct repl_set *rs);
const char *repl_commit_mode(struct repl_set *rs);
bool repl_commit_failed(struct repl_set *rs);

/* stale.c */
void repl_stale_add(const u8 *uuid, enum repl_stage stage);
void repl_stale_del(const u8 *uuid);
enum repl_stage repl_stale_stage(const u8 *uuid);
void repl_stale_forget(void);

/* ingress.c */
void repl_ingress_saved(struct repl_io *io, int error);

/* page-cache.c */
void repl_cache_init(struct repl_set *rs);
void repl_cache_close(struct repl_set *rs);
void repl_cache_foreign(struct repl_set *rs);
void repl_cache_forget(struct mapped_device *md);
void repl_cache_suspend(struct repl_set *rs);
void repl_cache_resume(struct repl_set *rs);
int repl_cache_begin(struct repl_cache_drop *drop, struct repl_set *rs);
int repl_cache_freeze(struct repl_cache_drop *drop);
void repl_cache_drop(struct repl_cache_drop *drop);
void repl_cache_end(struct repl_cache_drop *drop, bool moved);

/* checkpoint.c */
int repl_start(struct repl_set *rs);
void repl_autostart(struct repl_set *rs);
int repl_checkpoint(struct repl_set *rs, bool stop);

/* flush.c */
void repl_flush_failed(struct repl_set *rs, enum repl_dev dev);
int repl_flush_dev(struct repl_set *rs, enum repl_dev dev);
bool repl_flush_tell_view(struct repl_set *rs);
bool repl_flush_tell_ingress(struct repl_set *rs);

/* merge.c */
void repl_merge_init(struct repl_set *rs);
int repl_failover(struct repl_set *rs);
void repl_merge_pause(struct repl_set *rs);
void repl_merge_resume(struct repl_set *rs);
void repl_merge_finish(struct repl_set *rs);

/* lost.c */
bool repl_lost_add(struct repl_set *rs, enum repl_dev dev, sector_t first, sector_t end);
void repl_lost_clear(struct repl_set *rs, enum repl_dev dev, sector_t first, sector_t end);
void repl_lost_inherit(struct repl_set *rs, sector_t first, sector_t end);
sector_t repl_lost_find(struct repl_set *rs, enum repl_dev dev, sector_t first, sector_t end);
bool repl_lost_all(struct repl_set *rs, enum repl_dev dev, sector_t first, sector_t end);
void repl_lost_merge(struct repl_set *rs, u64 *entry);
void repl_lost_forget(struct repl_set *rs);
void repl_lost_load(struct repl_set *rs, const u64 *entry);

/* reclaim.c */
int repl_reclaim_create(struct repl_set *rs);
void repl_reclaim_destroy(struct repl_set *rs);
void repl_reclaim_used(struct repl_set *rs, struct repl_region *r, enum repl_dev store);
void repl_reclaim_dropped(struct repl_set *rs);
void repl_reclaim_pause(struct repl_set *rs);
void repl_reclaim_resume(struct repl_set *rs, bool wanted);

/* message.c */
int repl_view_message(struct repl_face *face, unsigned int argc, char **argv,
		      char *result, unsigned int maxlen);

/* Whether sectors of the stores are lost, which is the exception. */
static inline bool repl_has_lost(struct repl_set *rs)
{
	return unlikely(READ_ONCE(rs->lost.nr));
}

/* Whether so many sectors of pages are zero. */
static inline bool repl_pages_zero(struct page *const *pages, unsigned int sectors)
{
	unsigned int i, n, left = sectors << SECTOR_SHIFT;

	for (i = 0; left; i++, left -= n) {
		n = min_t(unsigned int, left, PAGE_SIZE);
		if (memchr_inv(page_address(pages[i]), 0, n))
			return false;
	}
	return true;
}

static inline struct repl_io *repl_bio_io(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct repl_io));
}

static inline struct repl_face *repl_io_face(struct repl_io *io)
{
	return io->ti->private;
}

static inline struct bio *repl_io_bio(struct repl_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(struct repl_io));
}

/* Any context. False: the gate is closed. */
static inline bool repl_gate_enter(struct repl_gate *gate)
{
	bool open;

	rcu_read_lock();	/* pairs with the grace period in close */
	open = !smp_load_acquire(&gate->closed);
	if (likely(open))
		this_cpu_inc(*gate->inflight);
	rcu_read_unlock();
	return open;
}

/* Any context. The set may be gone when this returns. */
static inline void repl_gate_exit(struct repl_gate *gate)
{
	rcu_read_lock();
	if (likely(!READ_ONCE(gate->closed))) {
		this_cpu_dec(*gate->inflight);	/* the grace period orders it */
	} else {
		smp_mb();	/* what the bio did is seen by who sees it gone */
		this_cpu_dec(*gate->inflight);
		wake_up(&gate->drained);
	}
	rcu_read_unlock();
}

/* Sectors of a region: no bio is longer, and none crosses one's end. */
static inline sector_t repl_region_sectors(struct repl_set *rs)
{
	return (sector_t)rs->chunk_sectors << REPL_REGION_SHIFT;
}

/* Where the region of a sector ends. */
static inline sector_t repl_region_end(struct repl_set *rs, sector_t sector)
{
	return (sector | (repl_region_sectors(rs) - 1)) + 1;
}

static inline void repl_io_send(struct repl_io *io, struct bio *bio,
				enum repl_dev dev)
{
	io->dev = dev;
	bio_set_dev(bio, io->rs->bdev[dev]);
}

/* First sector of a chunk of a region. */
static inline sector_t repl_chunk_sector(struct repl_set *rs, struct repl_region *r,
					 unsigned int chunk)
{
	return ((sector_t)(r - rs->regions) * REPL_REGION_CHUNKS + chunk) <<
		rs->chunk_shift;
}

/* The region of a bio that crosses no region's end, and its chunks therein. */
static inline struct repl_region *repl_bio_chunks(struct repl_set *rs, struct bio *bio,
						  unsigned int *first, unsigned int *end)
{
	u64 chunk = bio->bi_iter.bi_sector >> rs->chunk_shift;
	u64 last = (bio_end_sector(bio) - 1) >> rs->chunk_shift;

	*first = chunk & (REPL_REGION_CHUNKS - 1);
	*end = *first + (last - chunk) + 1;
	return &rs->regions[chunk >> REPL_REGION_SHIFT];
}

/* Takes r->lock and brings the maps to the set's epoch. */
static inline unsigned long __must_check
repl_region_lock(struct repl_set *rs, struct repl_region *r)
	__acquires(&r->lock)
{
	unsigned long flags;

	spin_lock_irqsave(&r->lock, flags);
	if (unlikely(r->epoch != rs->epoch))
		repl_region_sync(rs, r);
	return flags;
}

#endif
