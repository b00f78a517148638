// SPDX-License-Identifier: GPL-2.0-only
/* To walk folios in batches: a header of its own, on newer kernels. */
#include <linux/folio_batch.h>

void probe(struct folio_batch *batch);
void probe(struct folio_batch *batch)
{
	folio_batch_init(batch);
}
