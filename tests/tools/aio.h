/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's asynchronous I/O by its bare system calls; no libaio. */
#ifndef TESTS_TOOLS_AIO_H
#define TESTS_TOOLS_AIO_H

#include <linux/aio_abi.h>
#include <sys/syscall.h>

#include "common.h"

static inline void aio_init(aio_context_t *ctx, unsigned int depth)
{
	*ctx = 0;
	if (syscall(SYS_io_setup, depth, ctx))
		trouble("io_setup: %s", strerror(errno));
}

/* What cb->aio_data holds comes back as the event's data. */
static inline void aio_prepare(struct iocb *cb, int opcode, int fd, void *buf,
			       u64 sector, size_t n, void *data)
{
	memset(cb, 0, sizeof(*cb));
	cb->aio_data = (uintptr_t)data;
	cb->aio_lio_opcode = opcode;
	cb->aio_fildes = fd;
	cb->aio_buf = (uintptr_t)buf;
	cb->aio_nbytes = n << SECTOR_SHIFT;
	cb->aio_offset = sector << SECTOR_SHIFT;
}

/* 0, or the negative errno with which the request was refused. */
static inline int aio_submit(aio_context_t ctx, struct iocb *cb)
{
	long r;

	do {
		r = syscall(SYS_io_submit, ctx, 1L, &cb);
	} while (r < 0 && (errno == EINTR || errno == EAGAIN));
	return r < 0 ? -errno : 0;
}

/* Waits for one event at least; timeout_ns 0 does not wait at all. */
static inline long aio_reap(aio_context_t ctx, long min, long max,
			    struct io_event *ev, u64 timeout_ns)
{
	struct timespec ts = {
		.tv_sec = timeout_ns / 1000000000,
		.tv_nsec = timeout_ns % 1000000000,
	};
	long r = syscall(SYS_io_getevents, ctx, min, max, ev, &ts);

	if (r < 0 && errno != EINTR)
		trouble("io_getevents: %s", strerror(errno));
	return r < 0 ? 0 : r;
}

#endif
