// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "use.h"

/* Devices upon devices: deeper than that nobody stacks them. */
#define MAX_DEPTH	16

/* What /sys calls it: dm-3 */
static void kernel_name(u32 major, u32 minor, char *name, size_t len)
{
	char path[64], *link;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major, minor);
	link = realpath(path, NULL);
	if (link)
		snprintf(name, len, "%s", strrchr(link, '/') + 1);
	else
		snprintf(name, len, "%u:%u", major, minor);
	free(link);
}

/* What people call it: dm's name, if it has one. */
static void plain_name(u32 major, u32 minor, char *name, size_t len)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/dm/name", major, minor);
	file = fopen(path, "re");
	if (!file || !fgets(name, len, file))
		kernel_name(major, minor, name, len);
	else
		name[strcspn(name, "\n")] = '\0';
	if (file)
		fclose(file);
}

static bool is_device(const char *path, u32 major, u32 minor)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == makedev(major, minor);
}

/*
 * "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw": a filesystem of
 * several devices has a number of its own, but names one of them.
 */
static bool is_mounted(char *line, u32 major, u32 minor, char *where, size_t len)
{
	char *dash = strstr(line, " - "), point[256], source[256];
	u32 line_major, line_minor;

	if (!dash || sscanf(line, "%*u %*u %u:%u %*s %255s", &line_major, &line_minor, point) != 3)
		return false;
	if (sscanf(dash, " - %*s %255s", source) != 1)
		source[0] = '\0';
	if ((line_major != major || line_minor != minor) && !is_device(source, major, minor))
		return false;
	snprintf(where, len, "%s", point);
	return true;
}

static bool find_own_mount(u32 major, u32 minor, char *text, size_t len)
{
	char *line = NULL, point[256], name[128];
	bool found = false;
	FILE *file;
	size_t size = 0;

	plain_name(major, minor, name, sizeof(name));
	file = fopen("/proc/self/mountinfo", "re");
	while (file && !found && getline(&line, &size, file) > 0)
		found = is_mounted(line, major, minor, point, sizeof(point));
	if (file)
		fclose(file);
	if (found)
		snprintf(text, len, "%s is mounted on %s", name, point);
	file = fopen("/proc/swaps", "re");
	while (file && !found && getline(&line, &size, file) > 0) {
		line[strcspn(line, " \t\n")] = '\0';
		found = is_device(line, major, minor);
		if (found)
			snprintf(text, len, "%s is swapped to", name);
	}
	if (file)
		fclose(file);
	free(line);
	return found;
}

/*
 * What lies on a device
 */

static bool read_number(const char *path, u32 *major, u32 *minor)
{
	FILE *file = fopen(path, "re");
	bool good = file && fscanf(file, "%u:%u", major, minor) == 2;

	if (file)
		fclose(file);
	return good;
}

static bool search(u32 major, u32 minor, unsigned int depth, char *text, size_t len);

/* Each directory of this one that has a file "dev" is a device. */
static bool search_directory(const char *directory, unsigned int depth, char *text, size_t len)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[512];
	bool found = false;
	u32 major, minor;

	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/dev", directory, entry->d_name);
		found = read_number(path, &major, &minor) &&
			search(major, minor, depth + 1, text, len);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Whether this is a loop device on a device; they are nobody's holders. */
static bool is_loop_on(const char *loop, u32 major, u32 minor)
{
	char path[512], backing[512];
	bool good;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", loop);
	file = fopen(path, "re");
	good = file && fgets(backing, sizeof(backing), file);
	if (file)
		fclose(file);
	if (!good)
		return false;
	backing[strcspn(backing, "\n")] = '\0';
	return is_device(backing, major, minor);
}

static bool search_loops(u32 major, u32 minor, unsigned int depth, char *text, size_t len)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	u32 loop_major, loop_minor;
	char path[512];
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "loop", 4) || !is_loop_on(entry->d_name, major, minor))
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/dev", entry->d_name);
		found = read_number(path, &loop_major, &loop_minor) &&
			search(loop_major, loop_minor, depth + 1, text, len);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool search(u32 major, u32 minor, unsigned int depth, char *text, size_t len)
{
	char path[64];

	if (depth > MAX_DEPTH)
		return false;
	if (find_own_mount(major, minor, text, len))
		return true;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major, minor);
	if (search_directory(path, depth, text, len))
		return true;
	/* Partitions are directories of it; what else there is has no numbers, or no devices. */
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/", major, minor);
	return search_directory(path, depth, text, len) ||
		search_loops(major, minor, depth, text, len);
}

bool find_mount(u32 major, u32 minor, char *text, size_t len)
{
	return search(major, minor, 0, text, len);
}

/* The names of the devices that hold it; false: there are none. */
static bool list_holders(u32 major, u32 minor, char *text, size_t len)
{
	u32 holder_major, holder_minor;
	char path[512], name[128];
	struct dirent *entry;
	size_t at = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major, minor);
	dir = opendir(path);
	while (dir && at < len && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/dev", entry->d_name);
		if (!read_number(path, &holder_major, &holder_minor))
			continue;
		plain_name(holder_major, holder_minor, name, sizeof(name));
		at += snprintf(text + at, len - at, at ? ", %s" : "on it there is %s", name);
	}
	if (dir)
		closedir(dir);
	return at;
}

bool is_claimed_elsewhere(const char *path, u32 major, u32 minor)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	char text[128];

	if (fd >= 0) {
		close(fd);
		return false;
	}
	return errno == EBUSY && !list_holders(major, minor, text, sizeof(text));
}

void describe_use(u32 major, u32 minor, char *text, size_t len)
{
	if (!find_mount(major, minor, text, len) && !list_holders(major, minor, text, len))
		snprintf(text, len, "somebody has it open");
}
