# SPDX-License-Identifier: GPL-2.0-only
# file: ingress.c
# kills: 4
#
# The secondary is overwritten before it is recorded that hidden has the old content.
s/if (!failed && io->rs->commit)/if (false)/
