# SPDX-License-Identifier: GPL-2.0-only
# file: primary.c
# case: primary-metadata
#
# A write goes to the legs before it is in the log that it may be on one of them only.
s/if (!flush && p->logging && .*{/if (false) {/
