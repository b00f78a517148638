# SPDX-License-Identifier: GPL-2.0-only
# file: commit.c
#
# Chunks are recorded as active's, and a FLUSH acknowledged, while they are in its cache.
s/int r = repl_flush_dev(rs, REPL_ACTIVE);/int r = 0;/
