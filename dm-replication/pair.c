// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pairs: the state of one primary, found again by its next table, and how it comes and
 * goes; its stages, errors and events.
 */
#include <linux/blkdev.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "primary.h"

static DEFINE_MUTEX(repl_pairs_lock);
static LIST_HEAD(repl_pairs);

static const char * const sync_names[] = {
	[REPL_FILTER]	= "-",
	[REPL_INSYNC]	= "insync",
	[REPL_DEGRADED]	= "degraded",
	[REPL_RESYNC]	= "resync",
};

/**
 * repl_sync_name - the word of the status line
 * @sync: how the legs are to each other
 */
const char *repl_sync_name(enum repl_sync sync)
{
	return sync_names[sync];
}

/*
 * What changes, is logged and raises an event
 */

static void event_work(struct work_struct *work)
{
	struct repl_pair *p = container_of(work, struct repl_pair, event_work);
	struct repl_primary *table;

	mutex_lock(&p->tables_lock);
	list_for_each_entry(table, &p->tables, list)
		dm_table_event(table->ti->table);
	mutex_unlock(&p->tables_lock);
}

static void errors_changed(struct repl_pair *p)
{
	WRITE_ONCE(p->error, repl_worst_error(p->errors));
	schedule_work(&p->event_work);
	repl_log_kick(p);
}

/**
 * repl_pair_error - record an error
 * @p: the pair
 * @error: which; it stands until its cause is gone, a message clears it, or a start or stop
 *
 * Context: any; p->lock held.
 */
void repl_pair_error(struct repl_pair *p, enum repl_error error)
{
	lockdep_assert_held(&p->lock);
	WRITE_ONCE(p->latest, error);
	if (p->errors & BIT(error))
		return;
	WRITE_ONCE(p->errors, p->errors | BIT(error));
	DMERR("%s: I/O error: %s", dm_device_name(p->md), repl_error_name(error));
	errors_changed(p);
}

/**
 * repl_local_error - record an error of the local device
 * @p: the pair
 * @write: a write failed; otherwise it was a flush, or a read of our own
 *
 * What a later read or flush can show to be over clears itself; see repl_pair_recovered().
 * What the writer has made of a failed write is not known here: that error stays.
 *
 * Context: any; p->lock held.
 */
void repl_local_error(struct repl_pair *p, bool write)
{
	p->local_stays |= write;
	repl_pair_error(p, REPL_LOCAL_IO);
}

/**
 * repl_pair_clear_errors - some errors do not stand any more
 * @p: the pair
 * @errors: which, a bit each
 *
 * Context: any; p->lock held.
 */
void repl_pair_clear_errors(struct repl_pair *p, unsigned int errors)
{
	unsigned long gone = errors & p->errors;
	unsigned int error;

	lockdep_assert_held(&p->lock);
	if (!gone)
		return;
	for_each_set_bit(error, &gone, REPL_NR_ERRORS)
		DMINFO("%s: I/O error %s is cleared", dm_device_name(p->md),
		       repl_error_name(error));
	WRITE_ONCE(p->errors, p->errors & ~gone);
	if (gone & BIT(REPL_LOCAL_IO))
		p->local_stays = false;
	errors_changed(p);
}

/**
 * repl_pair_recovered - clear the errors that being in sync shows to be over
 * @p: the pair
 *
 * The replica has everything, so it answers; and all that was to be read of the local
 * device has been read. A failed flush of that is over when another one has succeeded.
 *
 * Context: any; p->lock held.
 */
void repl_pair_recovered(struct repl_pair *p)
{
	unsigned int errors = BIT(REPL_REPLICA_IO);

	if (p->sync != REPL_INSYNC)
		return;
	if (!p->local_stays && !p->flush_failed)
		errors |= BIT(REPL_LOCAL_IO);
	repl_pair_clear_errors(p, errors);
}

/**
 * repl_pair_set_sync - the legs are to each other in another way
 * @p: the pair
 * @sync: how
 *
 * Context: any; p->lock held.
 */
void repl_pair_set_sync(struct repl_pair *p, enum repl_sync sync)
{
	lockdep_assert_held(&p->lock);
	if (p->sync == sync)
		return;
	DMINFO("%s: %s, was %s; %u of %u regions are dirty", dm_device_name(p->md),
	       repl_sync_name(sync), repl_sync_name(p->sync), p->nr_dirty, p->nr_regions);
	WRITE_ONCE(p->sync, sync);
	if (sync == REPL_INSYNC)
		p->insync_since = ktime_get_seconds();
	schedule_work(&p->event_work);
	repl_pair_recovered(p);
}

static void set_stage(struct repl_pair *p, enum repl_stage stage)
{
	lockdep_assert_held(&p->lock);
	DMINFO("%s: stage %s, was %s", dm_device_name(p->md), repl_stage_name(stage),
	       repl_stage_name(p->stage));
	WRITE_ONCE(p->errors, 0);
	p->local_stays = false;
	WRITE_ONCE(p->error, REPL_NO_ERROR);
	WRITE_ONCE(p->latest, REPL_NO_ERROR);
	WRITE_ONCE(p->stage, stage);
	schedule_work(&p->event_work);
}

/*
 * Messages
 */

/* Let what has to be done be done, after the stage was entered or the table resumed. */
static void begin(struct repl_pair *p)
{
	if (!p->local)
		return;
	repl_resync_kick(p);
	queue_delayed_work(p->idle_wq, &p->clean_work, HZ);
	mod_delayed_work(p->idle_wq, &p->retry_work, p->retry_seconds * HZ);
}

/**
 * repl_pair_start - enter stage running
 * @p: the pair, in stage none
 *
 * Context: may sleep; p->admin held.
 * Return: 0 or a negative errno.
 */
int repl_pair_start(struct repl_pair *p)
{
	bool insync = p->insync;
	int r = repl_log_stage(p, REPL_RUNNING);

	if (r)
		return r;
	spin_lock_irq(&p->lock);
	if (p->local) {
		repl_regions_all(p, !insync);
		/* A new metadata device has nothing clean. */
		if (p->log)
			repl_log_reset(p, insync);
		repl_pair_set_sync(p, insync ? REPL_INSYNC : REPL_RESYNC);
	}
	set_stage(p, REPL_RUNNING);
	spin_unlock_irq(&p->lock);
	begin(p);
	/* The stage is running now. If this fails, that is an error of a running primary. */
	repl_log_sync(p);
	return 0;
}

static bool in_sync(struct repl_pair *p)
{
	return READ_ONCE(p->sync) == REPL_INSYNC && !READ_ONCE(p->nr_dirty);
}

/* A flush of both legs, which are in sync before and after it. */
static int flush_in_sync(struct repl_pair *p)
{
	int r;

	if (!in_sync(p))
		return -ENODATA;
	r = repl_forward_flush(p);
	return r ?: in_sync(p) ? 0 : -ENODATA;
}

/**
 * repl_pair_stop - enter stage done
 * @p: the pair, in stage running
 *
 * The replica has everything then, durably, if it was in sync. That it is not, or fails
 * now, is no reason to go on with it.
 *
 * Context: may sleep, for a flush; p->admin held.
 * Return: 0 or a negative errno.
 */
int repl_pair_stop(struct repl_pair *p)
{
	int r;

	if (p->local)
		flush_in_sync(p);
	r = repl_log_stage(p, REPL_DONE);
	if (r)
		return r;
	spin_lock_irq(&p->lock);
	set_stage(p, REPL_DONE);
	repl_resync_unhold(p);
	spin_unlock_irq(&p->lock);
	return 0;
}

/**
 * repl_pair_checkpoint - make sure that the replica has everything, durably
 * @p: the pair, in stage running
 *
 * Raises an event, when it has.
 *
 * Context: may sleep, for a flush; p->admin held.
 * Return: 0; -ENODATA if it is not in sync; another negative errno if it cannot be
 * flushed.
 */
int repl_pair_checkpoint(struct repl_pair *p)
{
	int r = p->local ? flush_in_sync(p) : 0;

	if (!r)
		schedule_work(&p->event_work);
	return r;
}

/*
 * Suspending
 */

static bool is_quiet(struct repl_pair *p)
{
	bool quiet;

	spin_lock_irq(&p->lock);
	quiet = repl_resync_is_quiet(p);
	spin_unlock_irq(&p->lock);
	return quiet;
}

/**
 * repl_pair_suspend - have nothing of our own going on
 * @p: the pair, of which no bio is in flight
 *
 * Context: may sleep, for not much longer than the replica's timeout.
 */
void repl_pair_suspend(struct repl_pair *p)
{
	struct bio_list ended = BIO_EMPTY_LIST;
	bool noflush;

	if (!p->local)
		return;
	spin_lock_irq(&p->lock);
	p->suspended = true;
	/* Somebody is in a hurry, maybe to get rid of a replica: it need not answer. */
	noflush = p->requeue;
	if (noflush && p->stage == REPL_RUNNING && p->sync == REPL_DEGRADED)
		repl_replica_failed(p, REPL_REPLICA_IO, &ended);
	spin_unlock_irq(&p->lock);
	repl_end_bios(&ended);
	cancel_delayed_work_sync(&p->clean_work);
	cancel_delayed_work_sync(&p->retry_work);
	wait_event(p->quiet, is_quiet(p));
	if (p->stage == REPL_RUNNING && !noflush)
		repl_regions_clean(p, true);
	repl_log_sync(p);
	repl_log_end(p);
}

/**
 * repl_pair_resume - go on
 * @p: the pair
 *
 * Context: may sleep.
 */
void repl_pair_resume(struct repl_pair *p)
{
	spin_lock_irq(&p->lock);
	p->suspended = false;
	p->requeue = NULL;
	spin_unlock_irq(&p->lock);
	repl_log_begin(p);
	begin(p);
}

/* Another device is the replica from now on, if @swapped; else this may be behind. */
static void swap_replica(struct repl_pair *p, bool insync, bool swapped)
{
	bool forgotten = !insync && !repl_log_forget(p);

	if (!insync && !forgotten)
		DMWARN("%s: %s", dm_device_name(p->md),
		       "the metadata device cannot be told of the new replica: repair it by a reload, or zero its first 4 KiB before its next use");
	spin_lock_irq(&p->lock);
	/* What the old one had, it may not have had durably. */
	if (insync)
		repl_regions_dirty_written(p);
	else
		repl_regions_all(p, true);
	if (forgotten && p->log)
		repl_log_reset(p, false);
	if (swapped)
		repl_pair_clear_errors(p, BIT(REPL_REPLICA_IO));	/* of the one before */
	if (repl_late_io(p)) {
		repl_pair_error(p, REPL_REPLICA_IO);
		repl_pair_set_sync(p, REPL_DEGRADED);
	}
	if (p->sync == REPL_DEGRADED)
		p->resync_wanted |= swapped;
	else
		repl_pair_set_sync(p, p->nr_dirty ? REPL_RESYNC : REPL_INSYNC);
	p->retry_seconds = 1;
	p->stalled = false;
	p->trial = 0;
	spin_unlock_irq(&p->lock);
}

/* Whether something else was the device since the last table of the pair; it is this one now. */
static bool was_left(struct repl_primary *table)
{
	struct repl_pair *p = table->p;
	bool left;

	mutex_lock(&p->tables_lock);
	left = p->left;
	p->left = false;
	p->bound = table;
	mutex_unlock(&p->tables_lock);
	if (left && p->local && p->stage == REPL_RUNNING)
		DMWARN("%s: it was another target meanwhile: everything is dirty",
		       dm_device_name(p->md));
	return left;
}

/**
 * repl_pair_bind - a table is the pair's from now on
 * @table: the table, which is being resumed
 *
 * Context: may sleep; no bio is in flight.
 */
void repl_pair_bind(struct repl_primary *table)
{
	bool first, swapped, left, insync = table->insync;
	struct repl_pair *p = table->p;

	mutex_lock(&p->admin);
	first = !p->replica_nr;
	swapped = repl_replica_bind(table, &insync);
	if (insync != table->insync)
		DMWARN("%s: insync is not believed of a replica that older writes may still reach",
		       dm_device_name(p->md));
	left = was_left(table);
	insync &= !left;
	/* A later table's word is about what the first one's replica had. */
	p->insync = insync && (first || p->insync);
	spin_lock_irq(&p->lock);
	/* Before another metadata device is told of any region that it is clean. */
	if ((swapped || left) && !insync && p->local && p->stage == REPL_RUNNING)
		repl_regions_all(p, true);
	p->manual_resync = table->manual_resync;
	p->timeout = (table->timeout ?: REPL_REPLICA_TIMEOUT) * HZ;
	/* It may be waiting for a longer one to pass. */
	if (p->watching)
		mod_delayed_work(p->wq, &p->timeout_work, 0);
	/* As the metadata has it. */
	if (!table->resumed && p->stage == REPL_RUNNING && p->local && p->sync == REPL_FILTER)
		repl_pair_set_sync(p, p->nr_dirty ? REPL_RESYNC : REPL_INSYNC);
	spin_unlock_irq(&p->lock);
	if (!table->resumed)
		repl_log_bind(table);
	table->resumed = true;

	if (p->stage == REPL_NONE && !table->manual_start)
		repl_pair_start(p);
	else if ((swapped || left) && p->local && p->stage == REPL_RUNNING)
		swap_replica(p, insync, swapped);
	mutex_unlock(&p->admin);
}

/*
 * Coming and going
 */

static void pair_free(struct repl_pair *p)
{
	if (p->idle_wq)
		destroy_workqueue(p->idle_wq);
	if (p->send_wq)
		destroy_workqueue(p->send_wq);
	if (p->wq)
		destroy_workqueue(p->wq);
	repl_log_destroy(p);
	flush_work(&p->event_work);
	repl_forward_destroy(p);
	repl_regions_destroy(p);
	kvfree(p);
}

static dev_t dev_nr(const struct dm_dev *dev)
{
	return dev ? dev->bdev->bd_dev : 0;
}

static void pair_init(struct repl_pair *p, struct repl_primary *table, u32 region_sectors)
{
	p->md = dm_table_get_md(table->ti->table);
	p->local_nr = dev_nr(table->local);
	p->local = table->local ? table->local->bdev : NULL;
	p->len = table->ti->len;
	p->suspended = true;
	p->region_sectors = region_sectors;
	p->region_shift = __ffs(region_sectors);
	if (p->local)
		p->nr_regions = DIV_ROUND_UP_ULL(p->len, region_sectors);

	spin_lock_init(&p->lock);
	INIT_LIST_HEAD(&p->jobs);
	INIT_LIST_HEAD(&p->free_jobs);
	INIT_LIST_HEAD(&p->replicas);
	bio_list_init(&p->blocked);
	bio_list_init(&p->held);
	bio_list_init(&p->throttled);
	bio_list_init(&p->throttled_zeroes);
	bio_list_init(&p->runnable);
	INIT_WORK(&p->run_work, repl_primary_run_work);
	INIT_WORK(&p->event_work, event_work);
	INIT_DELAYED_WORK(&p->timeout_work, repl_timeout_work);
	INIT_DELAYED_WORK(&p->clean_work, repl_clean_work);
	repl_resync_init(p);
	init_waitqueue_head(&p->quiet);
	mutex_init(&p->admin);
	mutex_init(&p->tables_lock);
	INIT_LIST_HEAD(&p->tables);
	INIT_LIST_HEAD(&p->logs);
	INIT_LIST_HEAD(&p->list);
}

static struct repl_pair *pair_create(struct repl_primary *table, u32 region_sectors)
{
	struct repl_pair *p = kvzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		goto no_memory;
	pair_init(p, table, region_sectors);
	p->wq = alloc_workqueue("dm-repl-primary", WQ_MEM_RECLAIM | COMPAT_WQ_PERCPU, 0);
	p->send_wq = alloc_workqueue("dm-repl-send", WQ_MEM_RECLAIM | COMPAT_WQ_PERCPU, 0);
	p->idle_wq = alloc_workqueue("dm-repl-idle", COMPAT_WQ_PERCPU, 0);
	if (!p->wq || !p->send_wq || !p->idle_wq)
		goto bad;
	if (p->local && (repl_regions_create(p) || repl_forward_create(p)))
		goto bad;
	return p;
bad:
	pair_free(p);
no_memory:
	return ERR_PTR(repl_refuse(table->ti, -ENOMEM, "Out of memory for the primary"));
}

/* Also that of a table which is not in use yet. */
static bool is_replica_of(struct repl_pair *p, dev_t nr)
{
	struct repl_replica *to;
	bool found = false;

	spin_lock_irq(&p->lock);
	list_for_each_entry(to, &p->replicas, list)
		found |= to->nr == nr;
	spin_unlock_irq(&p->lock);
	return found;
}

static bool pair_is(struct repl_pair *p, struct repl_primary *table, u32 region_sectors)
{
	return p->md == dm_table_get_md(table->ti->table) &&
		p->local_nr == dev_nr(table->local) &&
		repl_log_takes(p, dev_nr(table->metadata)) &&
		!(table->metadata && is_replica_of(p, dev_nr(table->metadata))) &&
		!repl_log_uses(p, dev_nr(table->replica_dev)) &&
		p->len == table->ti->len && p->region_sectors == region_sectors;
}

static bool pair_uses(struct repl_pair *p, const struct dm_dev *dev)
{
	dev_t nr = dev_nr(dev);

	return nr && (nr == p->local_nr || repl_log_uses(p, nr) ||
		      (p->local_nr && is_replica_of(p, nr)));
}

/* A live primary's users know how small a block it takes. */
static int check_promise(struct repl_pair *p, struct repl_primary *table)
{
	unsigned int promised = queue_logical_block_size(dm_disk(p->md)->queue);
	struct dm_target *ti = table->ti;
	bool live;
	int r = 0;

	mutex_lock(&p->tables_lock);
	live = p->bound;
	mutex_unlock(&p->tables_lock);
	if (!live)
		return 0;
	if (table->local)
		r = repl_check_blocks(ti, "local device", table->local->bdev, "live primary",
				      promised);
	return r ?: repl_check_blocks(ti, "replica", table->replica_dev->bdev, "live primary",
				      promised);
}

/* repl_pairs_lock held. The pair to share, NULL for a new one, or a refusal. */
static struct repl_pair *pair_lookup(struct repl_primary *table, u32 region_sectors)
{
	struct repl_pair *p, *found = NULL;

	list_for_each_entry(p, &repl_pairs, list) {
		if (p->nr_tables && pair_is(p, table, region_sectors)) {
			int r = check_promise(p, table);

			if (r)
				return ERR_PTR(r);
			found = p;
		} else if (pair_uses(p, table->local) || pair_uses(p, table->metadata) ||
			 pair_uses(p, table->replica_dev))
			return ERR_PTR(repl_refuse(table->ti, -EBUSY,
						   "A device belongs to the live primary %s, or is the replica of one of its tables; a reload keeps its length, local and metadata device and region size",
						   dm_device_name(p->md)));
	}
	return found;
}

/* Whether nothing of ours is out. */
static bool is_gone(struct repl_pair *p)
{
	bool gone;

	spin_lock_irq(&p->lock);
	gone = list_empty(&p->jobs) && repl_resync_is_quiet(p) && !repl_late_io(p);
	spin_unlock_irq(&p->lock);
	return gone;
}

static void cancel_works(struct repl_pair *p)
{
	cancel_delayed_work_sync(&p->clean_work);
	cancel_delayed_work_sync(&p->retry_work);
	cancel_delayed_work_sync(&p->timeout_work);
}

/* The device goes, and not only a table of it. */
static bool is_removed(struct mapped_device *md)
{
	if (dm_hold(md))
		return true;
	dm_put(md);
	return false;
}

/*
 * A table that was in use goes, and what has come after it is no table of the pair: what
 * that writes to the local device, nobody here knows.
 */
static void table_del(struct repl_primary *table)
{
	struct repl_pair *p = table->p;
	bool left = false;

	mutex_lock(&p->admin);
	mutex_lock(&p->tables_lock);
	list_del(&table->list);
	if (p->bound == table) {
		p->bound = NULL;
		p->left = true;
		left = !is_removed(p->md);
	}
	mutex_unlock(&p->tables_lock);
	if (left && p->stage == REPL_RUNNING && repl_log_forget(p))
		DMWARN("%s: %s", dm_device_name(p->md),
		       "the metadata device cannot be told of the other target: repair it by a reload, or zero its first 4 KiB before its next use");
	mutex_unlock(&p->admin);
}

/* Nobody finds the pair by this table any more; @last: nor by another one. */
static void release(struct repl_primary *table, bool last)
{
	struct repl_pair *p = table->p;

	if (last) {
		spin_lock_irq(&p->lock);
		p->suspended = true;
		spin_unlock_irq(&p->lock);
		wait_event(p->quiet, is_gone(p));
		cancel_works(p);
	}
	repl_log_put(table);
	repl_replica_put(table);
	/* Tables with other replicas may still wait for these. */
	mutex_lock(&repl_pairs_lock);
	last = !--p->nr_refs;
	/* Not before: nobody else may have the devices till now. */
	if (last)
		list_del(&p->list);
	mutex_unlock(&repl_pairs_lock);
	if (!last)
		return;
	cancel_works(p);	/* what came back late has begun a retry */
	pair_free(p);
}

static void put(struct repl_primary *table)
{
	bool last;

	mutex_lock(&repl_pairs_lock);
	last = !--table->p->nr_tables;
	mutex_unlock(&repl_pairs_lock);
	release(table, last);
}

/**
 * repl_pair_put - a table goes
 * @table: the table
 *
 * What a replica still has of our I/O cannot be taken back: if it is this table's
 * alone, it is waited for.
 *
 * Context: may sleep; no bio is in flight.
 */
void repl_pair_put(struct repl_primary *table)
{
	table_del(table);
	put(table);
}

/*
 * Its own metadata device, or the pair's, and a replica. Nobody else gets them from now on.
 * repl_pairs_lock held.
 */
static int get_parts(struct repl_primary *table)
{
	if (table->metadata && repl_log_get(table))
		return repl_refuse(table->ti, -ENOMEM, "Out of memory for the metadata");
	table->replica = repl_replica_create(table->p, table->replica_dev->bdev);
	if (!table->replica)
		return repl_refuse(table->ti, -ENOMEM, "Out of memory for the replica");
	return 0;
}

/* Not under repl_pairs_lock: the device may not answer, and others do not need it. */
static int read_metadata(struct repl_primary *table)
{
	dev_t nr = dev_nr(table->metadata);
	char why[192];
	int r = repl_log_open(table, why, sizeof(why));

	if (r)
		repl_refuse(table->ti, r, "Metadata device %u:%u: %s", MAJOR(nr), MINOR(nr), why);
	return r;
}

/**
 * repl_pair_get - find or make the pair and the replica of a table
 * @table: the table under construction, with its devices open
 * @region_sectors: the region size
 *
 * The pair is shared with an earlier table, or new, and then in stage none, or as its
 * metadata has it.
 *
 * Context: may sleep.
 * Return: 0; or a negative errno, with ti->error set.
 */
int repl_pair_get(struct repl_primary *table, u32 region_sectors)
{
	struct repl_pair *p;
	int r = 0;

	/* No resume takes this lock, so memory may be waited for under it. No device is. */
	mutex_lock(&repl_pairs_lock);
	p = pair_lookup(table, region_sectors);
	if (!p) {
		p = pair_create(table, region_sectors);
		if (!IS_ERR(p))
			list_add(&p->list, &repl_pairs);
	}
	if (!IS_ERR(p)) {
		p->nr_refs++;
		p->nr_tables++;
		table->p = p;
		r = get_parts(table);
	}
	mutex_unlock(&repl_pairs_lock);
	if (IS_ERR(p))
		return PTR_ERR(p);
	r = r ?: read_metadata(table);
	if (r) {
		put(table);
		return r;
	}
	mutex_lock(&p->tables_lock);
	list_add(&table->list, &p->tables);
	mutex_unlock(&p->tables_lock);
	return 0;
}
