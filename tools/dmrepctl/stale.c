// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "signature.h"
#include "stale.h"
#include "use.h"

/*
 * A file for each, with dm's UUID as its name. A new set has a new one. It has a line of what
 * the metadata lacks; and in a second line, if there is one that does not, the UUID of that.
 */
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

/* False, with errno: it is not kept. */
static bool write_note(const struct device *device, const struct stale_note *note)
{
	char path[PATH_MAX], text[sizeof(*note) + 2];

	errno = EINVAL;
	if (!note_path(device->uuid, path))
		return false;
	mkdir(STATE_DIRECTORY, 0755);
	mkdir(NOTES, 0755);
	snprintf(text, sizeof(text), "%s%s%s", note->what, note->good[0] ? "\n" : "", note->good);
	return write_durably(path, text);
}

void keep_stale_note(const struct device *device, const char *what)
{
	struct stale_note note = { 0 };

	snprintf(note.what, sizeof(note.what), "%s", what);
	if (write_note(device, &note))
		return;
	warning("%s: dmrepctl up will not know that the metadata device lacks %s: no note can be kept in %s: %s",
		device->name, what, NOTES, strerror(errno));
}

static void drop_note(const struct device *device)
{
	char path[PATH_MAX];

	if (note_path(device->uuid, path))
		unlink(path);
}

/* The note refuses more than it should, which is better than less. */
static void warn_of_refusal(const struct device *device, const char *why)
{
	warning("%s: dmrepctl up will refuse its metadata device, although that lacks nothing: the note in %s cannot be changed: %s",
		device->name, NOTES, why);
}

void restore_stale_note(const struct device *device, const struct stale_note *before)
{
	if (!before->what[0])
		drop_note(device);
	else if (!write_note(device, before))
		warn_of_refusal(device, strerror(errno));
}

static void metadata_path(const struct device *device, char *path, size_t len)
{
	char table[TABLE_BYTES] = "";
	u32 major, minor;

	snprintf(path, len, "DEVICE");
	get_table(device, table, sizeof(table));
	if (sscanf(table, "%*s %u:%u", &major, &minor) == 2)
		device_path(major, minor, path, len);
}

/* Of the superblock that its metadata device has now. */
static bool read_uuid(const struct device *device, char uuid[METADATA_UUID_BYTES], char *why,
		      size_t len)
{
	struct block_device metadata;
	struct metadata_super super;
	char path[256];

	metadata_path(device, path, sizeof(path));
	snprintf(why, len, "it has no metadata");
	if (look_at_device("metadata", path, &metadata) ||
	    look_at_metadata(&metadata, &super, why, len) != METADATA_SET)
		return false;
	snprintf(uuid, METADATA_UUID_BYTES, "%s", super.uuid);
	return true;
}

void settle_stale_note(const struct device *device, const struct stale_note *before,
		       bool replaced)
{
	struct stale_note note = { .what = LATEST_WRITES };
	char why[256];

	/* Before the start no metadata device has anything, and nothing has been written. */
	if (device->status.stage == STAGE_NONE || (!replaced && !before->what[0]))
		drop_note(device);
	else if (!device->uuid[0])
		return;
	else if (!read_uuid(device, note.good, why, sizeof(why)))
		warn_of_refusal(device, why);
	else if (!write_note(device, &note))
		warn_of_refusal(device, strerror(errno));
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
	else if (!fgets(note->good, sizeof(note->good), file))
		note->good[0] = '\0';
	fclose(file);
	note->what[strcspn(note->what, "\n")] = '\0';
	return true;
}

enum outcome error_stale(const struct device *device, const char *what)
{
	char path[256];

	metadata_path(device, path, sizeof(path));
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
