// SPDX-License-Identifier: GPL-2.0-only
/* To reach the page cache of a block device: by its inode, until 6.10. */
#include <linux/blkdev.h>

struct address_space *probe(struct block_device *bdev);
struct address_space *probe(struct block_device *bdev)
{
	return bdev->bd_inode->i_mapping;
}
