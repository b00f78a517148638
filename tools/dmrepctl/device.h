/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The devices of our target, asked for, made and removed through libdevmapper.
 */
#ifndef DMREPCTL_DEVICE_H
#define DMREPCTL_DEVICE_H

#include "error.h"
#include "status-line.h"

#define TARGET		"replication"
#define UUID_PREFIX	"DMREPL-"

#define TABLE_BYTES	4096
#define NAME_BYTES	129
#define UUID_BYTES	129

struct device {
	char name[NAME_BYTES];
	char uuid[UUID_BYTES];
	u32 major, minor;
	u32 open_count;
	u32 event_nr;
	bool suspended;
	bool loaded;			/* there is a table that is not in use */
	u64 len;			/* sectors */
	struct status_line status;
};

struct device_list {
	struct device *devices;
	unsigned int n;
};

/* That we are root, and device-mapper is there. */
enum outcome devices_available(void);

/* The same, and that the target is; its module is loaded if need be. */
enum outcome target_available(void);

/* The target's version, if it is loaded. */
bool target_version(u32 version[3]);

/* All devices of our target that have a live table, by name. */
enum outcome list_devices(struct device_list *list);
void free_devices(struct device_list *list);

const struct device *find_device(const struct device_list *list, u32 major, u32 minor);

/* One device, by name or path. It is an error if it is not there, or of another target. */
enum outcome get_device(const char *name, struct device *device);

/* How often any dm device is open; false: it is none. */
bool get_open_count(u32 major, u32 minor, u32 *count);

/* Of a device that may have gone: false if it has. */
bool refresh_device(struct device *device);

/* Whether there is any dm device of that name. */
bool name_is_taken(const char *name);

/*
 * Send a message. The reply, which may be NULL, is in @reply if there is one. An error
 * is told with the words of the kernel's log.
 */
enum outcome send_message(const struct device *device, const char *message, char *reply,
			  size_t len);

/* The end of wait_event(). */
enum wait_end {
	WAIT_EVENT,
	WAIT_INTERRUPTED,	/* by a signal */
	WAIT_GONE,
};

/* Wait until there was an event since device->event_nr. */
enum wait_end wait_event(const struct device *device);

enum outcome create_device(const char *name, const char *uuid, u64 len, const char *params);
enum outcome remove_device(const char *name);

/* What its table has behind the target's name; devices are major:minor. */
enum outcome get_table(const struct device *device, char *params, size_t len);

/*
 * Give it another table of the same length. What is in flight is given to the new one,
 * unless @flush: then it is done before, and flushed. If that fails, or we are interrupted
 * or killed, it keeps the one that it has, and no other is left loaded.
 */
enum outcome change_table(const struct device *device, const char *params, bool flush);

/* A table that somebody has loaded, and nobody uses, holds its devices. */
void drop_loaded_table(const struct device *device);

#endif
