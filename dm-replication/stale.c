// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata devices that are out of date. A failover goes on in memory if its metadata
 * device fails, and that device may come back with the stage before it. To believe it
 * would be to merge again, old data over new. So it is remembered, as long as the module
 * is loaded, which set has which stage. A primary is in stage running here if its metadata
 * device does not know which regions differ: the primary goes on without that device, or
 * could not tell it of another replica or of another target in between.
 */
#include <linux/slab.h>

#include "replication.h"

struct stale {
	struct list_head list;
	u8 uuid[REPL_META_UUID_BYTES];	/* of the superblock */
	enum repl_stage stage;		/* what it should have */
};

static DEFINE_MUTEX(stale_lock);
static LIST_HEAD(stale_list);		/* stale_lock */

/* stale_lock held */
static struct stale *find(const u8 *uuid)
{
	struct stale *stale;

	list_for_each_entry(stale, &stale_list, list)
		if (!memcmp(stale->uuid, uuid, sizeof(stale->uuid)))
			return stale;
	return NULL;
}

/**
 * repl_stale_add - remember that a metadata device lacks a stage
 * @uuid: of its superblock
 * @stage: the stage
 *
 * Context: may sleep.
 */
void repl_stale_add(const u8 *uuid, enum repl_stage stage)
{
	struct stale *stale;

	mutex_lock(&stale_lock);
	stale = find(uuid);
	if (!stale) {
		/* So small that it does not fail. */
		stale = kzalloc(sizeof(*stale), GFP_NOIO);
		if (stale) {
			memcpy(stale->uuid, uuid, sizeof(stale->uuid));
			list_add(&stale->list, &stale_list);
		}
	}
	if (stale)
		stale->stage = stage;
	mutex_unlock(&stale_lock);
}

/**
 * repl_stale_del - a metadata device has the stage of its set
 * @uuid: of its superblock
 *
 * Context: may sleep.
 */
void repl_stale_del(const u8 *uuid)
{
	struct stale *stale;

	mutex_lock(&stale_lock);
	stale = find(uuid);
	if (stale)
		list_del(&stale->list);
	mutex_unlock(&stale_lock);
	kfree(stale);
}

/**
 * repl_stale_stage - what a metadata device should say
 * @uuid: of its superblock
 *
 * Context: may sleep.
 * Return: the stage; REPL_NONE if nothing is known against the device.
 */
enum repl_stage repl_stale_stage(const u8 *uuid)
{
	struct stale *stale;
	enum repl_stage stage;

	mutex_lock(&stale_lock);
	stale = find(uuid);
	stage = stale ? stale->stage : REPL_NONE;
	mutex_unlock(&stale_lock);
	return stage;
}

/**
 * repl_stale_forget - the module goes
 *
 * Context: may sleep.
 */
void repl_stale_forget(void)
{
	struct stale *stale, *next;

	list_for_each_entry_safe(stale, next, &stale_list, list)
		kfree(stale);
}
