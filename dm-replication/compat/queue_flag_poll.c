// SPDX-License-Identifier: GPL-2.0-only
/* To offer no polling: by a flag of the queue, up to 6.10. */
#include <linux/blkdev.h>

void probe(struct request_queue *q);
void probe(struct request_queue *q)
{
	blk_queue_flag_clear(QUEUE_FLAG_POLL, q);
}
