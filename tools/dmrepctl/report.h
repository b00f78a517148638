/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices as a table or as JSON, after the manner of dmsetup and lvm.
 */
#ifndef DMREPCTL_REPORT_H
#define DMREPCTL_REPORT_H

#include <stdio.h>

#include "device.h"

/* Of the JSON that we print. It changes if a field changes its meaning or goes. */
#define SCHEMA_VERSION	1

struct report_options {
	const char *fields;	/* "name,mode" */
	const char *sort;
	const char *select;	/* NULL: all */
	const char *separator;	/* NULL: aligned */
	const char *units;
	bool headings;
	bool suffix;
	bool json;
	bool colour;
	bool compact;		/* without fields that no device has */
	unsigned int columns;	/* lines are cut there; 0: they are not */
};

/* Print the devices; @all is where tops are looked up. */
enum outcome print_report(const struct report_options *options, const struct device_list *list,
			  const struct device_list *all);

/* For people: what fields there are. */
void print_fields(void);

#endif
