// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command format.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "create.h"
#include "library.h"
#include "signature.h"
#include "units.h"
#include "use.h"

const struct option_spec format_options[] = {
	{ "force", 'f', NULL, "overwrite what is on the device" },
	{ 0 }
};

/* What it is to be made for has not what its primary may think that it has. */
static void warn_of_primary(const struct block_device *device, const struct metadata_super *super)
{
	if (!super->primary)
		warning("metadata device %s: its view was the disk at the end; if its primary goes on, that has to copy everything, over what was written since, so format its metadata device too; or let the two hosts change roles",
			device->path);
}

/*
 * Device-mapper claims what is in a live table, but a device that lies on such a one, such
 * as another dm device, can be opened nevertheless.
 */
struct live {
	struct device_list all;
	const struct device *user;	/* what was found: a device of ours, */
	u32 major, minor;		/* and what it uses; or it is that itself */
	u32 self_major, self_minor;
};

/* Its table has the devices as numbers. */
static bool table_has(const struct device *device, u32 major, u32 minor)
{
	char table[TABLE_BYTES], number[32], *word, *at = NULL;
	bool found = false;

	if (device->status.mode == MODE_INGRESS || get_table(device, table, sizeof(table)))
		return false;
	snprintf(number, sizeof(number), "%u:%u", major, minor);
	for (word = strtok_r(table, " ", &at); word && !found; word = strtok_r(NULL, " ", &at))
		found = !strcmp(word, number);
	return found;
}

/* Not below a device of ours: to lie on one is nothing bad. */
static bool find_live(void *context, u32 major, u32 minor)
{
	struct live *live = context;
	unsigned int i;

	live->major = major;
	live->minor = minor;
	live->user = find_device(&live->all, major, minor);
	if (live->user)
		return major == live->self_major && minor == live->self_minor;
	for (i = 0; i < live->all.n; i++) {
		live->user = &live->all.devices[i];
		if (table_has(live->user, major, minor))
			return true;
	}
	return visit_below(major, minor, find_live, live);
}

static enum outcome refuse_live(const struct block_device *device, const struct live *live)
{
	const struct device *user = live->user;
	char name[128];

	if (live->major == user->major && live->minor == user->minor)
		return error(REFUSED, "metadata device %s: it is a device of dm-replication itself, %s, of the mode %s; what is on it would be overwritten; if that may be, --force",
			     device->path, user->name, mode_name(user->status.mode));
	describe_device(live->major, live->minor, name, sizeof(name));
	return error(REFUSED, "metadata device %s: it lies on %s, which belongs to the live table of %s; what is on it would be overwritten; if that may be, --force",
		     device->path, name, user->name);
}

/* Without root, or without the module, there is nobody to ask, or nothing to find. */
enum outcome check_not_live(const struct block_device *device)
{
	struct live live = { .self_major = device->major, .self_minor = device->minor };
	enum outcome outcome;
	u32 version[3];

	library_init();
	if (geteuid() || !target_version(version))
		return DONE;
	outcome = list_devices(&live.all);
	if (!outcome && find_live(&live, device->major, device->minor))
		outcome = refuse_live(device, &live);
	free_devices(&live.all);
	return outcome;
}

/* The largest set has so many chunks, of the smallest size. */
static enum outcome check_size(const struct block_device *device)
{
	const struct unit *unit = &plan_secondary.unit;
	u64 most = metadata_need(unit->min * unit->max_number, unit->min);
	char has[SIZE_TEXT_BYTES], needs[SIZE_TEXT_BYTES];

	if (device->sectors <= most)
		return DONE;
	return error(REFUSED, "metadata device %s: it has %s, and no metadata needs more than %s, so it may be a disk with data, of which the first 4 KiB would be overwritten; if that may be, --force",
		     device->path, format_size(device->sectors * SECTOR_BYTES, has),
		     format_size(most * SECTOR_BYTES, needs));
}

enum outcome check_blank(const struct block_device *device)
{
	enum outcome outcome = check_signature(device);

	return outcome ? outcome : check_size(device);
}

static enum outcome check_unknown(const struct block_device *device, const char *why)
{
	enum outcome outcome = check_blank(device);
	char what[128];

	if (outcome)
		return outcome;
	describe_content(device, what, sizeof(what));
	return error(REFUSED, "metadata device %s: %s: %s; its first 4 KiB would be overwritten; if that may be, --force",
		     device->path, why, what);
}

/* What is not done has what is nowhere else. */
static enum outcome check_overwritten(const struct block_device *device)
{
	struct metadata_super super;
	char why[256];

	switch (look_at_metadata(device, &super, why, sizeof(why))) {
	case METADATA_SET:
		if (!strcmp(super.stage, "done")) {
			warn_of_primary(device, &super);
			return DONE;
		}
		if (super.primary)
			return error(REFUSED, "metadata device %s: it knows where the disks of a primary are equal; without it all is copied anew; if that may be, --force",
				     device->path);
		return error(REFUSED, "metadata device %s: it has a set in stage %s, whose view would be lost; if that may be, --force",
			     device->path, super.stage);
	case METADATA_BLANK:
		return check_blank(device);
	case METADATA_OTHER:
	case METADATA_VERSION:
		return check_unknown(device, why);
	case METADATA_DAMAGED:
		return error(REFUSED, "metadata device %s: it has a set, but %s; if that may be lost, --force",
			     device->path, why);
	default:
		return error(FAILED, "metadata device %s: %s", device->path, why);
	}
}

enum outcome format_command(const struct invocation *in)
{
	struct block_device device;
	enum outcome outcome;

	outcome = look_at_device("metadata", in->argv[0], &device);
	if (!outcome)
		outcome = check_unused(&device);
	if (!outcome && !has_option(in, "force"))
		outcome = check_not_live(&device);
	if (!outcome && !has_option(in, "force"))
		outcome = check_overwritten(&device);
	return outcome ? outcome : zero_metadata(&device);
}
