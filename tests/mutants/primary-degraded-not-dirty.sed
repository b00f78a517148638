# SPDX-License-Identifier: GPL-2.0-only
# file: primary.c
# case: primary-replica
#
# Nor is what was written while it was away.
s/repl_regions_mark_dirty(p, io->first, io->last);/;/
