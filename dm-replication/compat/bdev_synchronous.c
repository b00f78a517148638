// SPDX-License-Identifier: GPL-2.0-only
/* To ask whether a block device is done when it has been submitted to: since 6.3. */
#include <linux/blkdev.h>

bool probe(struct block_device *bdev);
bool probe(struct block_device *bdev)
{
	return bdev_synchronous(bdev);
}
