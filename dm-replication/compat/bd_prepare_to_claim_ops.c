// SPDX-License-Identifier: GPL-2.0-only
/* To keep others from opening a block device exclusively: since 6.5. */
#include <linux/blkdev.h>

int probe(struct block_device *bdev, void *holder);
int probe(struct block_device *bdev, void *holder)
{
	return bd_prepare_to_claim(bdev, holder, NULL);
}
