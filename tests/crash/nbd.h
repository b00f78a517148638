/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two NBD servers share: that of disk.h, for a kernel, and disks.c, for QEMU.
 */
#ifndef TESTS_CRASH_NBD_H
#define TESTS_CRASH_NBD_H

#include "../tools/common.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/nbd.h>
#include <sys/socket.h>

#define NBD_FUA		(1u << 16)

/* False: the other side has gone. */
static inline bool get(int fd, void *buf, size_t n)
{
	ssize_t r;

	for (; n; n -= r, buf = (char *)buf + r) {
		r = recv(fd, buf, n, MSG_WAITALL);
		if (r <= 0)
			return false;
	}
	return true;
}

static inline bool put(int fd, const void *buf, size_t n)
{
	ssize_t r;

	for (; n; n -= r, buf = (const char *)buf + r) {
		r = send(fd, buf, n, MSG_NOSIGNAL);
		if (r <= 0)
			return false;
	}
	return true;
}

#endif
