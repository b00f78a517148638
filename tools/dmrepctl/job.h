/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_JOB_H
#define DMREPCTL_JOB_H

#include "command.h"

extern const struct option_spec mounted_options[], failover_options[];

enum outcome start_command(const struct invocation *in);
enum outcome checkpoint_command(const struct invocation *in);
enum outcome failover_command(const struct invocation *in);
enum outcome stop_command(const struct invocation *in);
enum outcome get_error_command(const struct invocation *in);

#endif
