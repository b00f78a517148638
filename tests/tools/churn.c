// SPDX-License-Identifier: GPL-2.0-only
/*
 * churn DEVICE SECTOR SECTORS TIMES: writes a buffer so many times, by direct I/O, each
 * time behind the last, while a thread goes on changing it.
 *
 * Whatever reaches the device is right. But who writes it to two places has to write
 * the same to both ("The primary": a buffer that its owner changes in flight never
 * makes the legs differ).
 */
#include "common.h"

static unsigned char *buffer;
static size_t size;
static atomic_bool over;

static void *change(__maybe_unused void *unused)
{
	unsigned char value = 0;
	size_t i = 0;

	while (!over) {
		__atomic_store_n(&buffer[i], value++, __ATOMIC_RELAXED);
		i = (i + 509) % size;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	struct dev dev;
	u64 sector, n;

	prog = "churn";
	if (argc != 5)
		trouble("usage: churn DEVICE SECTOR SECTORS TIMES");
	dev_open(&dev, argv[1], O_RDWR | O_DIRECT);
	sector = parse_number("sector", argv[2]);
	size = parse_number("sectors", argv[3]) * SECTOR_SIZE;
	buffer = xbuffer(size);
	memset(buffer, 0, size);
	if (pthread_create(&thread, NULL, change, NULL))
		trouble("no thread");
	for (n = parse_number("times", argv[4]); n; n--, sector += size / SECTOR_SIZE)
		if (dev_write(&dev, sector, buffer, size / SECTOR_SIZE))
			trouble("%s: %s", argv[1], strerror(errno));
	over = true;
	pthread_join(thread, NULL);
	return EXIT_OK;
}
