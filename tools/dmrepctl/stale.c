// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stale.h"
#include "use.h"

/* A file for each, with dm's UUID as its name. A new set has a new one. */
#define STATE_DIRECTORY	"/var/lib/dm-replication"
#define NOTES		STATE_DIRECTORY "/stale-metadata"

/* False: there can be none. */
static bool note_path(const char *uuid, char path[PATH_MAX])
{
	if (!*uuid || *uuid == '.' || strchr(uuid, '/'))
		return false;
	snprintf(path, PATH_MAX, NOTES "/%s", uuid);
	return true;
}

static bool write_durably(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), directory;
	size_t len = strlen(text);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, text, len) == (ssize_t)len && !fsync(fd);
	close(fd);
	directory = open(NOTES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory >= 0) {
		fsync(directory);
		close(directory);
	}
	return good;
}

void keep_stale_note(const struct device *device, const char *what)
{
	char path[PATH_MAX];

	errno = EINVAL;
	if (note_path(device->uuid, path)) {
		mkdir(STATE_DIRECTORY, 0755);
		mkdir(NOTES, 0755);
		if (write_durably(path, what))
			return;
	}
	warning("%s: dmrepctl up will not know that the metadata device lacks %s: no note can be kept in %s: %s",
		device->name, what, NOTES, strerror(errno));
}

void drop_stale_note(const struct device *device)
{
	char path[PATH_MAX];

	if (note_path(device->uuid, path))
		unlink(path);
}

void restore_stale_note(const struct device *device, const struct stale_note *before)
{
	if (before->what[0])
		keep_stale_note(device, before->what);
	else
		drop_stale_note(device);
}

bool find_stale_note(const char *uuid, struct stale_note *note)
{
	char path[PATH_MAX];
	FILE *file;

	memset(note, 0, sizeof(*note));
	if (!note_path(uuid, path))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(note->what, sizeof(note->what), file))
		snprintf(note->what, sizeof(note->what), "something");
	fclose(file);
	return true;
}

enum outcome error_stale(const struct device *device, const char *what)
{
	char table[TABLE_BYTES] = "", path[256] = "DEVICE";
	u32 major, minor;

	get_table(device, table, sizeof(table));
	if (sscanf(table, "%*s %u:%u", &major, &minor) == 2)
		device_path(major, minor, path, sizeof(path));
	return error(FAILED, "%s: its metadata device %s has failed, and does not have %s. Before %s is made again, zero that device: dmrepctl format --force %s. Otherwise the next start believes what the device had before, and newer data is overwritten",
		     device->name, path, what, device->name, path);
}

enum outcome check_recorded(const struct device *device)
{
	const struct status_line *status = &device->status;

	if (status->mode != MODE_SECONDARY || strcmp(status->metadata, "fail") ||
	    status->stage == STAGE_NONE || status->stage == STAGE_RUNNING)
		return DONE;
	keep_stale_note(device, "the failover");
	return error_stale(device, "the failover");
}
