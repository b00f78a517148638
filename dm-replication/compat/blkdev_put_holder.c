// SPDX-License-Identifier: GPL-2.0-only
/* To open a block device by number: closed with its holder, in 6.5 and 6.6. */
#include <linux/blkdev.h>

struct block_device *probe(dev_t dev);
struct block_device *probe(dev_t dev)
{
	struct block_device *bdev = blkdev_get_by_dev(dev, BLK_OPEN_READ, NULL, NULL);

	if (IS_ERR(bdev))
		return bdev;
	blkdev_put(bdev, NULL);
	return NULL;
}
