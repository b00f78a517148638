/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A primary that is up: its table, and what its status says.
 */
#ifndef DMREPCTL_PRIMARY_H
#define DMREPCTL_PRIMARY_H

#include "command.h"
#include "device.h"

#define MAX_PRIMARY_WORDS	32

/* primary <metadata> <local> <replica> <region sectors> [<#opts> <opt>...] */
enum { KIND, METADATA, LOCAL, REPLICA, REGION, NR_OPTIONS, FIRST_OPTION };

struct primary_table {
	char text[TABLE_BYTES];
	char *words[MAX_PRIMARY_WORDS];
	unsigned int n;
};

/* The one that the command is about. It is an error if it is no primary. */
enum outcome get_primary(const struct invocation *in, struct device *device);

/* Its table as words, of which there are those up to REGION at least. */
enum outcome get_primary_table(const struct device *device, struct primary_table *table);

/* Without a local device. */
bool is_filter(const struct primary_table *table);

u64 region_bytes(const struct primary_table *table);

/* Words of the status, as status-line.h has them. */
bool metadata_is(const struct device *device, const char *mode);
bool sync_is(const struct device *device, const char *sync);

#endif
