/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices of device-mapper, made and removed by its ioctls: dmsetup would take
 * longer for each than all the rest of a check.
 */
#ifndef TESTS_CRASH_DM_H
#define TESTS_CRASH_DM_H

#include "../tools/common.h"

#include <sys/sysmacros.h>

struct dm_call {
	struct dm_ioctl head;
	union {
		struct {
			struct dm_target_spec spec;
			char params[1024];
		} target;
		struct {
			struct dm_target_msg msg;
			char text[128];
		} message;
	};
};

/* 0 or a negative errno. */
static inline int dm_do(struct dm_call *call, unsigned long cmd, const char *name,
			__u32 flags)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		trouble("/dev/mapper/control: %s", strerror(errno));
	call->head.version[0] = DM_VERSION_MAJOR;
	call->head.data_size = sizeof(*call);
	call->head.data_start = sizeof(call->head);
	call->head.flags = flags;
	snprintf(call->head.name, sizeof(call->head.name), "%s", name);
	return ioctl(fd, cmd, call) ? -errno : 0;
}

/* An empty device. Returns its minor number. */
static inline unsigned int dm_create(const char *name)
{
	struct dm_call call = {};
	int err = dm_do(&call, DM_DEV_CREATE, name, 0);

	if (err)
		trouble("%s: cannot create: %s", name, strerror(-err));
	return minor(call.head.dev);
}

/* A table of one target. 0 or a negative errno, of which the kernel's log has the reason. */
static inline __printf(4, 5) int dm_load(const char *name, u64 sectors, const char *target,
					 const char *fmt, ...)
{
	struct dm_call call = { .head.target_count = 1 };
	va_list ap;

	call.target.spec.length = sectors;
	strcpy(call.target.spec.target_type, target);
	va_start(ap, fmt);
	vsnprintf(call.target.params, sizeof(call.target.params), fmt, ap);
	va_end(ap);
	return dm_do(&call, DM_TABLE_LOAD, name, 0);
}

static inline void dm_resume(const char *name)
{
	struct dm_call call = {};
	int err = dm_do(&call, DM_DEV_SUSPEND, name, 0);

	if (err)
		trouble("%s: cannot resume: %s", name, strerror(-err));
}

static inline void dm_remove(const char *name)
{
	struct dm_call call = {};
	int err = dm_do(&call, DM_DEV_REMOVE, name, 0);

	if (err)
		trouble("%s: cannot remove: %s", name, strerror(-err));
}

static inline int dm_send(const char *name, const char *text)
{
	struct dm_call call = {};

	snprintf(call.message.text, sizeof(call.message.text), "%s", text);
	return dm_do(&call, DM_TARGET_MSG, name, 0);
}

/* Of the live table, or of the one that is loaded and not resumed yet. */
static inline void dm_state(const char *name, bool loaded, struct dm_status *st)
{
	struct dm_call call = {};
	int err = dm_do(&call, DM_TABLE_STATUS, name,
			loaded ? DM_QUERY_INACTIVE_TABLE_FLAG : 0);

	if (err)
		trouble("%s: cannot get the status: %s", name, strerror(-err));
	memcpy(st->line, call.target.params, sizeof(st->line) - 1);
	st->line[sizeof(st->line) - 1] = 0;
	if (sscanf(st->line, "secondary %31s %llu", st->stage, &st->epoch) != 2)
		trouble("%s: the status is \"%s\"", name, st->line);
}

/* Its node, in devtmpfs. */
static inline int dm_open(unsigned int minor)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/dm-%u", minor);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		trouble("%s: cannot open: %s", path, strerror(errno));
	return fd;
}

#endif
