/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_UP_H
#define DMREPCTL_UP_H

#include "command.h"

extern const struct option_spec up_options[], down_options[];

enum outcome up_command(const struct invocation *in);
enum outcome down_command(const struct invocation *in);

#endif
