/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_RESYNC_H
#define DMREPCTL_RESYNC_H

#include "command.h"
#include "device.h"

extern const struct option_spec resync_options[];

enum outcome resync_command(const struct invocation *in);
enum outcome resync_rate_command(const struct invocation *in);

/* Wait until the replica is in sync, and say so; regions have so many bytes. */
enum outcome follow_resync(struct device *device, u64 region);

#endif
