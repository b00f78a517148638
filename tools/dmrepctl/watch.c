// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "watch.h"

/* The kernel's own group of uevents; udev's are another. */
#define KERNEL_GROUP	1

/*
 * libdevmapper has the ioctl, but not the file descriptor that is to be polled. So here
 * is one of our own.
 */
enum outcome watch_arm(struct watch *watch)
{
	struct dm_ioctl dmi = {
		.version = { DM_VERSION_MAJOR, 0, 0 },
		.data_size = sizeof(dmi),
	};

	if (ioctl(watch->control, DM_DEV_ARM_POLL, &dmi))
		return error(FAILED, "device-mapper's events cannot be waited for: %s",
			     strerror(errno));
	return DONE;
}

/* A resume, by which a table comes, is a uevent and no event of device-mapper. */
static int open_uevents(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (void *)&address, sizeof(address))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

enum outcome watch_open(struct watch *watch)
{
	watch->control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	watch->uevents = open_uevents();
	if (watch->control < 0) {
		error(FAILED, "/dev/mapper/control: it cannot be opened: %s", strerror(errno));
		watch_close(watch);
		return FAILED;
	}
	return DONE;
}

/* Reads all there is. True: something was about a block device; or some have been lost. */
static bool read_uevents(int fd)
{
	bool found = false;
	char text[8192];
	ssize_t n;

	for (;;) {
		n = recv(fd, text, sizeof(text) - 1, 0);
		if (n < 0 && errno == ENOBUFS)
			found = true;
		else if (n <= 0)
			return found;
		else if (memmem(text, n, "/block/dm-", strlen("/block/dm-")))
			found = true;
	}
}

enum outcome watch_wait(struct watch *watch, int timeout)
{
	struct pollfd fds[] = {
		{ .fd = watch->control, .events = POLLIN },
		{ .fd = watch->uevents, .events = POLLIN },
	};
	bool happened = false;
	int n;

	while (!happened) {
		n = poll(fds, ARRAY_SIZE(fds), timeout);
		if (n < 0 && errno != EINTR)
			return error(FAILED, "device-mapper's events cannot be waited for: %s",
				     strerror(errno));
		happened = !n || fds[0].revents;
		if (n > 0 && fds[1].revents && read_uevents(watch->uevents))
			happened = true;
	}
	return DONE;
}

void watch_close(struct watch *watch)
{
	if (watch->control >= 0)
		close(watch->control);
	if (watch->uevents >= 0)
		close(watch->uevents);
}
