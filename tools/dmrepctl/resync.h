/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_RESYNC_H
#define DMREPCTL_RESYNC_H

#include "command.h"

extern const struct option_spec resync_options[], swap_options[];
extern const struct option_spec swap_metadata_options[], abandon_options[];

enum outcome resync_command(const struct invocation *in);
enum outcome resync_rate_command(const struct invocation *in);
enum outcome swap_replica_command(const struct invocation *in);
enum outcome swap_metadata_command(const struct invocation *in);
enum outcome abandon_metadata_command(const struct invocation *in);

#endif
