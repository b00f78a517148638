// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands create and format: what can go wrong is looked for before anything is
 * touched.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "create.h"
#include "device.h"
#include "library.h"
#include "signature.h"
#include "units.h"

#define MAX_TIMEOUT	3600	/* seconds */

/* In what it is counted where data is, as the target takes it. */
struct unit {
	const char *option, *plural;
	u32 min, max, usual;	/* sectors */
	u64 max_number;
};

static const struct unit chunk = { "chunk-size", "chunks", 8, 2048, 8, 1ULL << 32 };
static const struct unit region = { "region-size", "regions", 128, 8192, 2048, 1ULL << 24 };

#define TABLE_BYTES	4096

const struct option_spec create_secondary_options[] = {
	{ "secondary", 's', "DEVICE", "the replica disk" },
	{ "active", 'a', "DEVICE", "for what is written to the view" },
	{ "hidden", 'H', "DEVICE", "for old content of the secondary" },
	{ "metadata", 'm', "DEVICE", "what survives a reboot; or none" },
	{ "chunk-size", 'c', "SIZE", "a power of two from 4K to 1M (4K)" },
	{ "manual-start", 0, NULL, "wait for dmrepctl start" },
	{ "force", 'f', NULL, "overwrite what is on the devices" },
	{ "dry-run", 'n', NULL, "only print the table, for dmsetup" },
	{ 0 }
};

const struct option_spec create_ingress_options[] = {
	{ "top", 't', "VIEW", "the view that it belongs to" },
	{ "dry-run", 'n', NULL, "only print the table, for dmsetup" },
	{ 0 }
};

const struct option_spec create_primary_options[] = {
	{ "local", 'l', "DEVICE", "the disk here; or none" },
	{ "replica", 'r', "DEVICE", "the disk there" },
	{ "metadata", 'm', "DEVICE", "where dirty regions are kept; or none" },
	{ "region-size", 0, "SIZE", "a power of two from 64K to 4M (1M)" },
	{ "manual-start", 0, NULL, "wait for dmrepctl start" },
	{ "insync", 0, NULL, "the disks are equal already" },
	{ "manual-resync", 0, NULL, "wait for dmrepctl resync" },
	{ "replica-timeout", 0, "SECONDS", "after which the replica has failed" },
	{ "force", 'f', NULL, "overwrite what is on the devices" },
	{ "dry-run", 'n', NULL, "only print the table, for dmsetup" },
	{ 0 }
};

const struct option_spec format_options[] = {
	{ "force", 'f', NULL, "overwrite what is on the device" },
	{ 0 }
};

/*
 * Arguments
 */

static bool is_none(const char *path)
{
	return !strcmp(path, "none") || !strcmp(path, "-");
}

/* What option --name is for; that it is there. */
static enum outcome need(const struct invocation *in, const char *name, const char **value)
{
	*value = option(in, name);
	if (*value && **value)
		return DONE;
	return error(WRONG_USAGE, "%s: --%s is missing; see dmrepctl help %s", in->command->name,
		     name, in->command->name);
}

static enum outcome parse_unit(const struct invocation *in, const struct unit *unit, u32 *sectors)
{
	const char *text = option(in, unit->option);
	u64 bytes, min = unit->min * SECTOR_BYTES, max = unit->max * SECTOR_BYTES;
	char least[SIZE_TEXT_BYTES], most[SIZE_TEXT_BYTES];

	*sectors = unit->usual;
	if (!text)
		return DONE;
	if (parse_size(text, &bytes) && bytes >= min && bytes <= max && !(bytes & (bytes - 1))) {
		*sectors = bytes / SECTOR_BYTES;
		return DONE;
	}
	return error(WRONG_USAGE, "--%s %s: it is a power of two from %s to %s", unit->option,
		     text, format_size(min, least), format_size(max, most));
}

static enum outcome check_name(const char *name)
{
	if (!*name || strchr(name, '/') || strlen(name) >= NAME_BYTES - 1)
		return error(WRONG_USAGE, "%s: a device's name has 1 to %d characters, none a slash",
			     name, NAME_BYTES - 2);
	if (name_is_taken(name))
		return error(FAILED, "%s: there is a device of this name already", name);
	return DONE;
}

/* A device as a table has it: a path, unless dm would take it for several words. */
static void add_device(char *table, const struct block_device *device)
{
	size_t len = strlen(table);

	if (!device->path)
		snprintf(table + len, TABLE_BYTES - len, " -");
	else if (device->path[0] != '/' || strlen(device->path) > 256 ||
		 strpbrk(device->path, " \t\n\\"))
		snprintf(table + len, TABLE_BYTES - len, " %u:%u", device->major, device->minor);
	else
		snprintf(table + len, TABLE_BYTES - len, " %s", device->path);
}

/* Those that are given, with their number before them. */
static void add_options(char *table, const char * const *words, unsigned int n)
{
	size_t len = strlen(table);
	unsigned int i;

	if (n)
		len += snprintf(table + len, TABLE_BYTES - len, " %u", n);
	for (i = 0; i < n; i++)
		len += snprintf(table + len, TABLE_BYTES - len, " %s", words[i]);
}

/* "DMREPL-SECONDARY-" and 32 digits that nobody has had before. */
static void new_uuid(const char *mode, char uuid[UUID_BYTES])
{
	u8 random[16] = { 0 };
	unsigned int i;
	size_t len;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		warning("there is no chance to be had for a UUID");
	len = snprintf(uuid, UUID_BYTES, UUID_PREFIX "%s-", mode);
	for (i = 0; i < sizeof(random); i++)
		len += snprintf(uuid + len, UUID_BYTES - len, "%02x", random[i]);
}

static enum outcome make(const struct invocation *in, const char *uuid, u64 len,
			 const char *table)
{
	enum outcome outcome;

	if (has_option(in, "dry-run")) {
		printf("0 %llu " TARGET " %s\n", len, table);
		return DONE;
	}
	outcome = target_available();
	return outcome ? outcome : create_device(in->argv[0], uuid, len, table);
}

/* The same for all that are created: before devices are looked at. */
static enum outcome begin(const struct invocation *in)
{
	enum outcome outcome = devices_available();

	return outcome ? outcome : check_name(in->argv[0]);
}

/*
 * What has metadata: a set or a primary
 */

struct owner {
	const char *kind;		/* "secondary", whose length it is */
	const struct unit *unit;
	const struct block_device *metadata;
	u64 len;			/* sectors */
	u32 unit_sectors;
	bool primary;
	bool comes_back;		/* the metadata has it */
	char uuid[UUID_BYTES];
};

/* @n devices, each of them but once. */
static enum outcome check_different(const struct block_device *devices, unsigned int n)
{
	const struct block_device *a, *b;

	for (a = devices; a < devices + n; a++)
		for (b = devices; b < a; b++)
			if (a->path && b->path && a->major == b->major && a->minor == b->minor)
				return error(WRONG_USAGE, "%s: it is given twice, as %s and as %s; they are different devices",
					     a->path, b->role, a->role);
	return DONE;
}

static enum outcome check_unit(const struct owner *owner, const struct block_device *disk)
{
	char needs[SIZE_TEXT_BYTES];
	u64 sectors = owner->unit_sectors;

	while (disk->sectors > sectors * owner->unit->max_number)
		sectors *= 2;
	if (sectors == owner->unit_sectors)
		return DONE;
	return error(FAILED, "%s device %s: it is too long for this %.*s size; --%s %s or more will do",
		     disk->role, disk->path, (int)strcspn(owner->unit->option, "-"),
		     owner->unit->option, owner->unit->option,
		     format_size(sectors * SECTOR_BYTES, needs));
}

/* How large it has to be, and with which chunks it would do as it is. */
static enum outcome check_metadata_size(const struct owner *owner)
{
	const struct block_device *metadata = owner->metadata;
	char has[SIZE_TEXT_BYTES], needs[SIZE_TEXT_BYTES], larger[SIZE_TEXT_BYTES];
	u32 unit = owner->unit_sectors;
	u64 sectors = metadata_need(owner->len, unit);

	if (metadata->sectors >= sectors)
		return DONE;
	format_size(metadata->sectors * SECTOR_BYTES, has);
	format_size(sectors * SECTOR_BYTES, needs);
	while (unit <= owner->unit->max && metadata->sectors < metadata_need(owner->len, unit))
		unit *= 2;
	if (unit > owner->unit->max)
		return error(FAILED, "metadata device %s: it has %s, and needs %s",
			     metadata->path, has, needs);
	return error(FAILED, "metadata device %s: it has %s, and needs %s; or --%s %s",
		     metadata->path, has, needs, owner->unit->option,
		     format_size(unit * (u64)SECTOR_BYTES, larger));
}

/* What was there is of this kind and size and with these chunks, or another one's. */
static enum outcome check_set(struct owner *owner, const struct metadata_super *super)
{
	const char *path = owner->metadata->path;
	char unit[SIZE_TEXT_BYTES];

	if (super->primary != owner->primary)
		return error(REFUSED, "metadata device %s: it belongs to a %s, not a %s; if it is not needed any more, dmrepctl format %s",
			     path, super->primary ? "primary" : "secondary", owner->kind, path);
	if (super->len != owner->len)
		return error(REFUSED, "metadata device %s: it belongs to a %s of %llu sectors, not %llu; if it is not needed any more, dmrepctl format %s",
			     path, owner->kind, super->len, owner->len, path);
	if (super->chunk_sectors != owner->unit_sectors)
		return error(REFUSED, "metadata device %s: its %s has %s of %s; take that, or, if it is not needed any more, dmrepctl format %s",
			     path, owner->primary ? "primary" : "set", owner->unit->plural,
			     format_size(super->chunk_sectors * (u64)SECTOR_BYTES, unit), path);
	owner->comes_back = true;
	/* The target has it come back under no other. */
	if (super->view[0])
		snprintf(owner->uuid, sizeof(owner->uuid), "%s", super->view);
	return DONE;
}

static enum outcome check_metadata(struct owner *owner, bool force)
{
	const struct block_device *metadata = owner->metadata;
	struct metadata_super super;
	enum outcome outcome;
	char why[256];

	switch (look_at_metadata(metadata, &super, why, sizeof(why))) {
	case METADATA_SET:
		outcome = check_set(owner, &super);
		return outcome ? outcome : check_metadata_size(owner);
	case METADATA_BLANK:
		outcome = check_metadata_size(owner);
		return outcome || force ? outcome : check_signature(metadata);
	case METADATA_OTHER:
		outcome = check_signature(metadata);
		if (outcome)
			return outcome;
		return error(REFUSED, "metadata device %s: %s; dmrepctl format %s makes it a new one",
			     metadata->path, why, metadata->path);
	case METADATA_DAMAGED:
		return error(REFUSED, "metadata device %s: %s; dmrepctl check %s tells more",
			     metadata->path, why, metadata->path);
	default:
		return error(FAILED, "metadata device %s: %s", metadata->path, why);
	}
}

/*
 * Secondary
 */

enum { SECONDARY, ACTIVE, HIDDEN, METADATA, NR_DEVICES };

struct secondary {
	struct block_device devices[NR_DEVICES];	/* without a path: there is none */
	struct owner owner;
};

static enum outcome look_at_devices(const struct invocation *in, struct secondary *secondary)
{
	static const char * const names[] = {
		[SECONDARY] = "secondary", [ACTIVE] = "active", [HIDDEN] = "hidden",
		[METADATA] = "metadata",
	};
	const char *paths[NR_DEVICES];
	enum outcome outcome = DONE;
	unsigned int i;

	for (i = 0; !outcome && i < NR_DEVICES; i++)
		outcome = need(in, names[i], &paths[i]);
	for (i = 0; !outcome && i < NR_DEVICES; i++) {
		if (i != METADATA || !is_none(paths[i]))
			outcome = look_at_device(names[i], paths[i], &secondary->devices[i]);
	}
	return outcome;
}

static enum outcome check_sizes(const struct secondary *secondary)
{
	const struct block_device *disk = &secondary->devices[SECONDARY], *store;
	char has[SIZE_TEXT_BYTES], needs[SIZE_TEXT_BYTES];

	if (!disk->sectors)
		return error(FAILED, "secondary device %s: it is empty", disk->path);
	for (store = &secondary->devices[ACTIVE]; store <= &secondary->devices[HIDDEN]; store++)
		if (store->sectors < disk->sectors)
			return error(FAILED, "%s device %s: it has %s (%llu sectors), and has to be as long as the secondary, %s (%llu sectors)",
				     store->role, store->path,
				     format_size(store->sectors * SECTOR_BYTES, has),
				     store->sectors,
				     format_size(disk->sectors * SECTOR_BYTES, needs),
				     disk->sectors);
	return check_unit(&secondary->owner, disk);
}

static enum outcome check_contents(struct secondary *secondary, bool force)
{
	const struct block_device *device;
	enum outcome outcome = DONE;

	for (device = secondary->devices; device < secondary->devices + NR_DEVICES; device++)
		if (!outcome && device->path)
			outcome = check_unused(device);
	secondary->owner.len = secondary->devices[SECONDARY].sectors;
	if (!outcome && secondary->devices[METADATA].path)
		outcome = check_metadata(&secondary->owner, force);
	/* In the stores of a set that comes back there is anything, for good. */
	if (outcome || secondary->owner.comes_back || force)
		return outcome;
	outcome = check_signature(&secondary->devices[ACTIVE]);
	return outcome ? outcome : check_signature(&secondary->devices[HIDDEN]);
}

enum outcome create_secondary_command(const struct invocation *in)
{
	struct secondary secondary = {
		.owner = { .kind = "secondary", .unit = &chunk },
	};
	static const char * const manual_start[] = { "manual_start" };
	char table[TABLE_BYTES] = "secondary";
	enum outcome outcome;
	size_t len;

	secondary.owner.metadata = &secondary.devices[METADATA];
	new_uuid("SECONDARY", secondary.owner.uuid);
	outcome = parse_unit(in, &chunk, &secondary.owner.unit_sectors);
	if (!outcome)
		outcome = begin(in);
	if (!outcome)
		outcome = look_at_devices(in, &secondary);
	if (!outcome)
		outcome = check_different(secondary.devices, NR_DEVICES);
	if (!outcome)
		outcome = check_sizes(&secondary);
	if (!outcome)
		outcome = check_contents(&secondary, has_option(in, "force"));
	if (outcome)
		return outcome;
	add_device(table, &secondary.devices[METADATA]);
	add_device(table, &secondary.devices[ACTIVE]);
	add_device(table, &secondary.devices[HIDDEN]);
	add_device(table, &secondary.devices[SECONDARY]);
	len = strlen(table);
	snprintf(table + len, sizeof(table) - len, " %u", secondary.owner.unit_sectors);
	add_options(table, manual_start, has_option(in, "manual-start"));
	return make(in, secondary.owner.uuid, secondary.devices[SECONDARY].sectors, table);
}

/*
 * Ingress
 */

enum outcome create_ingress_command(const struct invocation *in)
{
	char table[TABLE_BYTES] = "ingress", uuid[UUID_BYTES], path[NAME_BYTES + 16];
	struct block_device top = { 0 };
	struct device view;
	enum outcome outcome;
	const char *name;
	struct stat st;

	outcome = need(in, "top", &name);
	if (!outcome)
		outcome = begin(in);
	if (!outcome)
		outcome = get_device(name, &view);
	if (outcome)
		return outcome;
	if (view.status.mode != MODE_SECONDARY)
		return error(FAILED, "%s: this is no view, but a device of the mode %s; the top is a view",
			     view.name, mode_name(view.status.mode));
	snprintf(path, sizeof(path), "/dev/mapper/%s", view.name);
	top.path = !stat(path, &st) && st.st_rdev == makedev(view.major, view.minor) ? path : "";
	top.major = view.major;
	top.minor = view.minor;
	add_device(table, &top);
	new_uuid("INGRESS", uuid);
	return make(in, uuid, view.len, table);
}

/*
 * Primary
 */

enum { LOCAL, REPLICA, PRIMARY_METADATA, NR_LEGS };

struct primary {
	struct block_device legs[NR_LEGS];	/* without a path: there is none */
	struct owner owner;
};

static enum outcome look_at_legs(const struct invocation *in, struct primary *primary)
{
	static const char * const names[] = {
		[LOCAL] = "local", [REPLICA] = "replica", [PRIMARY_METADATA] = "metadata",
	};
	const char *paths[NR_LEGS];
	enum outcome outcome = DONE;
	unsigned int i;

	for (i = 0; !outcome && i < NR_LEGS; i++)
		outcome = need(in, names[i], &paths[i]);
	for (i = 0; !outcome && i < NR_LEGS; i++)
		if (i == REPLICA || !is_none(paths[i]))
			outcome = look_at_device(names[i], paths[i], &primary->legs[i]);
	return outcome;
}

static enum outcome check_leg_sizes(const struct primary *primary)
{
	const struct block_device *local = &primary->legs[LOCAL], *disk = local;
	const struct block_device *replica = &primary->legs[REPLICA];
	char has[SIZE_TEXT_BYTES], needs[SIZE_TEXT_BYTES];

	if (!local->path)
		disk = replica;
	if (!disk->sectors)
		return error(FAILED, "%s device %s: it is empty", disk->role, disk->path);
	if (replica->sectors < disk->sectors)
		return error(FAILED, "replica device %s: it has %s (%llu sectors), and has to be as long as the local one, %s (%llu sectors); it may be longer",
			     replica->path, format_size(replica->sectors * SECTOR_BYTES, has),
			     replica->sectors, format_size(disk->sectors * SECTOR_BYTES, needs),
			     disk->sectors);
	return check_unit(&primary->owner, disk);
}

/* The local device has what is to be replicated; the replica is what is overwritten. */
static enum outcome check_legs(const struct invocation *in, struct primary *primary)
{
	bool force = has_option(in, "force");
	enum outcome outcome = DONE;
	unsigned int i;

	for (i = 0; !outcome && i < NR_LEGS; i++)
		if (primary->legs[i].path)
			outcome = check_unused(&primary->legs[i]);
	if (!outcome && primary->owner.metadata->path)
		outcome = check_metadata(&primary->owner, force);
	if (outcome || force || primary->owner.comes_back || has_option(in, "insync") ||
	    !primary->legs[LOCAL].path)
		return outcome;
	outcome = check_signature(&primary->legs[REPLICA]);
	if (outcome == REFUSED)
		error(outcome, "if the replica has what the local device has already: --insync");
	return outcome;
}

static bool is_timeout(const char *text)
{
	return *text && strlen(text) < 9 && text[strspn(text, "0123456789")] == '\0' &&
		atoi(text) >= 1 && atoi(text) <= MAX_TIMEOUT;
}

/* What the options are in a table. */
static enum outcome primary_options(const struct invocation *in, const char **words,
				    unsigned int *n)
{
	const char *timeout = option(in, "replica-timeout");

	*n = 0;
	if (has_option(in, "manual-start"))
		words[(*n)++] = "manual_start";
	if (has_option(in, "insync"))
		words[(*n)++] = "insync";
	if (has_option(in, "manual-resync"))
		words[(*n)++] = "manual_resync";
	if (!timeout)
		return DONE;
	if (!is_timeout(timeout))
		return error(WRONG_USAGE, "--replica-timeout %s: this is no number of seconds from 1 to %d",
			     timeout, MAX_TIMEOUT);
	words[(*n)++] = "replica_timeout";
	words[(*n)++] = timeout;
	return DONE;
}

/* The filter knows of no regions: there is nothing to keep. */
static enum outcome check_filter(const struct primary *primary)
{
	if (primary->legs[LOCAL].path || !primary->owner.metadata->path)
		return DONE;
	return error(WRONG_USAGE, "--metadata %s: without a local device there is nothing to keep; take none",
		     primary->owner.metadata->path);
}

enum outcome create_primary_command(const struct invocation *in)
{
	struct primary primary = {
		.owner = { .kind = "primary", .unit = &region, .primary = true },
	};
	struct owner *owner = &primary.owner;
	char table[TABLE_BYTES] = "primary";
	enum outcome outcome;
	const char *words[8];
	unsigned int n;
	size_t len;

	owner->metadata = &primary.legs[PRIMARY_METADATA];
	new_uuid("PRIMARY", owner->uuid);
	outcome = primary_options(in, words, &n);
	if (!outcome)
		outcome = parse_unit(in, &region, &owner->unit_sectors);
	if (!outcome)
		outcome = begin(in);
	if (!outcome)
		outcome = look_at_legs(in, &primary);
	if (!outcome)
		outcome = check_filter(&primary);
	if (!outcome)
		outcome = check_different(primary.legs, NR_LEGS);
	if (!outcome)
		outcome = check_leg_sizes(&primary);
	owner->len = primary.legs[primary.legs[LOCAL].path ? LOCAL : REPLICA].sectors;
	if (!outcome)
		outcome = check_legs(in, &primary);
	if (outcome)
		return outcome;
	add_device(table, owner->metadata);
	add_device(table, &primary.legs[LOCAL]);
	add_device(table, &primary.legs[REPLICA]);
	len = strlen(table);
	snprintf(table + len, sizeof(table) - len, " %u", owner->unit_sectors);
	add_options(table, words, n);
	return make(in, owner->uuid, owner->len, table);
}

/*
 * Format
 */

/* What is not done has what is nowhere else. */
static enum outcome check_overwritten(const struct block_device *device)
{
	struct metadata_super super;
	char why[256];

	switch (look_at_metadata(device, &super, why, sizeof(why))) {
	case METADATA_SET:
		if (!strcmp(super.stage, "done"))
			return DONE;
		if (super.primary)
			return error(REFUSED, "metadata device %s: it knows where the disks of a primary are equal; without it all is copied anew; if that may be, --force",
				     device->path);
		return error(REFUSED, "metadata device %s: it has a set in stage %s, whose view would be lost; if that may be, --force",
			     device->path, super.stage);
	case METADATA_BLANK:
	case METADATA_OTHER:
		return check_signature(device);
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
		outcome = check_overwritten(&device);
	return outcome ? outcome : zero_metadata(&device);
}
