/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_METRICS_H
#define DMREPCTL_METRICS_H

#include <stdio.h>

#include "command.h"
#include "device.h"

extern const struct option_spec metrics_options[];

enum outcome metrics_command(const struct invocation *in);

/* In the text format of Prometheus. */
void print_metrics(FILE *to, const struct device_list *list);

#endif
