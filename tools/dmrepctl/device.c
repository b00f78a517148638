// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "guard.h"
#include "interrupt.h"
#include "kernel-log.h"
#include "library.h"

/*
 * Tasks
 */

/* For a device, if there is a name. NULL: the library has said why. */
static struct dm_task *new_task(int type, const char *name)
{
	struct dm_task *task;

	library_forget();
	task = dm_task_create(type);
	if (task && name && !dm_task_set_name(task, name)) {
		dm_task_destroy(task);
		task = NULL;
	}
	return task;
}

/* With udev, if there is one: the nodes are there, or have gone, when this returns. */
static bool run_with_udev(struct dm_task *task)
{
	u32 cookie = 0;
	bool good;

	if (!dm_task_set_cookie(task, &cookie, 0))
		return false;
	good = dm_task_run(task);
	dm_udev_wait(cookie);
	/* Where there is no udev the library makes the nodes. */
	dm_task_update_nodes();
	return good;
}

/* Why the task has failed, the target's own words being the best. */
static enum outcome task_failed(struct dm_task *task, const char *name, const char *what)
{
	char reason[512];
	int e = task ? dm_task_get_errno(task) : 0;

	if (kernel_log_reason(reason, sizeof(reason)))
		return error(FAILED, "%s: %s: %s", name, what, reason);
	if (e)
		return error(FAILED, "%s: %s: %s", name, what, strerror(e));
	return error(FAILED, "%s: %s: %s", name, what,
		     library_error()[0] ? library_error() : "out of memory");
}

/*
 * Whether it can be done at all
 */

enum outcome devices_available(void)
{
	struct dm_task *task;
	bool good;

	if (geteuid())
		return error(FAILED, "this needs root, for device-mapper does: try sudo");
	library_init();
	task = new_task(DM_DEVICE_VERSION, NULL);
	good = task && dm_task_run(task);
	if (task)
		dm_task_destroy(task);
	if (!good)
		return error(FAILED, "there is no device-mapper in this kernel: try modprobe dm-mod (%s)",
			     library_error());
	return DONE;
}

bool target_version(u32 version[3])
{
	struct dm_task *task = new_task(DM_DEVICE_LIST_VERSIONS, NULL);
	struct dm_versions *at;
	bool found = false;

	if (task && dm_task_run(task)) {
		at = dm_task_get_versions(task);
		while (at && !found) {
			found = !strcmp(at->name, TARGET);
			if (found)
				memcpy(version, at->version, sizeof(at->version));
			at = at->next ? (void *)((char *)at + at->next) : NULL;
		}
	}
	if (task)
		dm_task_destroy(task);
	return found;
}

enum outcome target_available(void)
{
	enum outcome outcome = devices_available();
	u32 version[3];

	if (outcome || target_version(version))
		return outcome;
	if (system("modprobe dm-replication > /dev/null 2>&1") || !target_version(version))
		return error(FAILED,
			     "the module dm-replication is not loaded, and modprobe does not find it: make install puts it where it is found, insmod dm-replication.ko loads it from anywhere");
	return DONE;
}

/*
 * Asking
 */

enum found {
	FOUND_OURS,
	FOUND_NONE,
	FOUND_OTHER,		/* or one without a table */
	FOUND_BAD,		/* it cannot be asked, or says what we do not understand */
};

static void fill(struct device *device, const struct dm_info *info, const char *uuid, u64 len)
{
	snprintf(device->uuid, sizeof(device->uuid), "%s", uuid ? uuid : "");
	device->major = info->major;
	device->minor = info->minor;
	device->open_count = info->open_count;
	device->event_nr = info->event_nr;
	device->suspended = info->suspended;
	device->loaded = info->inactive_table;
	device->len = len;
}

/* What a task for the status has brought. */
static enum found parse_task(struct dm_task *task, struct device *device, char *why, size_t len)
{
	uint64_t start = 0, length = 0;
	char *type = NULL, *params = NULL;
	struct dm_info info;

	if (!dm_task_get_info(task, &info)) {
		snprintf(why, len, "%s", library_error());
		return FOUND_BAD;
	}
	if (!info.exists)
		return FOUND_NONE;
	dm_get_next_target(task, NULL, &start, &length, &type, &params);
	if (!type || strcmp(type, TARGET))
		return FOUND_OTHER;
	fill(device, &info, dm_task_get_uuid(task), length);
	if (!device->name[0])
		snprintf(device->name, sizeof(device->name), "%s", dm_task_get_name(task));
	if (!parse_status_line(params ? params : "", &device->status, why, len))
		return FOUND_BAD;
	return FOUND_OURS;
}

static enum found ask(const char *name, struct device *device, char *why, size_t len)
{
	struct dm_task *task = new_task(DM_DEVICE_STATUS, name);
	enum found found = FOUND_BAD;

	memset(device, 0, sizeof(*device));
	why[0] = '\0';
	if (task && dm_task_no_flush(task) && dm_task_run(task))
		found = parse_task(task, device, why, len);
	else if (task && dm_task_get_errno(task) == ENXIO)
		found = FOUND_NONE;
	else
		snprintf(why, len, "%s", library_error());
	if (task)
		dm_task_destroy(task);
	return found;
}

enum outcome get_device(const char *name, struct device *device)
{
	char why[256];

	switch (ask(name, device, why, sizeof(why))) {
	case FOUND_OURS:
		return DONE;
	case FOUND_NONE:
		return error(FAILED, "%s: there is no such device; dmrepctl list has those that are",
			     name);
	case FOUND_OTHER:
		return error(FAILED, "%s: this is no device of dm-replication; dmrepctl list has those that are",
			     name);
	default:
		return error(FAILED, "%s: the status cannot be read: %s", name, why);
	}
}

bool refresh_device(struct device *device)
{
	struct device now;
	char why[256];

	if (ask(device->name, &now, why, sizeof(why)) != FOUND_OURS)
		return false;
	*device = now;
	return true;
}

bool name_is_taken(const char *name)
{
	struct dm_task *task = new_task(DM_DEVICE_INFO, name);
	struct dm_info info = { 0 };

	if (task) {
		if (!dm_task_run(task) || !dm_task_get_info(task, &info))
			info.exists = 0;
		dm_task_destroy(task);
	}
	return info.exists;
}

bool get_open_count(u32 major, u32 minor, u32 *count)
{
	struct dm_task *task = new_task(DM_DEVICE_INFO, NULL);
	struct dm_info info = { 0 };

	if (task) {
		if (!dm_task_set_major_minor(task, major, minor, 0) || !dm_task_run(task) ||
		    !dm_task_get_info(task, &info))
			info.exists = 0;
		dm_task_destroy(task);
	}
	*count = info.open_count;
	return info.exists;
}

static bool add_device(struct device_list *list, const struct device *device)
{
	struct device *more = realloc(list->devices, (list->n + 1) * sizeof(*more));

	if (!more)
		return false;
	list->devices = more;
	more[list->n++] = *device;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct device *)a)->name, ((const struct device *)b)->name);
}

static enum outcome add_names(struct device_list *list, const struct dm_names *names)
{
	struct device device;
	char why[256];

	/* With no device at all there is one entry, with number 0. */
	for (; names->dev; names = (const void *)((const char *)names + names->next)) {
		switch (ask(names->name, &device, why, sizeof(why))) {
		case FOUND_OURS:
			if (!add_device(list, &device))
				return out_of_memory();
			break;
		case FOUND_BAD:
			warning("%s: the status cannot be read: %s", names->name, why);
			break;
		default:
			break;
		}
		if (!names->next)
			break;
	}
	if (list->n)
		qsort(list->devices, list->n, sizeof(*list->devices), by_name);
	return DONE;
}

enum outcome list_devices(struct device_list *list)
{
	struct dm_task *task = new_task(DM_DEVICE_LIST, NULL);
	struct dm_names *names = NULL;
	enum outcome outcome;

	list->devices = NULL;
	list->n = 0;
	if (task && dm_task_run(task))
		names = dm_task_get_names(task);
	if (names)
		outcome = add_names(list, names);
	else
		outcome = error(FAILED, "the devices cannot be listed: %s", library_error());
	if (task)
		dm_task_destroy(task);
	if (outcome)
		free_devices(list);
	return outcome;
}

void free_devices(struct device_list *list)
{
	free(list->devices);
	list->devices = NULL;
	list->n = 0;
}

const struct device *find_device(const struct device_list *list, u32 major, u32 minor)
{
	unsigned int i;

	for (i = 0; i < list->n; i++)
		if (list->devices[i].major == major && list->devices[i].minor == minor)
			return &list->devices[i];
	return NULL;
}

/*
 * Telling
 */

enum outcome send_message(const struct device *device, const char *message, char *reply,
			  size_t len)
{
	struct dm_task *task = new_task(DM_DEVICE_TARGET_MSG, device->name);
	enum outcome outcome = DONE;
	const char *response;

	kernel_log_begin();
	if (task && dm_task_set_sector(task, 0) && dm_task_set_message(task, message) &&
	    dm_task_run(task)) {
		response = dm_task_get_message_response(task);
		if (reply)
			snprintf(reply, len, "%s", response ? response : "");
	} else {
		outcome = task_failed(task, device->name, message);
	}
	if (task)
		dm_task_destroy(task);
	return outcome;
}

enum wait_end wait_event(const struct device *device)
{
	struct dm_task *task = new_task(DM_DEVICE_WAITEVENT, device->name);
	enum wait_end end = WAIT_GONE;

	if (task && dm_task_set_event_nr(task, device->event_nr)) {
		if (dm_task_run(task))
			end = WAIT_EVENT;
		else if (dm_task_get_errno(task) == EINTR)
			end = WAIT_INTERRUPTED;
	}
	if (task)
		dm_task_destroy(task);
	return end;
}

struct created {
	const char *name, *uuid;
};

/* By the guard: a device that never got into use goes. */
static void undo_create(const void *context)
{
	const struct created *created = context;
	struct dm_task *task = new_task(DM_DEVICE_INFO, created->name);
	struct dm_info info = { 0 };
	const char *uuid;
	bool unused;

	if (!task)
		return;
	unused = dm_task_run(task) && dm_task_get_info(task, &info) && info.exists &&
		!info.live_table;
	uuid = unused ? dm_task_get_uuid(task) : NULL;
	unused = uuid && !strcmp(uuid, created->uuid);
	dm_task_destroy(task);
	if (unused)
		remove_device(created->name);
}

enum outcome create_device(const char *name, const char *uuid, u64 len, const char *params)
{
	const struct created created = { name, uuid };
	struct guard guard;
	enum outcome outcome = guard_begin(&guard, undo_create, &created);
	struct dm_task *task;

	if (outcome)
		return outcome;
	task = new_task(DM_DEVICE_CREATE, name);
	kernel_log_begin();
	if (!task || !dm_task_set_uuid(task, uuid) ||
	    !dm_task_add_target(task, 0, len, TARGET, params) || !run_with_udev(task))
		outcome = task_failed(task, name, "it cannot be created");
	if (task)
		dm_task_destroy(task);
	guard_end(&guard);
	return outcome;
}

enum outcome remove_device(const char *name)
{
	struct dm_task *task = new_task(DM_DEVICE_REMOVE, name);
	enum outcome outcome = DONE;

	/* udev may have it open for a moment. */
	if (!task || !dm_task_retry_remove(task) || !run_with_udev(task))
		outcome = task_failed(task, name, "it cannot be removed");
	if (task)
		dm_task_destroy(task);
	return outcome;
}

/*
 * Tables
 */

/* The live table, or the one that has been loaded. */
static bool read_table(const char *name, bool loaded, char *params, size_t len)
{
	struct dm_task *task = new_task(DM_DEVICE_TABLE, name);
	uint64_t start = 0, length = 0;
	char *type = NULL, *found = NULL;
	bool good;

	if (task && (!loaded || dm_task_query_inactive_table(task)) && dm_task_no_flush(task) &&
	    dm_task_run(task))
		dm_get_next_target(task, NULL, &start, &length, &type, &found);
	good = type && found && !strcmp(type, TARGET) && strlen(found) < len;
	if (good)
		snprintf(params, len, "%s", found);
	if (task)
		dm_task_destroy(task);
	return good;
}

enum outcome get_table(const struct device *device, char *params, size_t len)
{
	if (read_table(device->name, false, params, len))
		return DONE;
	return error(FAILED, "%s: its table cannot be read: %s", device->name, library_error());
}

static enum outcome load_table(const struct device *device, const char *params)
{
	struct dm_task *task = new_task(DM_DEVICE_RELOAD, device->name);
	enum outcome outcome = DONE;

	kernel_log_begin();
	if (!task || !dm_task_add_target(task, 0, device->len, TARGET, params) ||
	    !dm_task_run(task))
		outcome = task_failed(task, device->name, "its table cannot be changed");
	if (task)
		dm_task_destroy(task);
	return outcome;
}

static void clear_table(const char *name)
{
	struct dm_task *task = new_task(DM_DEVICE_CLEAR, name);

	if (task) {
		dm_task_run(task);
		dm_task_destroy(task);
	}
}

void drop_loaded_table(const struct device *device)
{
	if (!device->loaded)
		return;
	warning("%s: a table was loaded and never used, perhaps by a command that was killed: it is dropped",
		device->name);
	clear_table(device->name);
}

struct loaded {
	const char *name, *params;
};

/* By the guard: what we had loaded, and nothing else, is taken back. */
static void undo_load(const void *context)
{
	const struct loaded *loaded = context;
	char params[TABLE_BYTES];

	if (read_table(loaded->name, true, params, sizeof(params)) &&
	    !strcmp(params, loaded->params))
		clear_table(loaded->name);
}

/* A resume suspends first, if there is another table. */
static enum outcome use_loaded_table(const struct device *device, bool flush)
{
	struct dm_task *task = new_task(DM_DEVICE_RESUME, device->name);
	enum outcome outcome = DONE;

	kernel_log_begin();
	if (!task || (!flush && !dm_task_no_flush(task)) || !dm_task_skip_lockfs(task) ||
	    !run_with_udev(task)) {
		if (is_interrupted())
			outcome = error(FAILED, "%s: interrupted: its table stays as it was",
					device->name);
		else
			outcome = task_failed(task, device->name, "its table cannot be changed");
	}
	if (task)
		dm_task_destroy(task);
	return outcome;
}

enum outcome change_table(const struct device *device, const char *params, bool flush)
{
	const struct loaded loaded = { device->name, params };
	struct guard guard;
	enum outcome outcome = guard_begin(&guard, undo_load, &loaded);

	if (outcome)
		return outcome;
	/* A signal ends the wait for what is in flight, and not us. */
	catch_signals(0);
	outcome = load_table(device, params);
	if (!outcome) {
		outcome = use_loaded_table(device, flush);
		/* Or whoever resumes the device next would use it. */
		if (outcome)
			clear_table(device->name);
	}
	guard_end(&guard);
	return outcome;
}
