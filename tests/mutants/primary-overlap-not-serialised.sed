# SPDX-License-Identifier: GPL-2.0-only
# file: forward.c
# case: primary-load
#
# Of two writes that overlap each leg may take another one last.
s/if (bio->bi_iter.bi_sector < job->end && .*{/if (false) {/
