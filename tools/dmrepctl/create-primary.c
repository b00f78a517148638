// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command create primary.
 */
#include <stdlib.h>
#include <string.h>

#include "create.h"
#include "units.h"

#define MAX_TIMEOUT	3600	/* seconds */

const struct option_spec create_primary_options[] = {
	{ "local", 'l', "DEVICE", "the disk here; or none" },
	{ "replica", 'r', "DEVICE", "the disk there" },
	{ "metadata", 'm', "DEVICE", "where dirty regions are kept; or none" },
	{ "size", 0, "SIZE", "of the primary, if it is to be shorter than its disks" },
	{ "region-size", 0, "SIZE", "a power of two from 64K to 4M (1M)" },
	{ "manual-start", 0, NULL, "wait for dmrepctl start" },
	{ "insync", 0, NULL, "the disks are equal already" },
	{ "manual-resync", 0, NULL, "wait for dmrepctl resync" },
	{ "replica-timeout", 0, "SECONDS", "after which the replica has failed" },
	{ "force", 'f', NULL, "overwrite what is on the devices" },
	{ "dry-run", 'n', NULL, "only print the table, for dmsetup" },
	{ 0 }
};

/* In the order of the table. */
enum { METADATA, LOCAL, REPLICA, NR_DEVICES };

static bool is_timeout(const char *text)
{
	return *text && strlen(text) < 9 && text[strspn(text, "0123456789")] == '\0' &&
		atoi(text) >= 1 && atoi(text) <= MAX_TIMEOUT;
}

static enum outcome parse(const struct invocation *in, struct plan *plan)
{
	const char *timeout = option(in, "replica-timeout");
	char label[LABEL_BYTES];

	if (has_option(in, "manual-start"))
		plan->words[plan->nr_words++] = "manual_start";
	if (has_option(in, "insync"))
		plan->words[plan->nr_words++] = "insync";
	if (has_option(in, "manual-resync"))
		plan->words[plan->nr_words++] = "manual_resync";
	if (!timeout)
		return DONE;
	if (!is_timeout(timeout))
		return error(WRONG_USAGE, "%s %s: this is no number of seconds from 1 to %d",
			     option_label("replica-timeout", label), timeout, MAX_TIMEOUT);
	plan->words[plan->nr_words++] = "replica_timeout";
	plan->words[plan->nr_words++] = timeout;
	return DONE;
}

/* The filter knows of no regions: there is nothing to keep. */
static enum outcome check_filter(const struct plan *plan)
{
	char label[LABEL_BYTES];

	if (plan->devices[LOCAL].path || !plan->devices[METADATA].path)
		return DONE;
	return error(WRONG_USAGE, "%s %s: without a local device there is nothing to keep; take none",
		     option_label("metadata", label), plan->devices[METADATA].path);
}

static enum outcome check_devices(const struct plan *plan)
{
	const struct block_device *replica = &plan->devices[REPLICA];
	char has[SIZE_TEXT_BYTES], needs[SIZE_TEXT_BYTES];
	enum outcome outcome = check_filter(plan);

	if (outcome)
		return outcome;
	if (replica->sectors >= plan->len) {
		warn_of_cache(replica);
		return DONE;
	}
	if (!replica->sectors)
		return empty_replica(replica);
	return error(FAILED, "replica device %s: it has %s (%llu sectors), and has to be as long as the primary, %s (%llu sectors); it may be longer",
		     replica->path, format_size(replica->sectors * SECTOR_BYTES, has),
		     replica->sectors, format_size(plan->len * SECTOR_BYTES, needs), plan->len);
}

/* The local device has what is to be replicated; the replica is what is overwritten. */
static enum outcome check_contents(const struct plan *plan)
{
	char label[LABEL_BYTES];
	enum outcome outcome;

	if (plan->insync || !plan->devices[LOCAL].path)
		return DONE;
	outcome = check_signature(&plan->devices[REPLICA]);
	if (outcome == REFUSED)
		error(outcome, "%s copies the local device over it; if the two are equal already, byte by byte: %s",
		      flag_label("force", label),
		      error_is_about_file() ? "dmrepctl create primary --insync, once" : "--insync");
	return outcome;
}

const struct plan_kind plan_primary = {
	.name = "primary",
	.uuid = "PRIMARY",
	.mode = MODE_PRIMARY,
	.options = create_primary_options,
	.roles = {
		[METADATA] = "metadata", [LOCAL] = "local", [REPLICA] = "replica",
	},
	.nr_devices = NR_DEVICES,
	.may_be_none = 1 << METADATA | 1 << LOCAL,
	.disk = LOCAL,
	.second_disk = REPLICA,
	.unit = { "region-size", "regions", 128, 8192, 2048, 1ULL << 24 },
	.parse = parse,
	.check_devices = check_devices,
	.check_contents = check_contents,
};

enum outcome create_primary_command(const struct invocation *in)
{
	return create_planned(in, &plan_primary);
}
