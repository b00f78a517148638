# SPDX-License-Identifier: GPL-2.0-only
# file: checkpoint.c
#
# A checkpoint shows what is in the secondary's cache.
s/r = repl_flush_dev(rs, REPL_SECONDARY);/r = 0;/
