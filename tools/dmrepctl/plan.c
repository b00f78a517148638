// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "identity.h"
#include "plan.h"
#include "stale.h"
#include "units.h"

/*
 * What was asked for
 */

static bool is_none(const char *path)
{
	return !strcmp(path, "none") || !strcmp(path, "-");
}

/* What option --name is for; that it is there. */
static enum outcome need(const struct invocation *in, const char *name, const char **value)
{
	*value = option(in, name);
	return *value && **value ? DONE : missing_option(in, name);
}

static enum outcome parse_unit(const struct invocation *in, const struct unit *unit, u32 *sectors)
{
	u64 bytes, min = unit->min * SECTOR_BYTES, max = unit->max * SECTOR_BYTES;
	char least[SIZE_TEXT_BYTES], most[SIZE_TEXT_BYTES], label[LABEL_BYTES];
	const char *text = option(in, unit->option);

	*sectors = unit->usual;
	if (!text)
		return DONE;
	if (parse_size(text, &bytes) && bytes >= min && bytes <= max && !(bytes & (bytes - 1))) {
		*sectors = bytes / SECTOR_BYTES;
		return DONE;
	}
	return error(WRONG_USAGE, "%s %s: it is a power of two from %s to %s",
		     option_label(unit->option, label), text, format_size(min, least),
		     format_size(max, most));
}

/* Of the view or primary; without the option there is none. */
static enum outcome parse_length(const struct invocation *in, u64 *sectors)
{
	const char *text = option(in, "size");
	char label[LABEL_BYTES];
	u64 bytes;

	*sectors = 0;
	if (!text)
		return DONE;
	if (!parse_size(text, &bytes) || !bytes || bytes % SECTOR_BYTES)
		return error(WRONG_USAGE, "%s %s: it is a number of whole sectors, of %u bytes each",
			     option_label("size", label), text, SECTOR_BYTES);
	*sectors = bytes / SECTOR_BYTES;
	return DONE;
}

enum outcome check_name(const char *name)
{
	if (!*name || strchr(name, '/') || strlen(name) >= NAME_BYTES - 1)
		return error(WRONG_USAGE, "%s: a device's name has 1 to %d characters, none a slash",
			     name, NAME_BYTES - 2);
	return DONE;
}

enum outcome check_name_is_free(const char *name)
{
	if (name_is_taken(name))
		return error(FAILED, "%s: there is a device of this name already", name);
	return DONE;
}

/* "DMREPL-SECONDARY-" and 32 digits that nobody has had before. */
void new_uuid(const char *mode, char uuid[UUID_BYTES])
{
	u8 random[16] = { 0 };
	unsigned int i;
	size_t len;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		warning("cannot get random bytes for a UUID");
	len = snprintf(uuid, UUID_BYTES, UUID_PREFIX "%s-", mode);
	for (i = 0; i < sizeof(random); i++)
		len += snprintf(uuid + len, UUID_BYTES - len, "%02x", random[i]);
}

enum outcome plan_parse(const struct invocation *in, const struct plan_kind *kind,
			struct plan *plan)
{
	enum outcome outcome;
	const char *path;
	unsigned int i;

	*plan = (struct plan){
		.kind = kind,
		.name = in->argv[0],
		.force = has_option(in, "force"),
		.insync = has_option(in, "insync"),
	};
	new_uuid(kind->uuid, plan->uuid);
	outcome = kind->parse(in, plan);
	if (!outcome)
		outcome = parse_unit(in, &kind->unit, &plan->unit_sectors);
	if (!outcome)
		outcome = parse_length(in, &plan->size);
	if (!outcome)
		outcome = check_name(plan->name);
	for (i = 0; !outcome && i < kind->nr_devices; i++) {
		outcome = need(in, kind->roles[i], &path);
		if (!outcome && !((kind->may_be_none >> i & 1) && is_none(path)))
			plan->devices[i].path = path;
	}
	return outcome;
}

/*
 * The devices
 */

static enum outcome check_two(const struct block_device *a, const struct block_device *b)
{
	if (!a->path || !b->path)
		return DONE;
	if (a->major == b->major && a->minor == b->minor)
		return error(WRONG_USAGE, "%s: it is given twice, as %s and as %s; they are different devices",
			     a->path, b->role, a->role);
	if (share_file(a, b))
		return error(WRONG_USAGE, "%s device %s and %s device %s: they are loop devices of the same part of one file; each needs a file of its own",
			     b->role, b->path, a->role, a->path);
	return DONE;
}

/* Each of them but once. */
static enum outcome check_different(const struct plan *plan)
{
	const struct block_device *a, *b;
	enum outcome outcome = DONE;

	for (a = plan->devices; a < plan->devices + plan->kind->nr_devices; a++)
		for (b = plan->devices; !outcome && b < a; b++)
			outcome = check_two(a, b);
	return outcome;
}

const struct block_device *plan_disk(const struct plan *plan)
{
	const struct block_device *disk = &plan->devices[plan->kind->disk];

	return disk->path ? disk : &plan->devices[plan->kind->second_disk];
}

/*
 * As long as it was, if the metadata is known to belong to this disk, which may have grown.
 * Whatever is wrong with the metadata is said later.
 */
static void take_length(struct plan *plan)
{
	const struct block_device *disk = plan_disk(plan);
	struct metadata_super super;
	char why[256];

	plan->len = plan->size ? plan->size : disk->sectors;
	put_identity(plan->uuid, disk);
	if (!plan->size && plan->devices[PLAN_METADATA].path &&
	    look_at_metadata(&plan->devices[PLAN_METADATA], &super, why,
			     sizeof(why)) == METADATA_SET &&
	    super.len < disk->sectors && is_identified(disk) && has_identity(super.view, disk))
		plan->len = super.len;
}

enum outcome plan_look(struct plan *plan)
{
	enum outcome outcome = DONE;
	unsigned int i;

	for (i = 0; !outcome && i < plan->kind->nr_devices; i++)
		if (plan->devices[i].path)
			outcome = look_at_device(plan->kind->roles[i], plan->devices[i].path,
						 &plan->devices[i]);
	if (outcome)
		return outcome;
	take_length(plan);
	return check_different(plan);
}

static enum outcome check_unit(const struct plan *plan)
{
	const struct block_device *disk = plan_disk(plan);
	const struct unit *unit = &plan->kind->unit;
	char needs[SIZE_TEXT_BYTES], label[LABEL_BYTES];
	u64 sectors = plan->unit_sectors;

	while (plan->len > sectors * unit->max_number)
		sectors *= 2;
	if (sectors == plan->unit_sectors)
		return DONE;
	return error(FAILED, "%s device %s: it is too long for this %.*s size; %s %s or more will do",
		     disk->role, disk->path, (int)strcspn(unit->option, "-"), unit->option,
		     option_label(unit->option, label), format_size(sectors * SECTOR_BYTES, needs));
}

/*
 * The metadata
 */

/* How large it has to be, and with which chunks it would do as it is. */
static enum outcome check_metadata_size(const struct plan *plan)
{
	const struct block_device *metadata = &plan->devices[PLAN_METADATA];
	char has[SIZE_TEXT_BYTES], needs[SIZE_TEXT_BYTES], larger[SIZE_TEXT_BYTES];
	u64 sectors = metadata_need(plan->len, plan->unit_sectors);
	const struct unit *unit = &plan->kind->unit;
	u32 fits = plan->unit_sectors;
	char label[LABEL_BYTES];

	if (metadata->sectors >= sectors)
		return DONE;
	format_size(metadata->sectors * SECTOR_BYTES, has);
	format_size(sectors * SECTOR_BYTES, needs);
	while (fits <= unit->max && metadata->sectors < metadata_need(plan->len, fits))
		fits *= 2;
	if (fits > unit->max)
		return error(FAILED, "metadata device %s: it has %s, and needs %s",
			     metadata->path, has, needs);
	return error(FAILED, "metadata device %s: it has %s, and needs %s; or %s %s",
		     metadata->path, has, needs, option_label(unit->option, label),
		     format_size(fits * (u64)SECTOR_BYTES, larger));
}

/* How to ask for so many sectors, here or in the file. */
static const char *size_words(u64 sectors, char text[LABEL_BYTES])
{
	snprintf(text, LABEL_BYTES, error_is_about_file() ? "size = \"%llus\"" : "--size %llus",
		 sectors);
	return text;
}

/* Nothing here says how to have it formatted: it may be needed. */
static enum outcome check_length(const struct plan *plan, u64 len)
{
	const char *disk = plan_disk(plan)->path, *kind = plan->kind->name;
	const char *path = plan->devices[PLAN_METADATA].path;
	char words[LABEL_BYTES];

	if (len == plan->len)
		return DONE;
	size_words(len, words);
	if (plan->size)
		return error(REFUSED, "metadata device %s: it belongs to a %s of %llu sectors, not %llu; if %s is its disk, take %s",
			     path, kind, len, plan->len, disk, words);
	if (len > plan->len)
		return error(REFUSED, "metadata device %s: it belongs to a %s of %llu sectors, not %llu; if %s is its disk, make that as long as it was",
			     path, kind, len, plan->len, disk);
	return error(REFUSED, "metadata device %s: it belongs to a %s of %llu sectors, not %llu; if %s is its disk, and has grown, take %s",
		     path, kind, len, plan->len, disk, words);
}

static void tell_of_length(const struct plan *plan)
{
	const struct block_device *disk = plan_disk(plan);
	char has[SIZE_TEXT_BYTES], keeps[SIZE_TEXT_BYTES];

	if (plan->size || disk->sectors == plan->len)
		return;
	warning("%s device %s: it has grown to %s (%llu sectors); %s stays as long as it was, %s (%llu sectors)",
		disk->role, disk->path, format_size(disk->sectors * SECTOR_BYTES, has),
		disk->sectors, plan->name, format_size(plan->len * SECTOR_BYTES, keeps), plan->len);
}

/* What this host knows against it. */
static enum outcome check_not_stale(const char *path, const struct metadata_super *super)
{
	struct stale_note note;

	if (!strcmp(super->stage, "done") || !find_stale_note(super->view, &note) ||
	    !strcmp(note.good, super->uuid))
		return DONE;
	if (note.good[0])
		return error(REFUSED, "metadata device %s: it was replaced by the one with the UUID %s (dmrepctl dump shows it), and does not have %s: disks that differ would be called in sync; name that one, or dmrepctl format --force %s, then it is a new one",
			     path, note.good, note.what, path);
	return error(REFUSED, "metadata device %s: it had failed, and does not have %s: with what it has, newer data would be overwritten; dmrepctl format --force %s, then it is a new one",
		     path, note.what, path);
}

/* What was there is of this kind and size and with these chunks, or another one's. */
static enum outcome check_set(struct plan *plan, const struct metadata_super *super)
{
	const char *path = plan->devices[PLAN_METADATA].path, *kind = plan->kind->name;
	bool primary = plan->kind->mode == MODE_PRIMARY;
	char unit[SIZE_TEXT_BYTES];
	enum outcome outcome;

	if (super->primary != primary)
		return error(REFUSED, "metadata device %s: it belongs to a %s, not a %s; if it is not needed any more, dmrepctl format %s",
			     path, super->primary ? "primary" : "secondary", kind, path);
	outcome = check_length(plan, super->len);
	if (outcome)
		return outcome;
	if (super->chunk_sectors != plan->unit_sectors)
		return error(REFUSED, "metadata device %s: its %s has %s of %s; take that, or, if it is not needed any more, dmrepctl format %s",
			     path, primary ? kind : "set", plan->kind->unit.plural,
			     format_size(super->chunk_sectors * (u64)SECTOR_BYTES, unit), path);
	outcome = check_not_stale(path, super);
	if (outcome)
		return outcome;
	plan->comes_back = true;
	plan->was_done = !strcmp(super->stage, "done");
	/* The target has it come back under no other. */
	if (super->view[0])
		snprintf(plan->uuid, sizeof(plan->uuid), "%s", super->view);
	return DONE;
}

static enum outcome check_metadata(struct plan *plan)
{
	const struct block_device *metadata = &plan->devices[PLAN_METADATA];
	struct metadata_super super;
	enum outcome outcome;
	char why[256];

	switch (look_at_metadata(metadata, &super, why, sizeof(why))) {
	case METADATA_SET:
		outcome = check_set(plan, &super);
		if (!outcome)
			outcome = check_metadata_size(plan);
		if (!outcome)
			tell_of_length(plan);
		return outcome;
	case METADATA_BLANK:
		outcome = check_metadata_size(plan);
		return outcome || plan->force ? outcome : check_signature(metadata);
	case METADATA_OTHER:
	case METADATA_VERSION:
		outcome = check_signature(metadata);
		if (outcome)
			return outcome;
		return error(REFUSED, "metadata device %s: %s; dmrepctl format %s says what, and with --force makes it a new one",
			     metadata->path, why, metadata->path);
	case METADATA_DAMAGED:
		return error(REFUSED, "metadata device %s: %s; dmrepctl check %s tells more",
			     metadata->path, why, metadata->path);
	default:
		return error(FAILED, "metadata device %s: %s", metadata->path, why);
	}
}

enum outcome plan_check(struct plan *plan)
{
	const struct block_device *disk = plan_disk(plan);
	char words[LABEL_BYTES];
	enum outcome outcome;
	unsigned int i;

	if (!disk->sectors)
		return error(FAILED, "%s device %s: it is empty", disk->role, disk->path);
	if (plan->len > disk->sectors)
		return error(FAILED, "%s device %s: it has %llu sectors, fewer than %s",
			     disk->role, disk->path, disk->sectors, size_words(plan->len, words));
	outcome = plan->kind->check_devices(plan);
	if (!outcome)
		outcome = check_unit(plan);
	for (i = 0; !outcome && i < plan->kind->nr_devices; i++)
		if (plan->devices[i].path)
			outcome = check_unused(&plan->devices[i]);
	if (!outcome && plan->devices[PLAN_METADATA].path)
		outcome = check_metadata(plan);
	/* What comes back has used its devices, rightly. */
	if (outcome || plan->comes_back || plan->force)
		return outcome;
	return plan->kind->check_contents(plan);
}

/*
 * Making
 */

/* As a table has it: a path, unless dm would take it for several words. */
void add_device(char *table, const struct block_device *device, bool number)
{
	size_t len = strlen(table);

	if (!device->path)
		snprintf(table + len, TABLE_BYTES - len, " -");
	else if (number || device->path[0] != '/' || strlen(device->path) > 256 ||
		 strpbrk(device->path, " \t\n\\"))
		snprintf(table + len, TABLE_BYTES - len, " %u:%u", device->major, device->minor);
	else
		snprintf(table + len, TABLE_BYTES - len, " %s", device->path);
}

void plan_table(const struct plan *plan, bool numbers, char table[TABLE_BYTES])
{
	unsigned int i;
	size_t len;

	snprintf(table, TABLE_BYTES, "%s", plan->kind->name);
	for (i = 0; i < plan->kind->nr_devices; i++)
		add_device(table, &plan->devices[i], numbers);
	len = strlen(table);
	len += snprintf(table + len, TABLE_BYTES - len, " %u", plan->unit_sectors);
	if (plan->nr_words)
		len += snprintf(table + len, TABLE_BYTES - len, " %u", plan->nr_words);
	for (i = 0; i < plan->nr_words; i++)
		len += snprintf(table + len, TABLE_BYTES - len, " %s", plan->words[i]);
}

/* The target starts it as it is made, but if the metadata device fails that. */
static enum outcome check_started(const struct plan *plan)
{
	struct device device;
	enum outcome outcome = get_device(plan->name, &device);
	unsigned int i;

	if (outcome || device.status.stage != STAGE_NONE)
		return outcome;
	for (i = 0; i < plan->nr_words; i++)
		if (!strcmp(plan->words[i], "manual_start"))
			return DONE;
	remove_device(plan->name);
	return error(FAILED, "%s: it could not be started, and is removed again: metadata device %s: it cannot be written",
		     plan->name, plan->devices[0].path);
}

/* It is a disk like any other by now. */
static void tell_of_end(const struct plan *plan)
{
	if (!plan->was_done)
		return;
	warning("%s: it comes back in stage done: it shows its disk, and nothing is replicated. To replicate again, dmrepctl remove %s, dmrepctl format %s, then make it anew: %s then. See \"Stages\" in replication.rst",
		plan->name, plan->name, plan->devices[PLAN_METADATA].path,
		plan->kind->mode == MODE_PRIMARY ? "all of it is copied over the replica" :
						   "the primary's disk is copied over it");
}

enum outcome plan_make(const struct plan *plan)
{
	enum outcome outcome = target_available();
	char table[TABLE_BYTES];

	plan_table(plan, false, table);
	if (!outcome)
		outcome = create_device(plan->name, plan->uuid, plan->len, table);
	if (!outcome)
		outcome = check_started(plan);
	if (!outcome)
		tell_of_end(plan);
	return outcome;
}
