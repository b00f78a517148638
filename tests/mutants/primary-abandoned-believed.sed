# SPDX-License-Identifier: GPL-2.0-only
# file: dirty-log.c
# case: primary-metadata-lost
#
# A metadata device that was abandoned is believed at the next start.
s/distrusted = repl_stale_stage(log->uuid) != REPL_NONE;/distrusted = false;/
