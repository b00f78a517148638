// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands create and format: what can go wrong is looked for before anything is
 * touched.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "create.h"
#include "device.h"
#include "library.h"
#include "signature.h"
#include "units.h"

#define MIN_CHUNK	8U	/* sectors */
#define MAX_CHUNK	2048U
#define DEFAULT_CHUNK	8U
#define DEFAULT_REGION	128U

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
	{ "region-size", 0, "SIZE", "in which they are counted (64K)" },
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

static enum outcome parse_unit(const struct invocation *in, const char *name, u32 usual,
			       u32 *sectors)
{
	const char *text = option(in, name);
	char least[SIZE_TEXT_BYTES], most[SIZE_TEXT_BYTES];
	u64 bytes;

	*sectors = usual;
	if (!text)
		return DONE;
	if (parse_size(text, &bytes) && bytes >= MIN_CHUNK * SECTOR_BYTES &&
	    bytes <= MAX_CHUNK * SECTOR_BYTES && !(bytes & (bytes - 1))) {
		*sectors = bytes / SECTOR_BYTES;
		return DONE;
	}
	return error(WRONG_USAGE, "--%s %s: it is a power of two from %s to %s", name, text,
		     format_size(MIN_CHUNK * SECTOR_BYTES, least),
		     format_size(MAX_CHUNK * SECTOR_BYTES, most));
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
 * Secondary
 */

enum { SECONDARY, ACTIVE, HIDDEN, METADATA, NR_DEVICES };

struct secondary {
	struct block_device devices[NR_DEVICES];	/* without a path: there is none */
	u32 chunk_sectors;
	bool comes_back;		/* the metadata has this set */
	char uuid[UUID_BYTES];
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

static enum outcome check_different(const struct secondary *secondary)
{
	const struct block_device *a, *b;

	for (a = secondary->devices; a < secondary->devices + NR_DEVICES; a++)
		for (b = secondary->devices; b < a; b++)
			if (a->path && b->path && a->major == b->major && a->minor == b->minor)
				return error(WRONG_USAGE, "%s: it is given twice, as %s and as %s; they are different devices",
					     a->path, b->role, a->role);
	return DONE;
}

static enum outcome check_sizes(const struct secondary *secondary)
{
	const struct block_device *disk = &secondary->devices[SECONDARY], *store;
	char has[SIZE_TEXT_BYTES], needs[SIZE_TEXT_BYTES];
	u64 chunk = secondary->chunk_sectors;

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
	while (disk->sectors > chunk << 32)
		chunk *= 2;
	if (chunk != secondary->chunk_sectors)
		return error(FAILED, "secondary device %s: it is too long for this chunk size; --chunk-size %s or more will do",
			     disk->path, format_size(chunk * SECTOR_BYTES, needs));
	return DONE;
}

/* How large it has to be, and with which chunks it would do as it is. */
static enum outcome check_metadata_size(const struct secondary *secondary)
{
	const struct block_device *metadata = &secondary->devices[METADATA];
	char has[SIZE_TEXT_BYTES], needs[SIZE_TEXT_BYTES], larger[SIZE_TEXT_BYTES];
	u64 len = secondary->devices[SECONDARY].sectors;
	u32 chunk = secondary->chunk_sectors;
	u64 sectors = metadata_need(len, chunk);

	if (metadata->sectors >= sectors)
		return DONE;
	format_size(metadata->sectors * SECTOR_BYTES, has);
	format_size(sectors * SECTOR_BYTES, needs);
	while (chunk <= MAX_CHUNK && metadata->sectors < metadata_need(len, chunk))
		chunk *= 2;
	if (chunk > MAX_CHUNK)
		return error(FAILED, "metadata device %s: it has %s, and needs %s",
			     metadata->path, has, needs);
	return error(FAILED, "metadata device %s: it has %s, and needs %s; or --chunk-size %s",
		     metadata->path, has, needs,
		     format_size(chunk * (u64)SECTOR_BYTES, larger));
}

/* A set is of this size and with these chunks, or it is another one's. */
static enum outcome check_set(struct secondary *secondary, const struct metadata_super *super)
{
	const struct block_device *metadata = &secondary->devices[METADATA];
	u64 len = secondary->devices[SECONDARY].sectors;
	char chunk[SIZE_TEXT_BYTES];

	if (super->len != len)
		return error(REFUSED, "metadata device %s: it belongs to a secondary of %llu sectors, not %llu; if it is not needed any more, dmrepctl format %s",
			     metadata->path, super->len, len, metadata->path);
	if (super->chunk_sectors != secondary->chunk_sectors)
		return error(REFUSED, "metadata device %s: its set has chunks of %s; take that, or, if it is not needed any more, dmrepctl format %s",
			     metadata->path,
			     format_size(super->chunk_sectors * (u64)SECTOR_BYTES, chunk),
			     metadata->path);
	secondary->comes_back = true;
	/* The target has it come back under no other. */
	if (super->view[0])
		snprintf(secondary->uuid, sizeof(secondary->uuid), "%s", super->view);
	return DONE;
}

static enum outcome check_metadata(struct secondary *secondary, bool force)
{
	const struct block_device *metadata = &secondary->devices[METADATA];
	struct metadata_super super;
	enum outcome outcome;
	char why[256];

	switch (look_at_metadata(metadata, &super, why, sizeof(why))) {
	case METADATA_SET:
		outcome = check_set(secondary, &super);
		return outcome ? outcome : check_metadata_size(secondary);
	case METADATA_BLANK:
		outcome = check_metadata_size(secondary);
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

static enum outcome check_contents(struct secondary *secondary, bool force)
{
	const struct block_device *device;
	enum outcome outcome = DONE;

	for (device = secondary->devices; device < secondary->devices + NR_DEVICES; device++)
		if (!outcome && device->path)
			outcome = check_unused(device);
	if (!outcome && secondary->devices[METADATA].path)
		outcome = check_metadata(secondary, force);
	/* In the stores of a set that comes back there is anything, for good. */
	if (outcome || secondary->comes_back || force)
		return outcome;
	outcome = check_signature(&secondary->devices[ACTIVE]);
	return outcome ? outcome : check_signature(&secondary->devices[HIDDEN]);
}

enum outcome create_secondary_command(const struct invocation *in)
{
	struct secondary secondary = { 0 };
	static const char * const manual_start[] = { "manual_start" };
	char table[TABLE_BYTES] = "secondary";
	enum outcome outcome;
	size_t len;

	new_uuid("SECONDARY", secondary.uuid);
	outcome = parse_unit(in, "chunk-size", DEFAULT_CHUNK, &secondary.chunk_sectors);
	if (!outcome)
		outcome = begin(in);
	if (!outcome)
		outcome = look_at_devices(in, &secondary);
	if (!outcome)
		outcome = check_different(&secondary);
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
	snprintf(table + len, sizeof(table) - len, " %u", secondary.chunk_sectors);
	add_options(table, manual_start, has_option(in, "manual-start"));
	return make(in, secondary.uuid, secondary.devices[SECONDARY].sectors, table);
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

static enum outcome look_at_leg(const struct invocation *in, const char *name, bool optional,
				struct block_device *device)
{
	enum outcome outcome;
	const char *path;

	outcome = need(in, name, &path);
	if (outcome || (optional && is_none(path)))
		return outcome;
	outcome = look_at_device(name, path, device);
	return outcome ? outcome : check_unused(device);
}

/* What the options are in a table; false: the timeout is no number of seconds. */
static bool primary_options(const struct invocation *in, const char **words, unsigned int *n)
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
		return true;
	words[(*n)++] = "replica_timeout";
	words[(*n)++] = timeout;
	return *timeout && strlen(timeout) < 9 && timeout[strspn(timeout, "0123456789")] == '\0';
}

enum outcome create_primary_command(const struct invocation *in)
{
	struct block_device local = { 0 }, replica = { 0 }, metadata = { 0 };
	char table[TABLE_BYTES] = "primary", uuid[UUID_BYTES];
	enum outcome outcome;
	const char *words[8];
	unsigned int n;
	u32 region;
	size_t len;

	if (!primary_options(in, words, &n))
		return error(WRONG_USAGE, "--replica-timeout %s: this is no number of seconds",
			     option(in, "replica-timeout"));
	outcome = parse_unit(in, "region-size", DEFAULT_REGION, &region);
	if (!outcome)
		outcome = begin(in);
	if (!outcome)
		outcome = look_at_leg(in, "local", true, &local);
	if (!outcome)
		outcome = look_at_leg(in, "replica", false, &replica);
	if (!outcome)
		outcome = look_at_leg(in, "metadata", true, &metadata);
	if (!outcome && metadata.path && !has_option(in, "force"))
		outcome = check_signature(&metadata);
	if (outcome)
		return outcome;
	add_device(table, &metadata);
	add_device(table, &local);
	add_device(table, &replica);
	len = strlen(table);
	snprintf(table + len, sizeof(table) - len, " %u", region);
	add_options(table, words, n);
	new_uuid("PRIMARY", uuid);
	return make(in, uuid, replica.sectors, table);
}

/*
 * Format
 */

/* A set that is not done has what is nowhere else. */
static enum outcome check_overwritten(const struct block_device *device)
{
	struct metadata_super super;
	char why[256];

	switch (look_at_metadata(device, &super, why, sizeof(why))) {
	case METADATA_SET:
		if (!strcmp(super.stage, "done"))
			return DONE;
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
