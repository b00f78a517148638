// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "primary.h"

enum outcome get_primary_table(const struct device *device, struct primary_table *table)
{
	enum outcome outcome = get_table(device, table->text, sizeof(table->text));
	char *word, *at = NULL;

	table->n = 0;
	if (outcome)
		return outcome;
	for (word = strtok_r(table->text, " ", &at); word && table->n < MAX_PRIMARY_WORDS;
	     word = strtok_r(NULL, " ", &at))
		table->words[table->n++] = word;
	if (table->n > REGION)
		return DONE;
	return error(FAILED, "%s: its table cannot be understood", device->name);
}

bool is_filter(const struct primary_table *table)
{
	return !strcmp(table->words[LOCAL], "-");
}

enum outcome get_primary(const struct invocation *in, struct device *device)
{
	enum outcome outcome = get_recipient(in, device);

	if (outcome || device->status.mode == MODE_PRIMARY)
		return outcome;
	return error(FAILED, "%s: this is a %s; dmrepctl %s is for a primary", device->name,
		     mode_name(device->status.mode), in->command->name);
}

u64 region_bytes(const struct primary_table *table)
{
	return strtoull(table->words[REGION], NULL, 10) * SECTOR_BYTES;
}

bool metadata_is(const struct device *device, const char *mode)
{
	return !strcmp(device->status.metadata, mode);
}

bool sync_is(const struct device *device, const char *sync)
{
	return !strcmp(device->status.sync, sync);
}
