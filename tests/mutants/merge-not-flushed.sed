# SPDX-License-Identifier: GPL-2.0-only
# file: commit.c
#
# Chunks are recorded as merged while they are in the secondary's cache.
s/r = repl_flush_dev(rs, REPL_SECONDARY);/r = 0;/
