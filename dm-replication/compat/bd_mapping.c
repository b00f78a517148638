// SPDX-License-Identifier: GPL-2.0-only
/* To reach the page cache of a block device: since 6.11. */
#include <linux/blkdev.h>

struct address_space *probe(struct block_device *bdev);
struct address_space *probe(struct block_device *bdev)
{
	return bdev->bd_mapping;
}
