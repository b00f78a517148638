// SPDX-License-Identifier: GPL-2.0-only
/* To send a bio some time after it was mapped: since 5.18. */
#include <linux/device-mapper.h>

void probe(struct dm_target *ti, struct bio *bio);
void probe(struct dm_target *ti, struct bio *bio)
{
	ti->accounts_remapped_io = true;
	dm_submit_bio_remap(bio, NULL);
}
