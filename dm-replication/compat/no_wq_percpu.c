// SPDX-License-Identifier: GPL-2.0-only
/* To ask for a workqueue of each CPU's own: the default, when the flag did not exist. */
#include <linux/workqueue.h>

/* Refused if the kernel has declared it. */
enum { WQ_PERCPU };

struct workqueue_struct *probe(void);
struct workqueue_struct *probe(void)
{
	return alloc_workqueue("probe", WQ_MEM_RECLAIM, 0);
}
