# SPDX-License-Identifier: GPL-2.0-only
# file: commit.c
# case: metadata
#
# So are maps that are not copied before its flush, and have been changed since.
s/if (n++ >= copied && test_bit(nr, commit->dirty))/if (n++ >= copied \&\& false)/
