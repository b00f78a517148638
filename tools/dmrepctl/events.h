/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_EVENTS_H
#define DMREPCTL_EVENTS_H

#include "command.h"
#include "device.h"

extern const struct option_spec events_options[];

enum outcome events_command(const struct invocation *in);

struct event_format {
	bool json;
	bool timestamps;
};

/*
 * Print how the second list differs from the first one: what exists now, has changed,
 * or is gone.
 */
void print_changes(const struct event_format *format, const struct device_list *before,
		   const struct device_list *now);

/* That what was there at the beginning has all been told. */
void print_complete(const struct event_format *format);

#endif
