/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The four disks: NBD devices with a write cache each, served from here, and every
 * request logged.
 *
 * Why not dm-log-writes: on one of them, under everything, a flush of any device is
 * a flush of all; on four there is no order between them. Either would hide the very
 * bugs that are looked for.
 *
 * A request that has come is completed some time later, at random among those that
 * wait, so that the target sees completions in any order.
 */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include "log.h"
#include "nbd.h"

#include <poll.h>

#define MAX_REQUESTS	1024

struct disk {
	enum where where;
	int fd, sock, kernel_sock;
	u64 sectors;
	u8 *content;		/* as the kernel sees it: what was completed */
	pthread_t thread;	/* of the kernel's part */
};

struct request {
	struct disk *disk;
	struct nbd_request head;
	u64 sector, n;
	__u32 event;		/* of a write, a discard, a flush */
	u8 *data;
};

static struct disk disks[NR_DISKS];
static pthread_t disk_server;
static struct request *waiting;
static unsigned int nr_waiting;
static struct rng disk_rng;

/* Microseconds that a request takes, on average; of the secondary, eight times that. */
static atomic_uint disk_delay;
static atomic_bool secondary_lazy;

/* False: it was the last one. */
static inline bool request_get(struct disk *disk)
{
	struct request *rq = &waiting[nr_waiting];
	__u32 type;

	memset(rq, 0, sizeof(*rq));
	rq->disk = disk;
	if (!get(disk->sock, &rq->head, sizeof(rq->head)))
		return false;
	type = ntohl(rq->head.type) & 0xffff;
	if (type == NBD_CMD_DISC)
		return false;
	if (nr_waiting == MAX_REQUESTS - 1)
		trouble("NBD: too many requests");
	rq->sector = be64toh(rq->head.from) >> SECTOR_SHIFT;
	rq->n = ntohl(rq->head.len) >> SECTOR_SHIFT;
	if (type == NBD_CMD_READ || type == NBD_CMD_WRITE)
		rq->data = xcalloc(rq->n, SECTOR_SIZE);
	if (type == NBD_CMD_WRITE && !get(disk->sock, rq->data, rq->n << SECTOR_SHIFT))
		return false;
	if (type != NBD_CMD_READ)
		rq->event = event_begin(type == NBD_CMD_WRITE ? EV_WRITE :
					type == NBD_CMD_TRIM ? EV_ZERO : EV_FLUSH,
					disk->where, rq->sector, rq->n,
					ntohl(rq->head.type) & NBD_FUA ? EV_FUA : 0,
					type == NBD_CMD_WRITE ? rq->data : NULL);
	nr_waiting++;
	return true;
}

static inline void request_complete(struct request *rq)
{
	struct nbd_reply reply = { .magic = htonl(NBD_REPLY_MAGIC) };
	__u32 type = ntohl(rq->head.type) & 0xffff;
	u8 *content = rq->disk->content + (rq->sector << SECTOR_SHIFT);
	size_t n = rq->n << SECTOR_SHIFT;

	if (type == NBD_CMD_READ)
		memcpy(rq->data, content, n);
	else if (type == NBD_CMD_WRITE)
		memcpy(content, rq->data, n);
	else if (type == NBD_CMD_TRIM)
		memset(content, 0, n);
	if (type != NBD_CMD_READ)
		event_end(rq->event);
	memcpy(reply.handle, rq->head.handle, sizeof(reply.handle));
	if (!put(rq->disk->sock, &reply, sizeof(reply)) ||
	    (type == NBD_CMD_READ && !put(rq->disk->sock, rq->data, n)))
		trouble("NBD: cannot reply: %s", strerror(errno));
	free(rq->data);
}

static inline void *disk_serve(void __maybe_unused *unused)
{
	struct pollfd polled[NR_DISKS];
	unsigned int i, n, left = NR_DISKS;

	for (i = 0; i < NR_DISKS; i++)
		polled[i] = (struct pollfd) { .fd = disks[i].sock, .events = POLLIN };
	while (left || nr_waiting) {
		if (poll(polled, NR_DISKS, nr_waiting ? 0 : -1) < 0 && errno != EINTR)
			trouble("poll: %s", strerror(errno));
		for (i = 0; i < NR_DISKS; i++)
			if (polled[i].revents && !request_get(&disks[i])) {
				shutdown(disks[i].sock, SHUT_RDWR);
				polled[i].fd = -1;
				polled[i].revents = 0;
				left--;
			}
		if (!nr_waiting)
			continue;
		/* More may be on their way, and are to have their chance. */
		n = disk_delay;
		if (n && rnd_one_in(&disk_rng, 2)) {
			sleep_us(rnd_below(&disk_rng, n * 2));
			continue;
		}
		i = rnd_below(&disk_rng, nr_waiting);
		if (secondary_lazy && waiting[i].disk->where == SECONDARY &&
		    !rnd_one_in(&disk_rng, 8))
			continue;
		request_complete(&waiting[i]);
		waiting[i] = waiting[--nr_waiting];
	}
	return NULL;
}

/* The kernel's part of a connection lives in this call. */
static inline void *disk_run(void *arg)
{
	struct disk *disk = arg;

	ioctl(disk->fd, NBD_DO_IT);
	return NULL;
}

static inline void disk_first_content(struct disk *disk)
{
	__u32 id = disk->where == SECONDARY ? ID_FIRST : ID_JUNK + disk->where;
	u64 i;

	disk->content = xcalloc(disk->sectors, SECTOR_SIZE);
	for (i = 0; disk->where != METADATA && i < disk->sectors; i++)
		stamp(disk->content + (i << SECTOR_SHIFT), id, i);
}

static inline void disk_start(enum where where, u64 sectors)
{
	struct disk *disk = &disks[where];
	char path[32];
	int pair[2];

	disk->where = where;
	disk->sectors = sectors;
	disk_first_content(disk);
	snprintf(path, sizeof(path), "/dev/nbd%u", where);
	disk->fd = open(path, O_RDWR | O_CLOEXEC);
	if (disk->fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		trouble("%s: %s", path, strerror(errno));
	disk->sock = pair[0];
	disk->kernel_sock = pair[1];
	if (ioctl(disk->fd, NBD_SET_BLKSIZE, (long)SECTOR_SIZE) ||
	    ioctl(disk->fd, NBD_SET_SIZE_BLOCKS, (long)sectors) ||
	    ioctl(disk->fd, NBD_SET_FLAGS, (long)(NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH |
						   NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_TRIM)) ||
	    ioctl(disk->fd, NBD_SET_SOCK, disk->kernel_sock))
		trouble("%s: cannot set up: %s", path, strerror(errno));
	pthread_create(&disk->thread, NULL, disk_run, disk);
}

static inline bool disk_has_size(struct disk *disk)
{
	u64 bytes;

	return !ioctl(disk->fd, BLKGETSIZE64, &bytes) && bytes == disk->sectors << SECTOR_SHIFT;
}

static inline void disks_start(u64 sectors, u64 metadata_sectors, u64 seed)
{
	struct stat st;
	char path[64];
	int i;

	disk_rng.state = seed;
	waiting = xcalloc(MAX_REQUESTS, sizeof(*waiting));
	for (i = 0; i < NR_DISKS; i++)
		disk_start(i, i == METADATA ? metadata_sectors : sectors);
	pthread_create(&disk_server, NULL, disk_serve, NULL);
	/* The kernel says so when it has taken over; newer ones set the size only then. */
	for (i = 0; i < NR_DISKS; i++) {
		snprintf(path, sizeof(path), "/sys/block/nbd%d/pid", i);
		while (stat(path, &st) || !disk_has_size(&disks[i]))
			sleep_us(1000);
	}
}

static inline void disks_stop(void)
{
	int i;

	for (i = 0; i < NR_DISKS; i++) {
		ioctl(disks[i].fd, NBD_DISCONNECT);
		pthread_join(disks[i].thread, NULL);
		ioctl(disks[i].fd, NBD_CLEAR_SOCK);
		close(disks[i].kernel_sock);
		close(disks[i].fd);
	}
	pthread_join(disk_server, NULL);
}

#endif
