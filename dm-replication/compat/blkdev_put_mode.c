// SPDX-License-Identifier: GPL-2.0-only
/* To open a block device by number: closed with its mode, until 6.4. */
#include <linux/blkdev.h>

struct block_device *probe(dev_t dev);
struct block_device *probe(dev_t dev)
{
	struct block_device *bdev = blkdev_get_by_dev(dev, FMODE_READ, NULL);

	if (IS_ERR(bdev))
		return bdev;
	blkdev_put(bdev, FMODE_READ);
	return NULL;
}
