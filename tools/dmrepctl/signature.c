// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "command.h"
#include "signature.h"
#include "use.h"

static enum outcome cannot_open(const char *role, const char *path)
{
	return error(FAILED, "%s device %s: it cannot be opened: %s", role, path, strerror(errno));
}

enum outcome look_at_device(const char *role, const char *path, struct block_device *device)
{
	enum outcome outcome = DONE;
	struct stat st;
	u64 bytes = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cannot_open(role, path);
	if (fstat(fd, &st) || !S_ISBLK(st.st_mode))
		outcome = error(FAILED, "%s device %s: it is no block device; losetup makes one of a file",
				role, path);
	else if (ioctl(fd, BLKGETSIZE64, &bytes))
		outcome = error(FAILED, "%s device %s: its size cannot be read: %s", role, path,
				strerror(errno));
	close(fd);
	device->role = role;
	device->path = path;
	device->major = major(st.st_rdev);
	device->minor = minor(st.st_rdev);
	device->sectors = bytes / SECTOR_BYTES;
	return outcome;
}

static bool get_loop(const struct block_device *device, struct loop_info64 *loop)
{
	int fd = device->major == LOOP_MAJOR ? open(device->path, O_RDONLY | O_CLOEXEC) : -1;
	bool good = fd >= 0 && !ioctl(fd, LOOP_GET_STATUS64, loop);

	if (fd >= 0)
		close(fd);
	return good;
}

bool share_file(const struct block_device *a, const struct block_device *b)
{
	struct loop_info64 x, y;

	return get_loop(a, &x) && get_loop(b, &y) &&
		x.lo_device == y.lo_device && x.lo_inode == y.lo_inode &&
		x.lo_offset < y.lo_offset + b->sectors * SECTOR_BYTES &&
		y.lo_offset < x.lo_offset + a->sectors * SECTOR_BYTES;
}

void warn_of_cache(const struct block_device *device)
{
	char path[64], mode[32] = "";
	FILE *file;

	if (device->major != NBD_MAJOR)
		return;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/write_cache", device->major,
		 device->minor);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(mode, sizeof(mode), file) && !strncmp(mode, "write through", 13))
		warning("%s device %s: its server takes no flushes, so unless it has no cache a checkpoint may lack what it has not written yet; nbd-server needs flush = true",
			device->role, device->path);
	fclose(file);
}

enum outcome empty_replica(const struct block_device *device)
{
	return error(FAILED, "%s device %s: it has 0 B; connect it first, if it is another host's disk",
		     device->role, device->path);
}

/* Claimed by somebody of whom nothing is known that lasts. */
static bool is_claimed_for_now(void *context)
{
	const struct block_device *device = context;
	int fd = open(device->path, O_RDWR | O_EXCL | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EBUSY &&
		!is_used_for_long(device->major, device->minor, NULL, NULL);
}

enum outcome check_unused(const struct block_device *device)
{
	char use[600];
	int fd;

	lasts(is_claimed_for_now, (void *)device, SHORT_MOMENT);
	fd = open(device->path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return DONE;
	}
	if (errno != EBUSY)
		return cannot_open(device->role, device->path);
	describe_use(device->major, device->minor, NULL, NULL, use, sizeof(use));
	return error(REFUSED, "%s device %s: it is in use: %s", device->role, device->path, use);
}

/* What blkid calls it: "ext4", "gpt". False if there is nothing. */
static bool find_signature(blkid_probe probe, char *type, size_t len)
{
	const char *value = NULL;
	int r;

	blkid_probe_enable_superblocks(probe, true);
	blkid_probe_enable_partitions(probe, true);
	r = blkid_do_safeprobe(probe);
	if (r == 1)
		return false;
	if (r == 0 && !blkid_probe_lookup_value(probe, "TYPE", &value, NULL))
		snprintf(type, len, "a signature of %s", value);
	else if (r == 0 && !blkid_probe_lookup_value(probe, "PTTYPE", &value, NULL))
		snprintf(type, len, "a partition table, %s,", value);
	else if (r == -2)
		snprintf(type, len, "signatures of several things");
	else
		snprintf(type, len, "something that blkid cannot read");
	return true;
}

enum outcome check_signature(const struct block_device *device)
{
	blkid_probe probe = blkid_new_probe_from_filename(device->path);
	char type[128], label[LABEL_BYTES];
	bool found;

	if (!probe)
		return error(FAILED, "%s device %s: it cannot be looked at: %s", device->role,
			     device->path, strerror(errno));
	found = find_signature(probe, type, sizeof(type));
	blkid_free_probe(probe);
	if (!found)
		return DONE;
	return error(REFUSED, "%s device %s: there is %s on it, which would be overwritten; if that may be, %s",
		     device->role, device->path, type, flag_label("force", label));
}

/* Of dm-bufio's writes the page cache knows nothing. */
static int open_direct(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC);

	if (fd < 0 && errno == EINVAL)
		fd = open(path, flags | O_CLOEXEC);
	return fd;
}

enum metadata_kind look_at_metadata(const struct block_device *device,
				    struct metadata_super *super, char *why, size_t len)
{
	enum metadata_kind kind;
	int fd = open_direct(device->path, O_RDONLY);

	if (fd < 0) {
		snprintf(why, len, "it cannot be opened: %s", strerror(errno));
		return METADATA_UNREADABLE;
	}
	kind = read_metadata_super(fd, device->sectors, super, why, len);
	close(fd);
	return kind;
}

/* "at byte 16 there is 53 51 4c "SQL"": as numbers, and what of it can be read. */
static void describe_bytes(const u8 *block, char *text, size_t len)
{
	size_t first = 0, i, at;
	char letters[17] = "";

	while (first < METADATA_BLOCK && !block[first])
		first++;
	at = snprintf(text, len, first < METADATA_BLOCK ? "at byte %zu there is" : "it is zero",
		      first);
	for (i = first; i < METADATA_BLOCK && i < first + 16; i++) {
		if (at < len)
			at += snprintf(text + at, len - at, " %02x", block[i]);
		letters[i - first] = block[i] < ' ' || block[i] > '~' ? '.' : block[i];
	}
	if (letters[0] && at < len)
		snprintf(text + at, len - at, " \"%s\"", letters);
}

void describe_content(const struct block_device *device, char *text, size_t len)
{
	int fd = open_direct(device->path, O_RDONLY);
	u8 *block = aligned_alloc(METADATA_BLOCK, METADATA_BLOCK);

	snprintf(text, len, "it cannot be read");
	if (fd >= 0 && block && pread(fd, block, METADATA_BLOCK, 0) == METADATA_BLOCK)
		describe_bytes(block, text, len);
	free(block);
	if (fd >= 0)
		close(fd);
}

enum outcome zero_metadata(const struct block_device *device)
{
	int fd = open_direct(device->path, O_WRONLY | O_EXCL);
	void *zeroes = aligned_alloc(METADATA_BLOCK, METADATA_BLOCK);
	enum outcome outcome = DONE;

	if (!zeroes) {
		outcome = out_of_memory();
	} else if (fd < 0) {
		outcome = cannot_open(device->role, device->path);
	} else {
		memset(zeroes, 0, METADATA_BLOCK);
		if (pwrite(fd, zeroes, METADATA_BLOCK, 0) != METADATA_BLOCK || fsync(fd))
			outcome = error(FAILED, "%s device %s: it cannot be written: %s",
					device->role, device->path, strerror(errno));
	}
	free(zeroes);
	if (fd >= 0)
		close(fd);
	return outcome;
}
