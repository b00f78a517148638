// SPDX-License-Identifier: GPL-2.0-only
/* To ask what a block device can discard: since 5.19. */
#include <linux/blkdev.h>

bool probe(struct block_device *bdev);
bool probe(struct block_device *bdev)
{
	return bdev_max_discard_sectors(bdev);
}
