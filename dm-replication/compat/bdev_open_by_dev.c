// SPDX-License-Identifier: GPL-2.0-only
/* To open a block device by number: a handle, in 6.7 and 6.8. */
#include <linux/blkdev.h>

struct bdev_handle *probe(dev_t dev);
struct bdev_handle *probe(dev_t dev)
{
	struct bdev_handle *handle = bdev_open_by_dev(dev, BLK_OPEN_READ, NULL, NULL);

	if (IS_ERR(handle))
		return handle;
	bdev_release(handle);
	return NULL;
}
