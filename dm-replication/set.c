// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sets: the state of one secondary, found again by the tables of its view and by
 * its ingresses, and how it comes and goes.
 *
 * A set lives as long as a table of its view does, its memory as long as any
 * face: an ingress whose top is gone finds it dead, in stage none.
 */
#include <linux/slab.h>

#include "compat.h"
#include "replication.h"

static DEFINE_MUTEX(repl_sets_lock);
static LIST_HEAD(repl_sets);
static u64 repl_sets_gone;		/* repl_sets_lock; how many there have been */

static void set_free(struct kref *ref)
{
	struct repl_set *rs = container_of(ref, struct repl_set, ref);

	flush_work(&rs->event_work);
	repl_cache_close(rs);
	if (rs->wq)
		destroy_workqueue(rs->wq);
	repl_commit_destroy(rs);
	repl_copies_destroy(rs);
	repl_reclaim_destroy(rs);
	repl_gate_destroy(&rs->view_gate);
	repl_gate_destroy(&rs->ingress_gate);
	repl_map_destroy(rs);
	kfree(rs);
}

/* 0: there is none. */
static dev_t dev_nr(const struct dm_dev *dev)
{
	return dev ? dev->bdev->bd_dev : 0;
}

static void init_lanes(struct repl_set *rs)
{
	struct repl_lane *lane;

	for (lane = rs->lane; lane < rs->lane + REPL_NR_USERS; lane++) {
		lane->rs = rs;
		INIT_LIST_HEAD(&lane->runnable);
		INIT_WORK(&lane->run_work, repl_run_work);
		INIT_LIST_HEAD(&lane->throttled);
		init_llist_head(&lane->done_copies);
		INIT_WORK(&lane->copy_work, repl_copy_work);
	}
	rs->lane[REPL_VIEW].gate = &rs->view_gate;
	rs->lane[REPL_INGRESS].gate = &rs->ingress_gate;
}

static void set_init(struct repl_set *rs, struct dm_target *ti,
		     struct dm_dev *const dev[], u32 chunk_sectors)
{
	int i;

	rs->md = dm_table_get_md(ti->table);
	rs->devt = disk_devt(dm_disk(rs->md));
	for (i = 0; i < REPL_NR_DEVS; i++) {
		rs->bdev[i] = dev[i] ? dev[i]->bdev : NULL;
		rs->dev_nr[i] = dev_nr(dev[i]);
	}
	rs->len = ti->len;
	rs->chunk_sectors = chunk_sectors;
	rs->chunk_shift = __ffs(chunk_sectors);
	rs->nr_chunks = (rs->len + chunk_sectors - 1) >> rs->chunk_shift;
	rs->nr_regions = DIV_ROUND_UP_ULL(rs->nr_chunks, REPL_REGION_CHUNKS);

	kref_init(&rs->ref);
	INIT_LIST_HEAD(&rs->list);
	spin_lock_init(&rs->wait_lock);
	INIT_LIST_HEAD(&rs->held);
	INIT_LIST_HEAD(&rs->free_copies);
	init_lanes(rs);
	spin_lock_init(&rs->lost.lock);
	mutex_init(&rs->admin);
	mutex_init(&rs->faces_lock);
	INIT_LIST_HEAD(&rs->faces);
	INIT_WORK(&rs->event_work, repl_event_work);
	repl_cache_init(rs);
	repl_merge_init(rs);
}

static int set_open_metadata(struct repl_set *rs, struct dm_target *ti)
{
	dev_t dev = rs->dev_nr[REPL_METADATA];
	char view[DM_UUID_LEN] = "", why[256];
	int r;

	dm_copy_name_and_uuid(rs->md, NULL, view);
	r = repl_commit_create(rs, view, why, sizeof(why));
	if (r)
		return repl_refuse(ti, r, "Metadata device %u:%u: %s", MAJOR(dev),
				   MINOR(dev), why);
	/* What a merge that was under way has yet to do. */
	if (rs->stage == REPL_FAILOVER || rs->stage == REPL_FAILOVER_FAILED)
		rs->merge.total = atomic64_read(&rs->nr_held);
	return 0;
}

static struct repl_set *set_create(struct dm_target *ti, struct dm_dev *const dev[],
				   u32 chunk_sectors)
{
	struct repl_set *rs = kzalloc(sizeof(*rs), GFP_KERNEL);
	const char *what = "set";
	int r;

	if (!rs)
		goto bad;
	set_init(rs, ti, dev, chunk_sectors);

	what = "maps; a larger chunk size takes less";
	if (repl_map_create(rs))
		goto bad;
	what = "gates";
	if (repl_gate_init(&rs->view_gate) || repl_gate_init(&rs->ingress_gate))
		goto bad;
	what = "workqueue";
	rs->wq = alloc_workqueue("dm-replication", WQ_MEM_RECLAIM | COMPAT_WQ_PERCPU, 0);
	if (!rs->wq)
		goto bad;
	what = "list of what is to be given back";
	if (repl_reclaim_create(rs))
		goto bad;
	what = "copies";
	if (repl_copies_create(rs))
		goto bad;
	if (!rs->bdev[REPL_METADATA])
		return rs;
	r = set_open_metadata(rs, ti);
	if (!r)
		return rs;
	kref_put(&rs->ref, set_free);
	return ERR_PTR(r);
bad:
	if (rs)
		kref_put(&rs->ref, set_free);
	return ERR_PTR(repl_refuse(ti, -ENOMEM, "Out of memory for the %s", what));
}

static bool set_uses(struct repl_set *rs, dev_t dev)
{
	int i;

	for (i = 0; i < REPL_NR_DEVS; i++)
		if (rs->dev_nr[i] == dev)
			return true;
	return false;
}

/* The same view, devices and geometry: a reload, which keeps the state. */
static bool set_is(struct repl_set *rs, struct dm_target *ti,
		   struct dm_dev *const dev[], u32 chunk_sectors)
{
	int i;

	for (i = 0; i < REPL_NR_DEVS; i++)
		if (rs->dev_nr[i] != dev_nr(dev[i]))
			return false;
	return rs->md == dm_table_get_md(ti->table) && rs->len == ti->len &&
		rs->chunk_sectors == chunk_sectors;
}

/* repl_sets_lock held. The set to share, NULL for a new one, or a refusal. */
static struct repl_set *set_lookup(struct dm_target *ti, struct dm_dev *const dev[],
				   u32 chunk_sectors)
{
	struct repl_set *rs;
	int i;

	list_for_each_entry(rs, &repl_sets, list) {
		if (rs->nr_views && set_is(rs, ti, dev, chunk_sectors)) {
			rs->nr_views++;
			kref_get(&rs->ref);
			return rs;
		}
		for (i = 0; i < REPL_NR_DEVS; i++)
			if (dev[i] && set_uses(rs, dev_nr(dev[i]))) {
				repl_refuse(ti, -EBUSY,
					    "Device %s belongs to the live secondary %u:%u; a reload keeps its length, devices and chunk size",
					    dev[i]->name, MAJOR(rs->devt), MINOR(rs->devt));
				return ERR_PTR(-EBUSY);
			}
	}
	return NULL;
}

/**
 * repl_set_get - the set for a table of a view
 * @ti: the target under construction
 * @dev: the devices, opened by the table
 * @chunk_sectors: the chunk size
 *
 * Context: may sleep.
 * Return: the set, shared with an earlier table of the same view or new, in stage
 * none or as its metadata has it; or an ERR_PTR(), with ti->error set.
 */
struct repl_set *repl_set_get(struct dm_target *ti, struct dm_dev *const dev[],
			      u32 chunk_sectors)
{
	struct repl_set *rs, *new;
	bool again = false;
	u64 gone;

	do {
		mutex_lock(&repl_sets_lock);
		gone = repl_sets_gone;
		rs = set_lookup(ti, dev, chunk_sectors);
		mutex_unlock(&repl_sets_lock);
		if (rs)
			return rs;

		/* Not under the lock: a resume takes it too, and memory may wait for that. */
		new = set_create(ti, dev, chunk_sectors);
		if (IS_ERR(new))
			return new;

		mutex_lock(&repl_sets_lock);
		rs = set_lookup(ti, dev, chunk_sectors);
		/* Another may have come and gone, and left other metadata than we have read. */
		again = !rs && gone != repl_sets_gone;
		if (!rs && !again) {
			list_add(&new->list, &repl_sets);
			new->nr_views = 1;
		}
		mutex_unlock(&repl_sets_lock);
		if (rs || again)
			kref_put(&new->ref, set_free);
	} while (again);
	return rs ?: new;
}

/**
 * repl_set_find - the set whose view an ingress names
 * @view: the view's number
 *
 * Context: may sleep.
 * Return: the set, to be put by repl_set_put(); NULL if this is no view.
 */
struct repl_set *repl_set_find(dev_t view)
{
	struct repl_set *rs, *found = NULL;

	mutex_lock(&repl_sets_lock);
	list_for_each_entry(rs, &repl_sets, list)
		if (rs->live && rs->devt == view) {
			kref_get(&rs->ref);
			found = rs;
			break;
		}
	mutex_unlock(&repl_sets_lock);
	return found;
}

/**
 * repl_set_bind - make this set the one of its view
 * @rs: the set of a table that is being resumed
 *
 * Context: may sleep.
 */
void repl_set_bind(struct repl_set *rs)
{
	struct repl_set *other;
	bool first;

	mutex_lock(&repl_sets_lock);
	list_for_each_entry(other, &repl_sets, list)
		if (other != rs && other->md == rs->md)
			other->live = false;
	first = !rs->live;
	rs->live = true;
	mutex_unlock(&repl_sets_lock);
	if (first)
		repl_cache_foreign(rs);
}

/**
 * repl_set_put_view - a table of the view goes
 * @rs: its set
 *
 * With the last one, a merge under way is first brought to its end, for without
 * metadata the maps are nowhere else; then what the ingress has in flight. With
 * metadata all of it is there afterwards. If the device has another table now, that
 * one does not show the pages of the view.
 *
 * Context: may sleep; no I/O of the view is left.
 */
void repl_set_put_view(struct repl_set *rs)
{
	bool last, live;

	mutex_lock(&repl_sets_lock);
	last = !--rs->nr_views;
	live = rs->live;
	if (last)
		rs->live = false;
	mutex_unlock(&repl_sets_lock);

	if (last) {
		repl_merge_finish(rs);
		repl_reclaim_pause(rs);
		repl_quiesce(rs);
		repl_commit_sync(rs);
		WRITE_ONCE(rs->stage, REPL_NONE);
		WRITE_ONCE(rs->shown_stage, REPL_NONE);
		repl_unquiesce(rs);
		repl_commit_close(rs);
		repl_cache_close(rs);
		if (live)
			repl_cache_forget(rs->md);

		/* Not before: nobody else may have the devices till now. */
		mutex_lock(&repl_sets_lock);
		list_del(&rs->list);
		repl_sets_gone++;
		mutex_unlock(&repl_sets_lock);
	}
	repl_set_put(rs);
}

/**
 * repl_set_put - drop a reference
 * @rs: the set
 *
 * Context: may sleep.
 */
void repl_set_put(struct repl_set *rs)
{
	kref_put(&rs->ref, set_free);
}

/**
 * repl_face_add - a table wants the events of its set
 * @face: the table
 *
 * Context: may sleep.
 */
void repl_face_add(struct repl_face *face)
{
	mutex_lock(&face->rs->faces_lock);
	list_add(&face->list, &face->rs->faces);
	mutex_unlock(&face->rs->faces_lock);
}

/**
 * repl_face_del - a table goes
 * @face: the table
 *
 * Context: may sleep.
 */
void repl_face_del(struct repl_face *face)
{
	mutex_lock(&face->rs->faces_lock);
	list_del(&face->list);
	mutex_unlock(&face->rs->faces_lock);
}
