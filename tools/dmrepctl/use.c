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

/* Milliseconds between two looks. */
#define WAIT_INTERVAL	100U

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

void describe_device(u32 major, u32 minor, char *name, size_t len)
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

void device_path(u32 major, u32 minor, char *path, size_t len)
{
	char name[128], kernel[128];
	char *c;

	describe_device(major, minor, name, sizeof(name));
	kernel_name(major, minor, kernel, sizeof(kernel));
	/* For a directory below /dev the kernel's name has another sign. */
	for (c = kernel; *c; c++)
		if (*c == '!')
			*c = '/';
	if (!strncmp(kernel, "dm-", 3) && strcmp(name, kernel))
		snprintf(path, len, "/dev/mapper/%s", name);
	else
		snprintf(path, len, "/dev/%s", kernel);
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

	describe_device(major, minor, name, sizeof(name));
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

/* Each directory of this one that has a file "dev" is a device. */
static bool visit_directory(const char *directory, visit_fn fn, void *context)
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
		found = read_number(path, &major, &minor) && fn(context, major, minor);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool visit_holders(u32 major, u32 minor, visit_fn fn, void *context)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major, minor);
	return visit_directory(path, fn, context);
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

static bool visit_loops(u32 major, u32 minor, visit_fn fn, void *context)
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
			fn(context, loop_major, loop_minor);
	}
	if (dir)
		closedir(dir);
	return found;
}

bool visit_above(u32 major, u32 minor, visit_fn fn, void *context)
{
	char path[64];

	if (visit_holders(major, minor, fn, context))
		return true;
	/* Partitions are directories of it; what else there is has no numbers, or no devices. */
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/", major, minor);
	return visit_directory(path, fn, context) || visit_loops(major, minor, fn, context);
}

struct mount_search {
	unsigned int depth;
	char *text;
	size_t len;
};

static bool search(void *context, u32 major, u32 minor)
{
	struct mount_search *search_for = context;
	bool found;

	if (search_for->depth > MAX_DEPTH)
		return false;
	if (find_own_mount(major, minor, search_for->text, search_for->len))
		return true;
	search_for->depth++;
	found = visit_above(major, minor, search, search_for);
	search_for->depth--;
	return found;
}

bool find_mount(u32 major, u32 minor, char *text, size_t len)
{
	struct mount_search search_for = { .text = text, .len = len };

	return search(&search_for, major, minor);
}

/*
 * What a device lies on
 */

/* The whole device of a partition: the directory above its own. */
static bool visit_whole(u32 major, u32 minor, visit_fn fn, void *context)
{
	u32 whole_major, whole_minor;
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major, minor);
	if (access(path, F_OK))
		return false;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major, minor);
	return read_number(path, &whole_major, &whole_minor) &&
		fn(context, whole_major, whole_minor);
}

/* What a loop device reads and writes, if that is a device. */
static bool visit_backing(u32 major, u32 minor, visit_fn fn, void *context)
{
	char path[64], backing[512] = "";
	struct stat st;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/loop/backing_file", major, minor);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(backing, sizeof(backing), file))
		backing[0] = '\0';
	fclose(file);
	backing[strcspn(backing, "\n")] = '\0';
	return !stat(backing, &st) && S_ISBLK(st.st_mode) &&
		fn(context, major(st.st_rdev), minor(st.st_rdev));
}

bool visit_below(u32 major, u32 minor, visit_fn fn, void *context)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/slaves", major, minor);
	return visit_directory(path, fn, context) || visit_whole(major, minor, fn, context) ||
		visit_backing(major, minor, fn, context);
}

/*
 * Who has it open
 */

struct openers {
	char *text;
	size_t len, at;
	unsigned int n;
};

/* At most so many are named. */
#define MAX_OPENERS	3

/* A network filesystem that hangs is not asked what the file is. */
static bool is_open_file(int dir, const char *name, u32 major, u32 minor)
{
	struct statx st;

	return !statx(dir, name, AT_STATX_DONT_SYNC, STATX_TYPE, &st) && S_ISBLK(st.stx_mode) &&
		st.stx_rdev_major == major && st.stx_rdev_minor == minor;
}

static bool has_open(const char *pid, u32 major, u32 minor)
{
	struct dirent *entry;
	bool found = false;
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.' &&
			is_open_file(dirfd(dir), entry->d_name, major, minor);
	if (dir)
		closedir(dir);
	return found;
}

/* A file of a process, with spaces for its zeroes, without the line's end. */
static void read_process(const char *pid, const char *what, char *text, size_t len)
{
	char path[300];
	size_t n = 0, i;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, what);
	file = fopen(path, "re");
	if (file) {
		n = fread(text, 1, len - 1, file);
		fclose(file);
	}
	while (n && (!text[n - 1] || text[n - 1] == '\n'))
		n--;
	text[n] = '\0';
	for (i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ')
			text[i] = ' ';
}

/* Its program, and how it was called, if it goes by another name. */
static void add_opener(struct openers *to, const char *pid)
{
	char comm[32], command[64];

	if (to->n++ >= MAX_OPENERS || to->at >= to->len)
		return;
	read_process(pid, "comm", comm, sizeof(comm));
	read_process(pid, "cmdline", command, sizeof(command));
	to->at += snprintf(to->text + to->at, to->len - to->at, "%sprocess %s (%s%s%s)",
			   to->n > 1 ? ", " : "", pid, comm, strstr(command, comm) ? "" : ": ",
			   strstr(command, comm) ? "" : command);
}

/* The processes that have it open; false: there are none, or the kernel itself has. */
static bool list_openers(u32 major, u32 minor, char *text, size_t len)
{
	struct openers to = { .text = text, .len = len };
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != getpid() &&
		    has_open(entry->d_name, major, minor))
			add_opener(&to, entry->d_name);
	if (dir)
		closedir(dir);
	if (to.n > MAX_OPENERS && to.at < len)
		to.at += snprintf(text + to.at, len - to.at, " and %u more", to.n - MAX_OPENERS);
	if (to.n && to.at < len)
		snprintf(text + to.at, len - to.at, " %s it open", to.n > 1 ? "have" : "has");
	return to.n;
}

/*
 * What is said of it
 */

struct holders {
	visit_fn ours;
	void *context;
	char *text;
	size_t len, at;
};

static bool add_holder(void *context, u32 major, u32 minor)
{
	struct holders *to = context;
	char name[128];

	if (to->at >= to->len || (to->ours && to->ours(to->context, major, minor)))
		return false;
	describe_device(major, minor, name, sizeof(name));
	to->at += snprintf(to->text + to->at, to->len - to->at,
			   to->at ? ", %s" : "on it there is %s", name);
	return false;
}

/*
 * The devices that lie on it, but those of which @ours, which may be NULL, is true. False:
 * there are none.
 */
static bool list_above(u32 major, u32 minor, visit_fn ours, void *context, char *text,
		       size_t len)
{
	struct holders to = { .ours = ours, .context = context, .text = text, .len = len };

	visit_above(major, minor, add_holder, &to);
	return to.at;
}

static bool is_any(void *context, u32 major, u32 minor)
{
	(void)context;
	(void)major;
	(void)minor;
	return true;
}

bool is_claimed_elsewhere(const char *path, u32 major, u32 minor)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return false;
	}
	return errno == EBUSY && !visit_holders(major, minor, is_any, NULL);
}

bool is_open_by_process(u32 major, u32 minor)
{
	char text[128];

	return list_openers(major, minor, text, sizeof(text));
}

bool is_used_for_long(u32 major, u32 minor, visit_fn ours, void *context)
{
	char text[128];

	return find_mount(major, minor, text, sizeof(text)) ||
		list_above(major, minor, ours, context, text, sizeof(text));
}

void describe_use(u32 major, u32 minor, visit_fn ours, void *context, char *text, size_t len)
{
	if (!find_mount(major, minor, text, len) &&
	    !list_above(major, minor, ours, context, text, len) &&
	    !list_openers(major, minor, text, len))
		snprintf(text, len, "somebody has it open, but no process that can be seen here: a server in the kernel, perhaps");
}

bool lasts(bool (*busy)(void *context), void *context, unsigned int milliseconds)
{
	unsigned int waited;

	for (waited = 0; busy(context); waited += WAIT_INTERVAL) {
		if (waited >= milliseconds)
			return true;
		usleep(WAIT_INTERVAL * 1000);
	}
	return false;
}
