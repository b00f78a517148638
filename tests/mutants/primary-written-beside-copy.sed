# SPDX-License-Identifier: GPL-2.0-only
# file: primary.c
# case: primary-replica
#
# Somebody writes to a region while it is copied.
s/if (repl_resync_holds(p, io->first, io->last))/if (false)/
