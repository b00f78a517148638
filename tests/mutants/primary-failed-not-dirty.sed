# SPDX-License-Identifier: GPL-2.0-only
# file: forward.c
# case: model-primary
#
# Nor is what it failed to write.
/repl_regions_mark_dirty(p, job->first, job->last);/d
s/repl_regions_dirty_written(p);//
