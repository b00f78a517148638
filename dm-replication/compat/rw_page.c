// SPDX-License-Identifier: GPL-2.0-only
/* To ask whether a block device is done when it has been submitted to: until 6.2. */
#include <linux/blkdev.h>

bool probe(struct block_device *bdev);
bool probe(struct block_device *bdev)
{
	return bdev->bd_disk->fops->rw_page;
}
