/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_STATUS_H
#define DMREPCTL_STATUS_H

#include "command.h"

extern const struct option_spec report_options[];

enum outcome status_command(const struct invocation *in);
enum outcome list_command(const struct invocation *in);

#endif
