# SPDX-License-Identifier: GPL-2.0-only
# file: commit.c
#
# The merge does not record that chunks are hidden's no more.
/^static int write_taken/,/^}/s/merging);/false);/
