// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands that send messages: start, checkpoint, failover, stop, get-error, clear-error. Each
 * looks first whether it would do harm, and failover waits for the end of the merge.
 */
#define _GNU_SOURCE
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "interrupt.h"
#include "job.h"
#include "progress.h"
#include "stale.h"
#include "units.h"
#include "use.h"

const struct option_spec mounted_options[] = {
	{ "force", 'f', NULL, "even if the view is mounted or in use" },
	{ 0 }
};

const struct option_spec stop_options[] = {
	{ "force", 'f', NULL, "even if the view is in use, or the replica not in sync" },
	{ 0 }
};

const struct option_spec failover_options[] = {
	{ "yes", 'y', NULL, "even if the ingress is open" },
	{ "no-wait", 0, NULL, "do not wait for the end of the merge" },
	{ 0 }
};

enum outcome get_recipient(const struct invocation *in, struct device *device)
{
	enum outcome outcome = devices_available();
	struct device_list all;
	const struct device *top;

	if (!outcome)
		outcome = get_device(in->argv[0], device);
	if (outcome || device->status.mode != MODE_INGRESS)
		return outcome;
	if (list_devices(&all))
		return FAILED;
	top = find_device(&all, device->status.top_major, device->status.top_minor);
	error(FAILED, "%s: this is an ingress; its view is to be told: dmrepctl %s %s",
	      device->name, in->command->name, top ? top->name : "VIEW");
	free_devices(&all);
	return FAILED;
}

/* What lies on a view, and would not see its content change: it has a cache of its own. */
struct above {
	const struct device *view;
	struct device_list all;
	char path[NAME_BYTES + 16];	/* of the view */
	u32 major, minor;		/* what was found */
};

/* Our own ingresses do not show what the view does. */
static bool is_ingress(void *context, u32 major, u32 minor)
{
	const struct above *above = context;
	const struct device *device = find_device(&above->all, major, minor);

	return device && device->status.mode == MODE_INGRESS;
}

/*
 * A dm device counts its openers, of which another dm device is one. Of a loop device the
 * processes can be found; all else, such as an array, keeps what it has read.
 */
static bool is_open_above(void *context, u32 major, u32 minor)
{
	struct above *above = context;
	bool open;
	u32 count;

	if (is_ingress(above, major, minor))
		return false;
	if (get_open_count(major, minor, &count))
		open = count;
	else if (major == LOOP_MAJOR)
		open = is_open_by_process(major, minor) ||
			is_used_for_long(major, minor, NULL, NULL);
	else
		open = true;
	above->major = major;
	above->minor = minor;
	return open;
}

static bool is_covered(void *context)
{
	struct above *above = context;

	return visit_above(above->view->major, above->view->minor, is_open_above, above);
}

static bool is_claimed(void *context)
{
	struct above *above = context;

	return is_claimed_elsewhere(above->path, above->view->major, above->view->minor);
}

static enum outcome check_uncovered(const struct device *device)
{
	struct above above = { .view = device };
	enum outcome outcome = list_devices(&above.all);
	char name[128], use[600];

	snprintf(above.path, sizeof(above.path), "/dev/mapper/%s", device->name);
	if (!outcome && lasts(is_covered, &above, SHORT_MOMENT)) {
		describe_device(above.major, above.minor, name, sizeof(name));
		describe_use(above.major, above.minor, NULL, NULL, use, sizeof(use));
		outcome = error(REFUSED, "%s: its content is about to change, but %s, which lies on it, is open and would go on to show what it has read: %s; close or remove %s, or --force",
				device->name, name, use, name);
	}
	if (!outcome && lasts(is_claimed, &above, SHORT_MOMENT))
		outcome = error(REFUSED, "%s: its content is about to change, but somebody has claimed it, perhaps by a mount in a container; umount it, or --force",
				device->name);
	free_devices(&above.all);
	return outcome;
}

/* For what would take the ground from under a filesystem's feet. */
static enum outcome check_unmounted(const struct invocation *in, const struct device *device)
{
	char where[600];

	/* What a primary shows stays the same. */
	if (device->status.mode == MODE_PRIMARY)
		return DONE;
	if (device->status.stage != STAGE_RUNNING || has_option(in, "force"))
		return DONE;
	if (find_mount(device->major, device->minor, where, sizeof(where)))
		return error(REFUSED, "%s: its content is about to change, but %s; umount it, or --force",
			     device->name, where);
	return check_uncovered(device);
}

bool nothing_to_do(const struct device *device)
{
	if (device->status.stage != STAGE_DONE && device->status.stage != STAGE_FAILOVER)
		return false;
	warning("%s: stage %s: there is nothing to do", device->name,
		stage_name(device->status.stage));
	return true;
}

enum outcome start_command(const struct invocation *in)
{
	struct device device;
	enum outcome outcome = get_recipient(in, &device);

	if (outcome || nothing_to_do(&device))
		return outcome;
	return send_message(&device, "start", NULL, 0);
}

static enum outcome change_content(const struct invocation *in, struct device *device,
				   const char *message)
{
	enum outcome outcome = check_unmounted(in, device);

	return outcome ? outcome : send_message(device, message, NULL, 0);
}

enum outcome checkpoint_command(const struct invocation *in)
{
	struct device device;
	enum outcome outcome = get_recipient(in, &device);

	if (!outcome && device.status.mode == MODE_PRIMARY && device.status.stage == STAGE_DONE)
		outcome = error(FAILED, "%s: stage done: it does not write to the replica any more",
				device.name);
	if (outcome || nothing_to_do(&device))
		return outcome;
	return change_content(in, &device, "checkpoint");
}

/* What a primary's replica lacks at the end, it lacks for ever. */
static enum outcome stop_in_sync(struct device *device)
{
	enum outcome outcome;

	if (!strcmp(device->status.sync, "degraded") || !strcmp(device->status.sync, "resync"))
		return error(REFUSED, "%s: the replica is not in sync, and would stay so; dmrepctl resync %s first, or --force",
			     device->name, device->name);
	outcome = send_message(device, "checkpoint", NULL, 0);
	if (!outcome)
		outcome = send_message(device, "stop", NULL, 0);
	if (!outcome && refresh_device(device) && device->status.dirty_regions)
		outcome = error(FAILED, "%s: stage done, but the replica failed before, and lacks something",
				device->name);
	return outcome;
}

enum outcome stop_command(const struct invocation *in)
{
	struct device device;
	enum outcome outcome = get_recipient(in, &device);

	if (outcome || nothing_to_do(&device))
		return outcome;
	if (device.status.mode == MODE_PRIMARY && device.status.stage == STAGE_RUNNING &&
	    !has_option(in, "force"))
		return stop_in_sync(&device);
	return change_content(in, &device, "stop");
}

/* The status is 0 only if there is none. */
enum outcome get_error_command(const struct invocation *in)
{
	struct device device;
	enum outcome outcome = get_recipient(in, &device);
	char reply[256];

	if (!outcome)
		outcome = send_message(&device, "get_error", reply, sizeof(reply));
	if (outcome)
		return outcome;
	puts(reply);
	return strcmp(reply, "none") ? FAILED : DONE;
}

enum outcome clear_error_command(const struct invocation *in)
{
	struct device device;
	enum outcome outcome = get_recipient(in, &device);

	return outcome ? outcome : send_message(&device, "clear_error", NULL, 0);
}

/*
 * Waiting
 */

static void show(struct progress *progress, const struct status_line *status)
{
	u64 chunk = status->chunk_sectors * SECTOR_BYTES;

	progress_show(progress, status->merged * chunk, status->to_merge * chunk);
}

/* Until the merge has ended, in whatever way. False: somebody wants us to end before. */
static bool wait_for_merge(struct device *device, struct progress *progress, bool *gone)
{
	*gone = false;
	catch_signals(progress_interval(progress));
	while (device->status.stage == STAGE_FAILOVER && !is_interrupted() && !*gone) {
		show(progress, &device->status);
		*gone = wait_event(device) == WAIT_GONE || !refresh_device(device);
	}
	stop_timer();
	progress_end(progress);
	return *gone || device->status.stage != STAGE_FAILOVER;
}

enum outcome follow_merge(struct device *device)
{
	const struct status_line *status = &device->status;
	char size[SIZE_TEXT_BYTES], time[SIZE_TEXT_BYTES];
	struct progress progress;
	bool gone;

	progress_begin(&progress, device->name, "merging");
	if (!wait_for_merge(device, &progress, &gone)) {
		warning("%s: the merge goes on; dmrepctl failover %s waits for its end, dmrepctl status %s shows how far it is",
			device->name, device->name, device->name);
		return FAILED;
	}
	if (gone)
		return error(FAILED, "%s: it has been removed", device->name);
	if (status->stage != STAGE_DONE)
		return error(FAILED, "%s: the merge has failed: %s; the view is whole, and in use; when the cause is gone, dmrepctl failover %s goes on with it",
			     device->name, status->error, device->name);
	printf("%s: done, %s merged in %s\n", device->name,
	       format_size(status->to_merge * status->chunk_sectors * SECTOR_BYTES, size),
	       format_duration(progress_seconds(&progress), time));
	return DONE;
}

enum outcome check_rolled_back(const struct device *device)
{
	const struct status_line *status = &device->status;

	if (status->stage != STAGE_DONE || strcmp(status->error, "merge-lost"))
		return DONE;
	return error(FAILED, "%s: the merge is done, but the disk may not have all that the view had: sectors that could not be read were not rolled back, or the disk has failed a flush. The kernel log (dmesg) says which. Check the filesystem on %s, restore the files concerned, then dmrepctl clear-error %s. See merge-lost in replication.rst",
		     device->name, device->name, device->name);
}

/*
 * Failover
 */

/* The ingress of a view that somebody has open. */
struct open_ingress {
	const struct device *view;
	char name[NAME_BYTES];
};

/* False: there is none. */
static bool find_open_ingress(void *context)
{
	struct open_ingress *ingress = context;
	const struct device *view = ingress->view;
	struct device_list all;
	bool found = false;
	unsigned int i;

	if (list_devices(&all))
		return false;
	for (i = 0; i < all.n && !found; i++) {
		const struct device *device = &all.devices[i];

		found = device->status.mode == MODE_INGRESS && device->open_count &&
			device->status.top_major == view->major &&
			device->status.top_minor == view->minor;
		if (found)
			snprintf(ingress->name, sizeof(ingress->name), "%s", device->name);
	}
	free_devices(&all);
	return found;
}

/* Whoever has the ingress open may be a server, and behind it a primary that is alive. */
static enum outcome confirm(const struct device *view)
{
	struct open_ingress ingress = { .view = view };
	char answer[16] = "";

	if (!lasts(find_open_ingress, &ingress, SHORT_MOMENT))
		return DONE;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return error(REFUSED, "%s: the ingress %s is open, perhaps for a primary that is alive: it would get errors, and its writes since the last checkpoint would be lost; if that may be, --yes",
			     view->name, ingress.name);
	printf("%s: the ingress %s is open, perhaps for a primary that is alive: it will get errors, and its writes since the last checkpoint will be lost. Fail over? [y/N] ",
	       view->name, ingress.name);
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) &&
	    (!strcasecmp(answer, "y\n") || !strcasecmp(answer, "yes\n")))
		return DONE;
	return error(REFUSED, "%s: nothing was done", view->name);
}

/* What is wrong although the failover is made. */
static enum outcome check_made(const struct device *device)
{
	enum outcome rolled_back = check_rolled_back(device);
	enum outcome recorded = check_recorded(device);

	return rolled_back ? rolled_back : recorded;
}

enum outcome failover_command(const struct invocation *in)
{
	struct device device;
	enum outcome outcome = get_recipient(in, &device), made;

	if (!outcome && device.status.mode != MODE_SECONDARY)
		outcome = error(FAILED, "%s: this is a %s; it is the view that fails over",
				device.name, mode_name(device.status.mode));
	if (outcome)
		return outcome;
	if (device.status.stage == STAGE_DONE) {
		warning("%s: stage done: there is nothing to do", device.name);
		return check_made(&device);
	}
	if (device.status.stage == STAGE_RUNNING && !has_option(in, "yes"))
		outcome = confirm(&device);
	if (!outcome)
		outcome = send_message(&device, "failover", NULL, 0);
	if (outcome)
		return outcome;
	if (!refresh_device(&device))
		return error(FAILED, "%s: it has been removed", device.name);
	if (!has_option(in, "no-wait"))
		outcome = follow_merge(&device);
	made = check_made(&device);
	return outcome ? outcome : made;
}
