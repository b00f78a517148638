# SPDX-License-Identifier: GPL-2.0-only
# file: resync.c
# case: primary-replica
#
# A region is copied while somebody writes to it.
s/if (p->writers\[slot->region\])/if (false)/
