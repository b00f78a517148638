# SPDX-License-Identifier: GPL-2.0-only
# file: pair.c
# case: primary
#
# A checkpoint says that the replica has everything, which has it in a cache.
s/r = repl_forward_flush(p);/r = 0;/
