# SPDX-License-Identifier: GPL-2.0-only
# file: forward.c
# case: primary-replica
#
# What a replica that fails had in its cache is not copied.
s/repl_regions_dirty_written(p);//
