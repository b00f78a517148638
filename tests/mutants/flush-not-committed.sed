# SPDX-License-Identifier: GPL-2.0-only
# file: commit.c
# kills: 4
#
# A FLUSH of the view is acknowledged without its chunks being recorded.
s/int r = commit_maps(commit, flush);/int r = 0;/
