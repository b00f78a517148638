# SPDX-License-Identifier: GPL-2.0-only
# file: commit.c
#
# The maps that are written have chunks that active got after its flush.
/^static int commit_taken/,/^}/ {
	s/unsigned int copied = copy_batch(commit);/unsigned int copied;/
	s/^\tif (r || !copied)/\tcopied = copy_batch(commit);\n&/
}
