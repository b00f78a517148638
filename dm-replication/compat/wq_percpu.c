// SPDX-License-Identifier: GPL-2.0-only
/* To ask for a workqueue of each CPU's own: a flag, since 6.17 and backported. */
#include <linux/workqueue.h>

struct workqueue_struct *probe(void);
struct workqueue_struct *probe(void)
{
	return alloc_workqueue("probe", WQ_MEM_RECLAIM | WQ_PERCPU, 0);
}
