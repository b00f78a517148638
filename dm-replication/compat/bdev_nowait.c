// SPDX-License-Identifier: GPL-2.0-only
/* To ask whether a block device can refuse to block: since 6.2 and backported. */
#include <linux/blkdev.h>

bool probe(struct block_device *bdev);
bool probe(struct block_device *bdev)
{
	return bdev_nowait(bdev);
}
