// SPDX-License-Identifier: GPL-2.0-only
/*
 * pattern - write one byte all over a range of a block device, or check that
 * the range holds nothing else. Direct I/O, so that the device and not the page
 * cache is asked.
 *
 * Exit status: 0, 1 if another byte was found (the first one is printed),
 * 2 on errors.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_BLOCK (256 * 1024)

static void usage(void)
{
	fprintf(stderr,
		"Usage: pattern write|verify DEVICE BYTE OFFSET LENGTH [BLOCK]\n"
		"Numbers may end in k, M or G. An empty LENGTH, \"\", goes to the device's end.\n");
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	switch (*end) {
	case 'G':
		n *= 1024;
		/* fall through */
	case 'M':
		n *= 1024;
		/* fall through */
	case 'k':
		n *= 1024;
		end++;
	}
	if (end == text || *end)
		errx(2, "%s is no number", text);
	return n;
}

int main(int argc, char **argv)
{
	uint64_t offset, length, block = DEFAULT_BLOCK;
	unsigned char *buffer, byte;
	const char *device;
	int fd, write;

	if (argc < 6 || argc > 7)
		usage();
	write = !strcmp(argv[1], "write");
	if (!write && strcmp(argv[1], "verify"))
		usage();

	device = argv[2];
	fd = open(device, (write ? O_WRONLY : O_RDONLY) | O_DIRECT);
	if (fd < 0)
		err(2, "%s", device);

	byte = number(argv[3]);
	offset = number(argv[4]);
	length = *argv[5] ? number(argv[5]) : (uint64_t)lseek(fd, 0, SEEK_END) - offset;
	if (argc == 7)
		block = number(argv[6]);
	if (!block)
		usage();

	buffer = aligned_alloc(4096, (block + 4095) & ~4095ULL);
	if (!buffer)
		err(2, "memory");
	memset(buffer, byte, block);

	while (length) {
		size_t want = length < block ? length : block;
		ssize_t done = write ? pwrite(fd, buffer, want, offset) :
				       pread(fd, buffer, want, offset);

		if (done < 0)
			err(2, "%s: offset %llu", device, (unsigned long long)offset);
		if (!done)
			errx(2, "%s: ends at %llu", device, (unsigned long long)offset);

		for (ssize_t i = 0; !write && i < done; i++) {
			if (buffer[i] == byte)
				continue;
			printf("%s: offset %llu holds 0x%02x, not 0x%02x\n", device,
			       (unsigned long long)offset + i, buffer[i], byte);
			return 1;
		}
		offset += done;
		length -= done;
	}

	return close(fd) ? 2 : 0;
}
