# SPDX-License-Identifier: GPL-2.0-only
# file: commit.c
#
# The maps that are written have chunks that active got after its flush.
/^static int commit_batch/,/^}/ {
	s/unsigned int i, n;/unsigned int i, n = 0;/
	/n = take_batch(commit, sector);/d
	s/^\tif (write_batch(/\tn = take_batch(commit, sector);\n&/
}
