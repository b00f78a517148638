// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command remove.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "create.h"
#include "device.h"
#include "job.h"
#include "stale.h"
#include "use.h"

const struct option_spec remove_options[] = {
	{ "all", 0, NULL, "all devices of dm-replication" },
	{ "force", 'f', NULL, "even if the view's data is lost with it" },
	{ 0 }
};

struct removal {
	const struct device_list *all;
	bool *chosen;			/* of each of those */
};

static enum outcome choose(struct removal *removal, const char *name)
{
	struct device device;
	enum outcome outcome = get_device(name, &device);
	unsigned int i;

	for (i = 0; !outcome && i < removal->all->n; i++)
		if (!strcmp(removal->all->devices[i].name, device.name))
			removal->chosen[i] = true;
	return outcome;
}

static enum outcome choose_all(struct removal *removal, char * const *names, int n)
{
	enum outcome outcome = DONE;
	int i;

	removal->chosen = calloc(removal->all->n + 1, sizeof(*removal->chosen));
	if (!removal->chosen)
		return out_of_memory();
	for (i = 0; i < (int)removal->all->n; i++)
		removal->chosen[i] = !names;
	for (i = 0; !outcome && i < n; i++)
		outcome = choose(removal, names[i]);
	return outcome;
}

/* An ingress has its view open: it goes first, or the view stays. */
static enum outcome check_ingresses(const struct removal *removal, const struct device *view,
				    u32 *opens)
{
	unsigned int i;

	*opens = 0;
	for (i = 0; i < removal->all->n; i++) {
		const struct device *device = &removal->all->devices[i];

		if (device->status.mode != MODE_INGRESS ||
		    device->status.top_major != view->major ||
		    device->status.top_minor != view->minor)
			continue;
		if (!removal->chosen[i])
			return error(REFUSED, "%s: the ingress %s is on it; dmrepctl remove %s %s",
				     view->name, device->name, device->name, view->name);
		++*opens;
	}
	return DONE;
}

/* The kernel finishes its merge before the view goes, for only the view knows what is merged. */
static bool needs_its_merge(const struct device *device)
{
	return device->status.mode == MODE_SECONDARY && device->status.stage == STAGE_FAILOVER &&
		strcmp(device->status.metadata, "rw");
}

/*
 * What was written to the view is in the maps, and these are in memory alone. While a
 * merge has failed, what the disk held at the checkpoint is there too.
 */
static enum outcome check_loss(const struct device *device)
{
	const struct status_line *status = &device->status;

	if (needs_its_merge(device) && device->suspended)
		return error(REFUSED, "%s: it is suspended, so its merge does not go on; dmsetup resume %s, then dmrepctl remove again; or --force",
			     device->name, device->name);
	if (strcmp(status->metadata, "-"))
		return DONE;
	if (status->stage == STAGE_FAILOVER_FAILED &&
	    (status->active_chunks || status->hidden_chunks))
		return error(REFUSED, "%s: its merge has failed, so without a metadata device a part of the disk would be lost; dmrepctl failover tries again, when the cause is gone; or --force",
			     device->name);
	if (status->stage != STAGE_RUNNING || !status->active_chunks)
		return DONE;
	return error(REFUSED, "%s: it has no metadata device, so what was written to it would be lost, with the checkpoint; dmrepctl failover keeps it, dmrepctl stop drops it; or --force",
		     device->name);
}

/* A device that is open more often than the ingresses on it do, which go first. */
struct open_device {
	const struct removal *removal;
	struct device device;
	u32 opens;
};

static bool is_chosen_ingress(void *context, u32 major, u32 minor)
{
	const struct open_device *open = context;
	const struct device *device = find_device(open->removal->all, major, minor);

	return device && device->status.mode == MODE_INGRESS &&
		open->removal->chosen[device - open->removal->all->devices];
}

static bool is_open_for_now(void *context)
{
	struct open_device *open = context;

	if (!refresh_device(&open->device))
		open->device.open_count = 0;
	return open->device.open_count > open->opens &&
		!is_used_for_long(open->device.major, open->device.minor, is_chosen_ingress, open);
}

/* What has it open for a moment, as udev, is waited for. */
static enum outcome check_closed(const struct removal *removal, const struct device *device,
				 u32 opens)
{
	struct open_device open = { .removal = removal, .device = *device, .opens = opens };
	char use[600];

	lasts(is_open_for_now, &open, LONG_MOMENT);
	if (open.device.open_count <= opens)
		return DONE;
	describe_use(device->major, device->minor, is_chosen_ingress, &open, use, sizeof(use));
	return error(REFUSED, "%s: it is in use: %s", device->name, use);
}

static enum outcome check_device(const struct removal *removal, const struct device *device,
				 bool force)
{
	enum outcome outcome = DONE;
	u32 opens = 0;

	if (device->status.mode == MODE_SECONDARY)
		outcome = check_ingresses(removal, device, &opens);
	if (!outcome)
		outcome = check_closed(removal, device, opens);
	if (outcome)
		return outcome;
	return device->status.mode == MODE_SECONDARY && !force ? check_loss(device) : DONE;
}

/*
 * Here, and not in the kernel: whoever interrupts the kernel's wait loses what is not merged.
 * A merge that fails is a reason to keep the view, but for --force.
 */
static enum outcome wait_for_its_merge(const struct removal *removal, const struct device *device,
				       bool force)
{
	struct device view = *device;
	enum outcome outcome;

	if (!needs_its_merge(&view) || view.suspended)
		return DONE;
	outcome = follow_merge(&view);
	check_rolled_back(&view);
	if (!outcome || view.status.stage == STAGE_FAILOVER_FAILED)
		return !outcome || force ? check_device(removal, &view, force) : outcome;
	if (view.status.stage == STAGE_FAILOVER)
		error(outcome, "%s: nothing was removed; give the same command again, when the merge is done",
		      view.name);
	return outcome;
}

static enum outcome remove_mode(const struct removal *removal, enum mode mode)
{
	enum outcome outcome = DONE;
	unsigned int i;

	for (i = 0; !outcome && i < removal->all->n; i++) {
		const struct device *device = &removal->all->devices[i];

		if (removal->chosen[i] && device->status.mode == mode)
			outcome = remove_device(device->name);
	}
	return outcome;
}

/* A failover that was made without dmrepctl, and is not recorded, may not have been said yet. */
static void say_what_is_not_recorded(const struct removal *removal)
{
	unsigned int i;

	for (i = 0; i < removal->all->n; i++)
		if (removal->chosen[i])
			check_recorded(&removal->all->devices[i]);
}

enum outcome remove_devices(char * const *names, int n, bool force)
{
	struct device_list all = { 0 };
	struct removal removal = { .all = &all };
	enum outcome outcome = list_devices(&all);
	unsigned int i;

	if (!outcome)
		outcome = choose_all(&removal, names, n);
	if (!outcome)
		say_what_is_not_recorded(&removal);
	/* All or nothing. */
	for (i = 0; !outcome && i < all.n; i++)
		if (removal.chosen[i])
			outcome = check_device(&removal, &all.devices[i], force);
	for (i = 0; !outcome && i < all.n; i++)
		if (removal.chosen[i])
			outcome = wait_for_its_merge(&removal, &all.devices[i], force);
	if (!outcome)
		outcome = remove_mode(&removal, MODE_PRIMARY);
	if (!outcome)
		outcome = remove_mode(&removal, MODE_INGRESS);
	if (!outcome)
		outcome = remove_mode(&removal, MODE_SECONDARY);
	free(removal.chosen);
	free_devices(&all);
	return outcome;
}

enum outcome remove_command(const struct invocation *in)
{
	bool all = has_option(in, "all");
	enum outcome outcome = devices_available();

	if (!outcome && !all && !in->argc)
		outcome = error(WRONG_USAGE, "remove: what? A NAME, or --all");
	if (!outcome && all && in->argc)
		outcome = error(WRONG_USAGE, "remove: either a NAME or --all");
	if (outcome)
		return outcome;
	return remove_devices(all ? NULL : in->argv, in->argc, has_option(in, "force"));
}
