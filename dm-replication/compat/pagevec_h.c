// SPDX-License-Identifier: GPL-2.0-only
/* To walk folios in batches: in the header of what was there before. */
#include <linux/pagevec.h>

void probe(struct folio_batch *batch);
void probe(struct folio_batch *batch)
{
	folio_batch_init(batch);
}
