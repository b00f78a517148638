# SPDX-License-Identifier: GPL-2.0-only
# file: merge.c
#
# The merge is recorded as done while chunks are in the secondary's cache.
s/if (!failed && repl_flush_dev(rs, REPL_SECONDARY))/if (false)/
