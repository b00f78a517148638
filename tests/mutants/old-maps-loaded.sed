# SPDX-License-Identifier: GPL-2.0-only
# file: metadata.c
#
# Maps of an earlier epoch are taken for this one's.
s/if (le64_to_cpu(sector->epoch) == meta->epoch)/if (true)/
