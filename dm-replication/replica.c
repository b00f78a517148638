// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replicas: a pair has one after the other, and each may keep what it has of our I/O
 * for as long as it likes. So each has means of its own to send and to copy, and one
 * that hangs holds up nothing of the next. The table that had it waits for it when it
 * goes, for that I/O has the device open.
 *
 * What comes late from a replica before may overwrite what is newer, if it is the same
 * disk: by its number, or because the table says insync of another one. Then nothing is
 * copied before all of it is back, as where the replica is the same.
 */
#include <linux/blk-mq.h>
#include <linux/dm-kcopyd.h>
#include <linux/slab.h>

#include "compat.h"
#include "primary.h"

/* It is on no list. */
static void replica_free(struct repl_replica *to)
{
	unsigned int i;

	for (i = 0; to->slots && i < REPL_RESYNC_SLOTS; i++)
		repl_region_slot_destroy(&to->slots[i]);
	if (to->kcopyd)
		dm_kcopyd_client_destroy(to->kcopyd);
	if (to->probe_page)
		__free_page(to->probe_page);
	kfree(to->slots);
	kfree(to);
}

/**
 * repl_replica_create - a replica for a table
 * @p: the pair
 * @bdev: the device
 *
 * Context: may sleep.
 * Return: the replica, which the table has; NULL: out of memory.
 */
struct repl_replica *repl_replica_create(struct repl_pair *p, struct block_device *bdev)
{
	struct repl_replica *to = kzalloc(sizeof(*to), GFP_KERNEL);
	struct dm_kcopyd_client *client;
	unsigned int i;

	if (!to)
		return NULL;
	to->slots = kcalloc(REPL_RESYNC_SLOTS, sizeof(*to->slots), GFP_KERNEL);
	if (!to->slots)
		goto bad;
	to->p = p;
	to->bdev = bdev;
	to->nr = bdev->bd_dev;
	to->nr_tables = 1;
	INIT_LIST_HEAD(&to->list);
	INIT_LIST_HEAD(&to->unsent);
	INIT_WORK(&to->send_work, repl_send_work);
	INIT_DELAYED_WORK(&to->resync_work, repl_resync_work);
	if (p->local) {
		/* Not shared: a read of it that was abandoned may still end. */
		to->probe_page = alloc_page(GFP_KERNEL);
		if (!to->probe_page)
			goto bad;
		for (i = 0; i < REPL_RESYNC_SLOTS; i++)
			if (repl_region_slot_create(&to->slots[i], to))
				goto bad;
		client = dm_kcopyd_client_create(NULL);
		if (IS_ERR(client))
			goto bad;
		to->kcopyd = client;
	}
	spin_lock_irq(&p->lock);
	list_add(&to->list, &p->replicas);
	spin_unlock_irq(&p->lock);
	return to;
bad:
	replica_free(to);
	return NULL;
}

/*
 * Whether to submit to it may take as long as it likes. A device that is stacked on others
 * does not say what they do: a dm device over nbd takes REQ_NOWAIT, and then nbd's driver
 * sleeps until its socket has room, in the task that submits, be it when that task's plug
 * is flushed. So only a driver of hardware, or of memory, is believed.
 */
static bool may_block(struct block_device *bdev)
{
	struct request_queue *q = bdev_get_queue(bdev);

	if (!bdev_nowait(bdev))
		return true;
	if (!q->tag_set)
		return !compat_bdev_synchronous(bdev);
	return q->tag_set->flags & (BLK_MQ_F_BLOCKING | BLK_MQ_F_STACKING);
}

/*
 * Which of the replicas before may still write to the disk of the next one. p->lock held.
 * False: one that has been followed by others, and has I/O out, is it again, so that
 * nothing is known of what the two have in common.
 */
static bool find_late(struct repl_pair *p, dev_t next, bool insync)
{
	struct repl_replica *to;
	bool known = true;

	list_for_each_entry(to, &p->replicas, list) {
		to->late = to->nr == next || (insync && (to == p->replica || to->late));
		if (to->late && to->nr_abandoned && to != p->replica)
			known = false;
	}
	return known;
}

/**
 * repl_replica_bind - the replica of a table is the pair's from now on
 * @table: the table, which is being resumed
 * @insync: what the table says of another replica than before; false if it cannot be
 *	    known, for there is late I/O
 *
 * If it is the one that the pair has, the table shares it.
 *
 * Context: may sleep; no bio is in flight, p->admin held.
 * Return: whether there was another one before.
 */
bool repl_replica_bind(struct repl_primary *table, bool *insync)
{
	struct repl_replica *own = table->replica, *to;
	struct repl_pair *p = table->p;
	bool swapped;

	spin_lock_irq(&p->lock);
	swapped = p->replica_nr && p->replica_nr != own->nr;
	if (swapped && !find_late(p, own->nr, *insync))
		*insync = false;
	if (!p->replica || swapped) {
		WRITE_ONCE(p->replica, own);
		p->replica_nr = own->nr;
	} else if (p->replica != own) {
		list_del(&own->list);
		table->replica = p->replica;
		table->replica->nr_tables++;
	}
	to = table->replica;
	to->bdev = table->replica_dev->bdev;
	to->blocks = may_block(to->bdev);
	spin_unlock_irq(&p->lock);
	if (to != own)
		replica_free(own);
	return swapped;
}

/* A table does not need it any more. False: it is the last, and has to wait. */
static bool let_go(struct repl_replica *to, bool *last)
{
	struct repl_pair *p = to->p;
	bool gone;

	spin_lock_irq(&p->lock);
	*last = to->nr_tables == 1;
	gone = !*last || !to->nr_abandoned;
	if (gone)
		to->nr_tables--;
	if (gone && *last) {
		list_del(&to->list);
		if (p->replica == to)
			p->replica = NULL;
	}
	spin_unlock_irq(&p->lock);
	return gone;
}

/**
 * repl_replica_put - a table goes
 * @table: the table
 *
 * If nobody else has its replica, what that still has of our I/O is waited for.
 *
 * Context: may sleep.
 */
void repl_replica_put(struct repl_primary *table)
{
	struct repl_replica *to = table->replica;
	bool last;

	if (!to)
		return;
	wait_event(to->p->quiet, let_go(to, &last));
	if (!last)
		return;
	cancel_work_sync(&to->send_work);
	cancel_delayed_work_sync(&to->resync_work);
	replica_free(to);
}

/**
 * repl_late_io - may what was abandoned still reach the disk that is the replica now?
 * @p: the pair
 *
 * Context: any; p->lock held.
 */
bool repl_late_io(struct repl_pair *p)
{
	struct repl_replica *to;

	lockdep_assert_held(&p->lock);
	list_for_each_entry(to, &p->replicas, list)
		if ((to == p->replica || to->late) && to->nr_abandoned)
			return true;
	return false;
}

/**
 * repl_late_back - I/O that was abandoned is over
 * @to: the replica that had it
 *
 * Context: any; p->lock held.
 */
void repl_late_back(struct repl_replica *to)
{
	struct repl_pair *p = to->p;

	lockdep_assert_held(&p->lock);
	to->nr_abandoned--;
	if (!repl_late_io(p))
		repl_retry(p);
	wake_up_all(&p->quiet);
}
