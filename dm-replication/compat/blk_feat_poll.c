// SPDX-License-Identifier: GPL-2.0-only
/* To offer no polling: by the limits, since 6.11. */
#include <linux/blkdev.h>

void probe(struct queue_limits *limits);
void probe(struct queue_limits *limits)
{
	limits->features &= ~BLK_FEAT_POLL;
}
