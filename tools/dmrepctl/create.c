// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands create secondary and create ingress: what can go wrong is looked for
 * before anything is touched.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "create.h"
#include "units.h"

const struct option_spec create_secondary_options[] = {
	{ "secondary", 's', "DEVICE", "the replica disk" },
	{ "active", 'a', "DEVICE", "for what is written to the view" },
	{ "hidden", 'H', "DEVICE", "for old content of the secondary" },
	{ "metadata", 'm', "DEVICE", "what survives a reboot; or none" },
	{ "size", 0, "SIZE", "of the view, if it is to be shorter than its disks" },
	{ "chunk-size", 'c', "SIZE", "a power of two from 4K to 1M (4K)" },
	{ "manual-start", 0, NULL, "wait for dmrepctl start" },
	{ "no-discard", 0, NULL, "keep the space of what a checkpoint drops" },
	{ "force", 'f', NULL, "overwrite what is on the devices" },
	{ "dry-run", 'n', NULL, "only print the table, for dmsetup" },
	{ 0 }
};

const struct option_spec create_ingress_options[] = {
	{ "top", 't', "VIEW", "the view that it belongs to" },
	{ "dry-run", 'n', NULL, "only print the table, for dmsetup" },
	{ 0 }
};

static void print_table(u64 len, const char *table)
{
	printf("0 %llu " TARGET " %s\n", len, table);
}

enum outcome create_planned(const struct invocation *in, const struct plan_kind *kind)
{
	char table[TABLE_BYTES];
	struct plan plan;
	enum outcome outcome = plan_parse(in, kind, &plan);

	if (!outcome)
		outcome = devices_available();
	if (!outcome)
		outcome = check_name_is_free(plan.name);
	if (!outcome)
		outcome = plan_look(&plan);
	if (!outcome)
		outcome = plan_check(&plan);
	if (outcome || !has_option(in, "dry-run"))
		return outcome ? outcome : plan_make(&plan);
	plan_table(&plan, false, table);
	print_table(plan.len, table);
	return DONE;
}

/*
 * Secondary
 */

/* In the order of the table. */
enum { METADATA, ACTIVE, HIDDEN, SECONDARY, NR_DEVICES };

static enum outcome parse(const struct invocation *in, struct plan *plan)
{
	if (has_option(in, "manual-start"))
		plan->words[plan->nr_words++] = "manual_start";
	if (has_option(in, "no-discard"))
		plan->words[plan->nr_words++] = "no_discard";
	return DONE;
}

static enum outcome check_devices(const struct plan *plan)
{
	const struct block_device *store;
	char has[SIZE_TEXT_BYTES], needs[SIZE_TEXT_BYTES];

	for (store = &plan->devices[ACTIVE]; store <= &plan->devices[HIDDEN]; store++)
		if (store->sectors < plan->len)
			return error(FAILED, "%s device %s: it has %s (%llu sectors), and has to be as long as the view, %s (%llu sectors)",
				     store->role, store->path,
				     format_size(store->sectors * SECTOR_BYTES, has),
				     store->sectors,
				     format_size(plan->len * SECTOR_BYTES, needs), plan->len);
	return DONE;
}

static enum outcome check_contents(const struct plan *plan)
{
	enum outcome outcome = check_signature(&plan->devices[ACTIVE]);

	return outcome ? outcome : check_signature(&plan->devices[HIDDEN]);
}

const struct plan_kind plan_secondary = {
	.name = "secondary",
	.uuid = "SECONDARY",
	.mode = MODE_SECONDARY,
	.options = create_secondary_options,
	.roles = {
		[METADATA] = "metadata", [ACTIVE] = "active", [HIDDEN] = "hidden",
		[SECONDARY] = "secondary",
	},
	.nr_devices = NR_DEVICES,
	.may_be_none = 1 << METADATA,
	.disk = SECONDARY,
	.unit = { "chunk-size", "chunks", 8, 2048, 8, 1ULL << 32 },
	.parse = parse,
	.check_devices = check_devices,
	.check_contents = check_contents,
};

enum outcome create_secondary_command(const struct invocation *in)
{
	return create_planned(in, &plan_secondary);
}

/*
 * Ingress
 */

enum outcome make_ingress(const char *name, const struct device *view, bool dry_run)
{
	char table[TABLE_BYTES] = "ingress", uuid[UUID_BYTES], path[NAME_BYTES + 16];
	struct block_device top = { .major = view->major, .minor = view->minor };
	enum outcome outcome;
	struct stat st;

	snprintf(path, sizeof(path), "/dev/mapper/%s", view->name);
	top.path = !stat(path, &st) && st.st_rdev == makedev(view->major, view->minor) ? path : "";
	add_device(table, &top, false);
	if (dry_run) {
		print_table(view->len, table);
		return DONE;
	}
	new_uuid("INGRESS", uuid);
	outcome = target_available();
	return outcome ? outcome : create_device(name, uuid, view->len, table);
}

enum outcome create_ingress_command(const struct invocation *in)
{
	const char *name = in->argv[0], *top = option(in, "top");
	struct device view;
	enum outcome outcome;

	outcome = top && *top ? DONE : missing_option(in, "top");
	if (!outcome)
		outcome = check_name(name);
	if (!outcome)
		outcome = devices_available();
	if (!outcome)
		outcome = check_name_is_free(name);
	if (!outcome)
		outcome = get_device(top, &view);
	if (outcome)
		return outcome;
	if (view.status.mode != MODE_SECONDARY)
		return error(FAILED, "%s: this is no view, but a device of the mode %s; the top is a view",
			     view.name, mode_name(view.status.mode));
	return make_ingress(name, &view, has_option(in, "dry-run"));
}
