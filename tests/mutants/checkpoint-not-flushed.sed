# SPDX-License-Identifier: GPL-2.0-only
# file: checkpoint.c
#
# A checkpoint shows what is in the secondary's cache.
s/int r = blkdev_issue_flush(rs->bdev\[REPL_SECONDARY\]);/int r = 0;/
