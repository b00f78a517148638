// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <sys/mman.h>

#include "disk.h"

/* Of those that are never written there is nothing in memory. */
static u8 *create_image(u64 sectors)
{
	void *image = mmap(NULL, sectors * DISK_SECTOR, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	check(image != MAP_FAILED, "out of memory");
	return image;
}

struct block_device *disk_create(u64 sectors, bool cache)
{
	struct block_device *disk = calloc(1, sizeof(*disk));

	check(disk, "out of memory");
	disk->sectors = sectors;
	disk->data = create_image(sectors);
	if (cache)
		disk->durable = create_image(sectors);
	return disk;
}

void disk_destroy(struct block_device *disk)
{
	munmap(disk->data, disk->sectors * DISK_SECTOR);
	if (disk->durable)
		munmap(disk->durable, disk->sectors * DISK_SECTOR);
	free(disk->pending);
	free(disk);
}

void disk_settle(struct block_device *disk)
{
	if (disk->durable)
		memcpy(disk->durable, disk->data, disk->sectors * DISK_SECTOR);
	disk->nr_pending = 0;
	disk->nr_reads = 0;
	disk->nr_writes = 0;
	disk->nr_flushes = 0;
	disk_fail(disk, DISK_ANY, 0);
}

void disk_fill_random(struct block_device *disk, u64 sector)
{
	u64 *word = (void *)(disk->data + sector * DISK_SECTOR);
	u64 *end = (void *)(disk->data + disk->sectors * DISK_SECTOR);

	while (word < end)
		*word++ = fake_random();
	disk_settle(disk);
}

void disk_copy(struct block_device *to, const struct block_device *from)
{
	check(to->sectors == from->sectors, "another size");
	memcpy(to->data, from->data, to->sectors * DISK_SECTOR);
	disk_settle(to);
}

/*
 * Input and output
 */

void disk_fail(struct block_device *disk, enum disk_io io, unsigned int nth)
{
	disk->fail = io;
	disk->fail_nth = nth;
	disk->failed = false;
}

static bool fails(struct block_device *disk, enum disk_io io)
{
	if (!(disk->fail & io) || !disk->fail_nth || --disk->fail_nth)
		return false;
	disk->failed = true;
	return true;
}

static void check_range(const struct block_device *disk, u64 sector, u64 n)
{
	check(sector < disk->sectors && n <= disk->sectors - sector,
	      "I/O beyond the end: %llu sectors at %llu", n, sector);
}

int disk_read(struct block_device *disk, u64 sector, unsigned int n, void *data)
{
	check_range(disk, sector, n);
	disk->nr_reads++;
	memcpy(data, disk->data + sector * DISK_SECTOR, n * DISK_SECTOR);
	return fails(disk, DISK_READ) ? -EIO : 0;
}

static void note_pending(struct block_device *disk, u64 sector, const u8 *data)
{
	struct disk_write *write;

	if (disk->nr_pending == disk->max_pending) {
		disk->max_pending = 2 * disk->max_pending + 64;
		disk->pending = realloc(disk->pending, disk->max_pending * sizeof(*write));
		check(disk->pending, "out of memory");
	}
	write = &disk->pending[disk->nr_pending++];
	write->sector = sector;
	memcpy(write->data, data, DISK_SECTOR);
}

static void write_sector(struct block_device *disk, u64 sector, const u8 *data)
{
	u8 *image = disk->data + sector * DISK_SECTOR;

	/* So that zeroes over nothing take no memory. */
	if (memcmp(image, data, DISK_SECTOR))
		memcpy(image, data, DISK_SECTOR);
	if (disk->durable)
		note_pending(disk, sector, data);
	if (disk->hook)
		disk->hook(disk);
}

int disk_write(struct block_device *disk, u64 sector, u64 n, const void *data)
{
	static const u8 zeroes[DISK_SECTOR];
	bool fail = fails(disk, DISK_WRITE);
	u64 i;

	check_range(disk, sector, n);
	disk->nr_writes++;
	for (i = 0; i < n; i++) {
		/* Of a write that fails, any part may be there. */
		if (!fail || fake_one_in(2))
			write_sector(disk, sector + i, data ? data + i * DISK_SECTOR : zeroes);
	}
	return fail ? -EIO : 0;
}

int disk_flush(struct block_device *disk)
{
	unsigned int i;

	disk->nr_flushes++;
	if (fails(disk, DISK_FLUSH))
		return -EIO;
	for (i = 0; i < disk->nr_pending; i++)
		memcpy(disk->durable + disk->pending[i].sector * DISK_SECTOR,
		       disk->pending[i].data, DISK_SECTOR);
	disk->nr_pending = 0;
	if (disk->hook)
		disk->hook(disk);
	return 0;
}

int blkdev_issue_zeroout(struct block_device *bdev, sector_t sector, sector_t n, gfp_t flags,
			 unsigned int how)
{
	(void)flags;
	bdev->unmapped |= !(how & BLKDEV_ZERO_NOUNMAP);
	return disk_write(bdev, sector, n, NULL);
}

int blkdev_issue_flush(struct block_device *bdev)
{
	return disk_flush(bdev);
}
