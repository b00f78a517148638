/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_SWAP_H
#define DMREPCTL_SWAP_H

#include "command.h"

extern const struct option_spec swap_options[], swap_metadata_options[], abandon_options[];

enum outcome swap_replica_command(const struct invocation *in);
enum outcome swap_metadata_command(const struct invocation *in);
enum outcome abandon_metadata_command(const struct invocation *in);

#endif
