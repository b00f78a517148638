/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that we support, and nothing else.
 */
#ifndef DM_REPLICATION_COMPAT_H
#define DM_REPLICATION_COMPAT_H

#include <linux/blkdev.h>

/**
 * compat_open_shared - open a block device without claiming it
 * @dev: its number
 *
 * What is open cannot be removed; but unlike dm_get_device() this leaves the
 * device free to be mounted. Process context, may sleep.
 *
 * Return: the device or an ERR_PTR().
 */
static inline struct block_device *compat_open_shared(dev_t dev)
{
	return blkdev_get_by_dev(dev, FMODE_READ, NULL);
}

static inline void compat_close_shared(struct block_device *bdev)
{
	blkdev_put(bdev, FMODE_READ);
}

static inline struct address_space *compat_bdev_mapping(struct block_device *bdev)
{
	return bdev->bd_inode->i_mapping;
}

#endif
