// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "identity.h"

/* Hexadecimal */
#define DIGITS	8

/* In /sys, the same after a reboot: of device-mapper, loop, NVMe, SCSI and virtio. */
static const char * const attributes[] = {
	"dm/uuid", "loop/backing_file", "wwid", "device/wwid", "serial",
};

static bool read_line(const char *directory, const char *name, char *text, size_t len)
{
	char path[PATH_MAX];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(text, len, file)) {
		text[strcspn(text, "\n")] = '\0';
		found = text[0];
	}
	fclose(file);
	return found;
}

/* A partition is known by its disk, and its number. */
static bool read_known_name(const struct block_device *disk, char *text, size_t len)
{
	char directory[64], partition[16] = "";
	size_t used;
	unsigned int i;

	snprintf(directory, sizeof(directory), "/sys/dev/block/%u:%u", disk->major, disk->minor);
	if (read_line(directory, "partition", partition, sizeof(partition)))
		strcat(directory, "/..");
	used = snprintf(text, len, "%s ", partition);
	for (i = 0; i < ARRAY_SIZE(attributes); i++)
		if (read_line(directory, attributes[i], text + used, len - used))
			return true;
	return false;
}

/* Below these a path is made for one device, and after a reboot another one does not get it. */
static const char * const lasting[] = { "/dev/mapper/", "/dev/disk/by-id/" };

bool is_identified(const struct block_device *disk)
{
	char name[PATH_MAX];
	unsigned int i;

	if (read_known_name(disk, name, sizeof(name)))
		return true;
	for (i = 0; i < ARRAY_SIZE(lasting); i++)
		if (!strncmp(disk->path, lasting[i], strlen(lasting[i])))
			return true;
	return false;
}

static void make_digits(const struct block_device *disk, char digits[DIGITS + 1])
{
	char name[PATH_MAX];

	if (!read_known_name(disk, name, sizeof(name)))
		snprintf(name, sizeof(name), "%s", disk->path);
	snprintf(digits, DIGITS + 1, "%08x", metadata_checksum(name));
}

void put_identity(char *uuid, const struct block_device *disk)
{
	make_digits(disk, uuid + strlen(uuid) - DIGITS);
}

bool has_identity(const char *uuid, const struct block_device *disk)
{
	char digits[DIGITS + 1];
	size_t len = strlen(uuid);

	make_digits(disk, digits);
	return len > DIGITS && !strcmp(uuid + len - DIGITS, digits);
}
