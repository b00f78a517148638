/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that we support, and nothing else. REPL_HAVE_X
 * is defined if compat/x.c compiles; see Kbuild.compat.
 */
#ifndef DM_REPLICATION_COMPAT_H
#define DM_REPLICATION_COMPAT_H

#include <linux/blkdev.h>
#include <linux/workqueue.h>

#include "compat-probed.h"

/* struct folio_batch */
#if defined(REPL_HAVE_FOLIO_BATCH_H)
#include <linux/folio_batch.h>
#elif defined(REPL_HAVE_PAGEVEC_H)
#include <linux/pagevec.h>
#endif

/**
 * compat_open_shared - open a block device without claiming it
 * @dev: its number
 *
 * What is open cannot be removed; but unlike dm_get_device() this leaves the
 * device free to be mounted. Process context, may sleep.
 *
 * Return: what compat_close_shared() takes, or an ERR_PTR().
 */
static inline void *compat_open_shared(dev_t dev)
{
#if defined(REPL_HAVE_BDEV_FILE_OPEN_BY_DEV)
	return bdev_file_open_by_dev(dev, BLK_OPEN_READ, NULL, NULL);
#elif defined(REPL_HAVE_BDEV_OPEN_BY_DEV)
	return bdev_open_by_dev(dev, BLK_OPEN_READ, NULL, NULL);
#elif defined(REPL_HAVE_BLKDEV_PUT_HOLDER)
	return blkdev_get_by_dev(dev, BLK_OPEN_READ, NULL, NULL);
#elif defined(REPL_HAVE_BLKDEV_PUT_MODE)
	return blkdev_get_by_dev(dev, FMODE_READ, NULL);
#endif
}

/**
 * compat_close_shared - close what compat_open_shared() opened
 * @opened: what it returned
 *
 * Process context, may sleep.
 */
static inline void compat_close_shared(void *opened)
{
#if defined(REPL_HAVE_BDEV_FILE_OPEN_BY_DEV)
	bdev_fput(opened);
#elif defined(REPL_HAVE_BDEV_OPEN_BY_DEV)
	bdev_release(opened);
#elif defined(REPL_HAVE_BLKDEV_PUT_HOLDER)
	blkdev_put(opened, NULL);
#elif defined(REPL_HAVE_BLKDEV_PUT_MODE)
	blkdev_put(opened, FMODE_READ);
#endif
}

/**
 * compat_bdev_mapping - the page cache of a block device
 * @bdev: the device
 */
static inline struct address_space *compat_bdev_mapping(struct block_device *bdev)
{
#if defined(REPL_HAVE_BD_MAPPING)
	return bdev->bd_mapping;
#elif defined(REPL_HAVE_BD_INODE)
	return bdev->bd_inode->i_mapping;
#endif
}

/**
 * compat_bdev_synchronous - is a block device done with I/O when it has been submitted?
 * @bdev: the device
 *
 * Memory is, such as a RAM disk. What is stacked on such a device does not count as one.
 */
static inline bool compat_bdev_synchronous(struct block_device *bdev)
{
#if defined(REPL_HAVE_BDEV_SYNCHRONOUS)
	return bdev_synchronous(bdev);
#elif defined(REPL_HAVE_RW_PAGE)
	return bdev->bd_disk->fops->rw_page;
#endif
}

/**
 * compat_limits_no_poll - say in a table's limits that its device is not polled
 * @limits: of ->io_hints
 */
static inline void compat_limits_no_poll(struct queue_limits *limits)
{
#if defined(REPL_HAVE_BLK_FEAT_POLL)
	limits->features &= ~BLK_FEAT_POLL;
#endif
}

/**
 * compat_queue_no_poll - say it of the device's queue, where limits cannot
 * @q: the queue, whose table is being resumed
 */
static inline void compat_queue_no_poll(struct request_queue *q)
{
#if defined(REPL_HAVE_QUEUE_FLAG_POLL) && !defined(REPL_HAVE_BLK_FEAT_POLL)
	blk_queue_flag_clear(QUEUE_FLAG_POLL, q);
#endif
}

/**
 * compat_claim - keep others from opening a block device exclusively
 * @bdev: the device
 * @holder: any address, which bd_abort_claiming() takes to let them again
 *
 * Process context, may sleep until another's exclusive open is over.
 *
 * Return: 0 or -EBUSY: it is open exclusively.
 */
static inline int compat_claim(struct block_device *bdev, void *holder)
{
#if defined(REPL_HAVE_BD_PREPARE_TO_CLAIM_OPS)
	return bd_prepare_to_claim(bdev, holder, NULL);
#elif defined(REPL_HAVE_BD_PREPARE_TO_CLAIM)
	return bd_prepare_to_claim(bdev, holder);
#endif
}

/* For alloc_workqueue(): workers on the CPU that queues the work. */
#if defined(REPL_HAVE_WQ_PERCPU)
#define COMPAT_WQ_PERCPU	WQ_PERCPU
#elif defined(REPL_HAVE_NO_WQ_PERCPU)
#define COMPAT_WQ_PERCPU	0
#endif

#endif
