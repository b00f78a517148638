// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands that give a primary another device by another table: swap-replica, and
 * swap-metadata, when the metadata device has failed. And abandon-metadata, which gives it none.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "config.h"
#include "create.h"
#include "primary.h"
#include "resync.h"
#include "signature.h"
#include "stale.h"
#include "swap.h"
#include "units.h"
#include "use.h"

/* So often it is looked whether an abandoned metadata device could be told. */
#define TELL_TRIES	20
#define TELL_INTERVAL	100000	/* microseconds */

const struct option_spec swap_options[] = {
	{ "insync", 0, NULL, "it has what the old one had" },
	{ "no-wait", 0, NULL, "do not wait until it is in sync" },
	{ "force", 'f', NULL, "overwrite what is on the device" },
	{ 0 }
};

const struct option_spec swap_metadata_options[] = {
	{ "force", 'f', NULL, "overwrite what is on the device" },
	{ 0 }
};

const struct option_spec abandon_options[] = {
	{ "yes", 'y', NULL, "everything may be copied at the next start" },
	{ 0 }
};

/*
 * Another replica
 */

static enum outcome check_replica(const struct invocation *in, const struct device *device,
				  const struct primary_table *table,
				  const struct block_device *replica)
{
	char has[SIZE_TEXT_BYTES], needs[SIZE_TEXT_BYTES], number[32];
	enum outcome outcome;

	snprintf(number, sizeof(number), "%u:%u", replica->major, replica->minor);
	if (!strcmp(table->words[REPLICA], number))
		return error(FAILED, "replica device %s: %s has it already", replica->path,
			     device->name);
	if (!replica->sectors)
		return empty_replica(replica);
	if (replica->sectors < device->len)
		return error(FAILED, "replica device %s: it has %s (%llu sectors), and has to be as long as %s, %s (%llu sectors); it may be longer",
			     replica->path, format_size(replica->sectors * SECTOR_BYTES, has),
			     replica->sectors, device->name,
			     format_size(device->len * SECTOR_BYTES, needs), device->len);
	if (metadata_is(device, "fail") && !has_option(in, "force") &&
	    !has_option(in, "insync"))
		return error(REFUSED, "%s: its metadata device has failed, so that nobody would know of the other replica after a crash; if that may be, --force",
			     device->name);
	warn_of_cache(replica);
	outcome = check_unused(replica);
	if (outcome || has_option(in, "force") || has_option(in, "insync") || is_filter(table))
		return outcome;
	return check_signature(replica);
}

/* The table with another device at @place, a word of it; @insync is about a replica. */
static void new_table(const struct primary_table *table, unsigned int place,
		      const struct block_device *device, bool insync, char text[TABLE_BYTES])
{
	const char *options[MAX_PRIMARY_WORDS + 1];
	unsigned int i, n = 0;
	size_t len;

	for (i = FIRST_OPTION; i < table->n; i++)
		if (strcmp(table->words[i], "insync"))
			options[n++] = table->words[i];
	if (insync)
		options[n++] = "insync";
	len = snprintf(text, TABLE_BYTES, "%s", table->words[KIND]);
	for (i = METADATA; i < REGION; i++)
		if (i == place)
			len += snprintf(text + len, TABLE_BYTES - len, " %u:%u", device->major,
					device->minor);
		else
			len += snprintf(text + len, TABLE_BYTES - len, " %s", table->words[i]);
	len += snprintf(text + len, TABLE_BYTES - len, " %s", table->words[REGION]);
	if (n)
		len += snprintf(text + len, TABLE_BYTES - len, " %u", n);
	for (i = 0; i < n; i++)
		len += snprintf(text + len, TABLE_BYTES - len, " %s", options[i]);
}

/* What describes it has the old one still: the next up would take that for what it was. */
static void warn_of_config(const struct device *device, unsigned int place,
			   const struct block_device *now)
{
	const struct section *section;
	const char *path = NULL;
	struct config config;
	struct stat st;

	if (!config_exists())
		return;
	if (!config_read(&config, NULL))
		for (section = config.sections; section; section = section->next)
			if (!strcmp(section->name, device->name) &&
			    section->plan.kind == &plan_primary)
				/* They are in the order of the table. */
				path = section->plan.devices[place - METADATA].path;
	if (path && (stat(path, &st) || major(st.st_rdev) != now->major ||
		     minor(st.st_rdev) != now->minor))
		warning("%s: dmrepctl.conf describes it with the %s %s; that has to be %s before the next dmrepctl up",
			device->name, place == REPLICA ? "replica" : "metadata device", path,
			now->path);
	config_free(&config);
}

/*
 * As change_table(), with a note of what the metadata device lacks then. The note is kept before,
 * for we may be killed, and the host may die, while the primary has the new table already.
 */
static enum outcome change_table_with_note(const struct device *device, const char *text,
					   const char *what, const struct stale_note *before)
{
	char now[TABLE_BYTES];
	enum outcome outcome;

	keep_stale_note(device, what);
	outcome = change_table(device, text, false);
	if (outcome && !get_table(device, now, sizeof(now)) && strcmp(now, text))
		restore_stale_note(device, before);
	return outcome;
}

enum outcome swap_replica_command(const struct invocation *in)
{
	struct block_device replica;
	char text[TABLE_BYTES];
	struct device device;
	struct primary_table table;
	enum outcome outcome = get_primary(in, &device);
	struct stale_note before;
	bool insync, stale;

	if (!outcome && device.status.stage == STAGE_DONE)
		outcome = error(FAILED, "%s: stage done: it does not write to a replica any more",
				device.name);
	if (!outcome)
		outcome = get_primary_table(&device, &table);
	if (outcome)
		return outcome;
	drop_loaded_table(&device);
	outcome = look_at_device("replica", in->argv[1], &replica);
	if (!outcome)
		outcome = check_replica(in, &device, &table, &replica);
	if (outcome)
		return outcome;
	insync = has_option(in, "insync");
	new_table(&table, REPLICA, &replica, insync, text);
	find_stale_note(device.uuid, &before);
	stale = !insync && metadata_is(&device, "fail");
	/* What the old way to the disk still has in a cache must not come after the new one's. */
	if (stale)
		outcome = change_table_with_note(&device, text, NEW_REPLICA, &before);
	else
		outcome = change_table(&device, text, insync && !sync_is(&device, "degraded"));
	if (outcome)
		return outcome;
	warn_of_config(&device, REPLICA, &replica);
	if (!refresh_device(&device))
		return error(FAILED, "%s: it has been removed", device.name);
	/* The new table may have repaired it, or it has failed just now. */
	if (stale && metadata_is(&device, "rw")) {
		settle_stale_note(&device, &before, false);
		stale = false;
	} else if (!stale && !insync && metadata_is(&device, "fail")) {
		keep_stale_note(&device, NEW_REPLICA);
		stale = true;
	}
	if (!has_option(in, "no-wait") && !is_filter(&table) &&
	    device.status.stage == STAGE_RUNNING)
		outcome = follow_resync(&device, region_bytes(&table));
	/* That was forced, so it is no failure. */
	if (stale)
		error_stale(&device, NEW_REPLICA);
	return outcome;
}

/*
 * A metadata device that has failed
 */

static enum outcome get_primary_with_metadata(const struct invocation *in, struct device *device)
{
	enum outcome outcome = get_primary(in, device);

	if (!outcome && metadata_is(device, "-"))
		return error(FAILED, "%s: it has no metadata device", device->name);
	return outcome;
}

/*
 * The target takes one that is new, or the one that it has. New is to the target any device of
 * which the first 4 KiB are zero, also a disk that has its data behind them.
 */
static enum outcome check_new_metadata(const struct invocation *in,
				       const struct block_device *metadata)
{
	enum outcome outcome = check_unused(metadata);
	bool force = has_option(in, "force");
	struct metadata_super super;
	char why[256];

	if (!outcome && !force)
		outcome = check_not_live(metadata);
	if (outcome)
		return outcome;
	if (look_at_metadata(metadata, &super, why, sizeof(why)) != METADATA_BLANK)
		return error(REFUSED, "metadata device %s: it is not new; dmrepctl format %s makes it so",
			     metadata->path, metadata->path);
	return force ? DONE : check_blank(metadata);
}

/* @number is what a table calls it. */
static void warn_of_old_metadata(const struct device *device, const char *number)
{
	char path[256];
	u32 major, minor;

	if (sscanf(number, "%u:%u", &major, &minor) == 2)
		device_path(major, minor, path, sizeof(path));
	else
		snprintf(path, sizeof(path), "%s", number);
	warning("%s: metadata device %s, which it had, is out of date: dmrepctl format --force %s before it is used again",
		device->name, path, path);
}

/*
 * Nobody knows the UUID of the new one's superblock before it is written, so until then the note
 * is on all that the primary has had.
 */
static enum outcome use_metadata(struct device *device, const char *text, bool replaced)
{
	struct stale_note before;
	enum outcome outcome;

	find_stale_note(device->uuid, &before);
	outcome = change_table_with_note(device, text, LATEST_WRITES, &before);
	if (outcome)
		return outcome;
	if (!refresh_device(device))
		return error(FAILED, "%s: it has been removed", device->name);
	if (metadata_is(device, "rw"))
		settle_stale_note(device, &before, replaced);
	else if (metadata_is(device, "fail"))
		/* Nothing is written to a region that the old one calls clean. */
		restore_stale_note(device, &before);
	return DONE;
}

enum outcome swap_metadata_command(const struct invocation *in)
{
	struct block_device metadata;
	char text[TABLE_BYTES], number[32];
	struct device device;
	struct primary_table table;
	bool same;
	enum outcome outcome = get_primary_with_metadata(in, &device);

	if (!outcome && metadata_is(&device, "rw"))
		outcome = error(FAILED, "%s: its metadata device works; only one that has failed, or was abandoned, is replaced",
				device.name);
	if (!outcome)
		outcome = get_primary_table(&device, &table);
	if (outcome)
		return outcome;
	drop_loaded_table(&device);
	outcome = look_at_device("metadata", in->argv[1], &metadata);
	if (outcome)
		return outcome;
	snprintf(number, sizeof(number), "%u:%u", metadata.major, metadata.minor);
	same = !strcmp(table.words[METADATA], number);
	if (!same)
		outcome = check_new_metadata(in, &metadata);
	if (outcome)
		return outcome;
	new_table(&table, METADATA, &metadata, false, text);
	outcome = use_metadata(&device, text, !same);
	if (outcome)
		return outcome;
	warn_of_config(&device, METADATA, &metadata);
	if (!metadata_is(&device, "rw"))
		return error(FAILED, "%s: metadata device %s could not take over: the metadata mode is %s; dmesg says why",
			     device.name, metadata.path, device.status.metadata);
	if (!same)
		warn_of_old_metadata(&device, table.words[METADATA]);
	return DONE;
}

enum outcome abandon_metadata_command(const struct invocation *in)
{
	struct device device;
	enum outcome outcome = get_primary_with_metadata(in, &device);
	struct stale_note before;
	unsigned int i;

	if (!outcome && device.status.stage != STAGE_RUNNING)
		outcome = error(FAILED, "%s: stage %s: it does not write to its metadata device",
				device.name, stage_name(device.status.stage));
	if (!outcome && !has_option(in, "yes"))
		outcome = error(REFUSED, "%s: without its metadata device everything is copied at the next start; dmrepctl swap-metadata %s DEVICE gives it another one; to go on without, --yes",
				device.name, device.name);
	if (outcome)
		return outcome;
	/* Before, for the host may die at any moment. */
	find_stale_note(device.uuid, &before);
	keep_stale_note(&device, LATEST_WRITES);
	outcome = send_message(&device, "abandon_metadata", NULL, 0);
	if (outcome) {
		restore_stale_note(&device, &before);
		return outcome;
	}
	for (i = 0; i < TELL_TRIES && refresh_device(&device) &&
	     metadata_is(&device, "abandoned"); i++)
		usleep(TELL_INTERVAL);
	/* That was asked for, so it is no failure. */
	if (metadata_is(&device, "off"))
		restore_stale_note(&device, &before);
	else
		error_stale(&device, LATEST_WRITES);
	return DONE;
}
