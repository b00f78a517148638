// SPDX-License-Identifier: GPL-2.0-only
/* To open a block device by number: a file, since 6.9. */
#include <linux/blkdev.h>

struct file *probe(dev_t dev);
struct file *probe(dev_t dev)
{
	struct file *file = bdev_file_open_by_dev(dev, BLK_OPEN_READ, NULL, NULL);

	if (IS_ERR(file))
		return file;
	bdev_fput(file);
	return NULL;
}
