# SPDX-License-Identifier: GPL-2.0-only
# file: dirty-log.c
# case: primary-metadata-lost
#
# After a metadata device has taken over, no write waits for it.
s/bitmap_copy(p->logged, p->written, p->nr_regions);/bitmap_fill(p->logged, p->nr_regions);/
