// SPDX-License-Identifier: GPL-2.0-only
/*
 * unreaped DEVICE SECONDS: queues direct reads that are to be polled for, by io_uring,
 * and polls for none of them. Says how many the kernel has taken, then waits so long.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READS	8
#define SIZE	4096

int main(int argc, char **argv)
{
	struct io_uring_params params = { .flags = IORING_SETUP_IOPOLL };
	struct io_uring_sqe *sqes;
	unsigned int *index;
	int fd, ring, i;
	size_t length;
	void *buffer;
	char *queue;

	if (argc != 3)
		errx(2, "usage: unreaped DEVICE SECONDS");
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0)
		err(1, "%s", argv[1]);
	ring = syscall(SYS_io_uring_setup, READS, &params);
	if (ring < 0)
		err(1, "io_uring_setup");
	length = params.sq_off.array + params.sq_entries * sizeof(*index);
	queue = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		    ring, IORING_OFF_SQES);
	if (queue == MAP_FAILED || sqes == MAP_FAILED ||
	    posix_memalign(&buffer, SIZE, READS * SIZE))
		err(1, "memory");
	index = (unsigned int *)(queue + params.sq_off.array);
	for (i = 0; i < READS; i++) {
		sqes[i] = (struct io_uring_sqe) {
			.opcode = IORING_OP_READ,
			.fd = fd,
			.addr = (uintptr_t)buffer + i * SIZE,
			.len = SIZE,
			.off = i * SIZE,
		};
		index[i] = i;
	}
	__atomic_store_n((unsigned int *)(queue + params.sq_off.tail), READS, __ATOMIC_RELEASE);
	printf("%ld\n", (long)syscall(SYS_io_uring_enter, ring, READS, 0, 0, NULL, 0));
	fflush(stdout);
	sleep(atoi(argv[2]));
	return 0;
}
