/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What dm-replication/metadata.c needs of the kernel, for metadata-file.c, which has all
 * of that file in it. The headers in linux/ are all this one.
 *
 * Only what knows the format is used, so whatever would do I/O fails.
 */
#ifndef DMREPCTL_KERNEL_H
#define DMREPCTL_KERNEL_H

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../types.h"

typedef u32 __le32;
typedef u64 __le64;
typedef u64 sector_t;

#define GFP_KERNEL	0
#define GFP_NOIO	0
#define BLKDEV_ZERO_NOUNMAP	0

#define static_assert(expr)	extern char static_assertion[(expr) ? 1 : -1]

#define cpu_to_le32(x)	htole32(x)
#define cpu_to_le64(x)	((u64)htole64(x))
#define le32_to_cpu(x)	le32toh(x)
#define le64_to_cpu(x)	((u64)le64toh(x))

#define BIT_ULL(n)		(1ULL << (n))
#define DIV_ROUND_UP(n, d) ({			\
	typeof(d) divisor = (d);		\
	((n) + divisor - 1) / divisor;		\
})
#define DIV_ROUND_UP_ULL(n, d)	DIV_ROUND_UP((u64)(n), (d))
#define min_t(type, a, b) ({			\
	type min_a = (a);			\
	type min_b = (b);			\
	min_a < min_b ? min_a : min_b;		\
})
#define min(a, b)	min_t(typeof(a), a, b)

static inline u64 div_u64_rem(u64 dividend, u32 divisor, u32 *remainder)
{
	*remainder = dividend % divisor;
	return dividend / divisor;
}

/* As the kernel has it: errors are the last page of the address space. */
static inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static inline long PTR_ERR(const void *pointer)
{
	return (long)pointer;
}

static inline bool IS_ERR(const void *pointer)
{
	return (unsigned long)pointer >= (unsigned long)-4095;
}

static inline void cond_resched(void)
{
}

static inline void *kzalloc(size_t size, u32 flags)
{
	(void)flags;
	return calloc(1, size);
}

static inline void kfree(void *pointer)
{
	free(pointer);
}

/* Castagnoli's polynomial, reflected; like the kernel's without the final inversion. */
static inline u32 crc32c(u32 crc, const void *data, size_t len)
{
	static u32 table[256];
	const u8 *byte = data;
	unsigned int i, bit;

	for (i = 0; !table[255] && i < 256; i++) {
		u32 entry = i;

		for (bit = 0; bit < 8; bit++)
			entry = entry & 1 ? entry >> 1 ^ 0x82f63b78 : entry >> 1;
		table[i] = entry;
	}
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *byte++) & 0xff];
	return crc;
}

/* NULL, or some byte that is another; the kernel's is the first. */
static inline void *memchr_inv(const void *data, int c, size_t len)
{
	const u8 *byte = data;

	return byte[0] == c && !memcmp(byte, byte + 1, len - 1) ? NULL : (void *)byte;
}

static inline void generate_random_uuid(u8 uuid[16])
{
	memset(uuid, 0, 16);
}

/*
 * Input and output, which there is none.
 */
struct block_device;
struct dm_bufio_client;
struct dm_buffer;

static inline int blkdev_issue_zeroout(struct block_device *bdev, sector_t sector, sector_t n,
				       u32 flags, unsigned int how)
{
	(void)bdev;
	(void)sector;
	(void)n;
	(void)flags;
	(void)how;
	return -EROFS;
}

static inline int blkdev_issue_flush(struct block_device *bdev)
{
	(void)bdev;
	return -EROFS;
}

#define dm_bufio_client_create(...)	((struct dm_bufio_client *)ERR_PTR(-EROFS))

static inline void dm_bufio_client_destroy(struct dm_bufio_client *c)
{
	(void)c;
}

static inline void *dm_bufio_read(struct dm_bufio_client *c, sector_t block, struct dm_buffer **bp)
{
	(void)c;
	(void)block;
	*bp = NULL;
	return ERR_PTR(-EROFS);
}

static inline void *dm_bufio_new(struct dm_bufio_client *c, sector_t block, struct dm_buffer **bp)
{
	return dm_bufio_read(c, block, bp);
}

static inline void dm_bufio_prefetch(struct dm_bufio_client *c, sector_t block, unsigned int n)
{
	(void)c;
	(void)block;
	(void)n;
}

static inline void dm_bufio_forget(struct dm_bufio_client *c, sector_t block)
{
	(void)c;
	(void)block;
}

static inline void dm_bufio_forget_buffers(struct dm_bufio_client *c, sector_t block, sector_t n)
{
	(void)c;
	(void)block;
	(void)n;
}

static inline void dm_bufio_mark_buffer_dirty(struct dm_buffer *b)
{
	(void)b;
}

static inline void dm_bufio_release(struct dm_buffer *b)
{
	(void)b;
}

static inline int dm_bufio_write_dirty_buffers(struct dm_bufio_client *c)
{
	(void)c;
	return -EROFS;
}

#endif
