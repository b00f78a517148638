/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What metadata.c needs of the kernel, in user space. The headers in linux/ are all
 * this one.
 */
#ifndef METADATA_FAKE_H
#define METADATA_FAKE_H

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u32 __le32;
typedef u64 __le64;
typedef u64 sector_t;
typedef u32 gfp_t;

#define GFP_KERNEL	1
#define GFP_NOIO	2
#define BLKDEV_ZERO_NOUNMAP	1

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
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

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

void *kzalloc(size_t size, gfp_t flags);
void kfree(const void *pointer);
u32 crc32c(u32 crc, const void *data, size_t len);
void generate_random_uuid(u8 uuid[16]);
void *memchr_inv(const void *data, int c, size_t len);

/* The disk: disk.h */
struct block_device;

int blkdev_issue_zeroout(struct block_device *bdev, sector_t sector, sector_t n, gfp_t flags,
			 unsigned int how);
int blkdev_issue_flush(struct block_device *bdev);

/* dm-bufio: bufio.c */
struct dm_bufio_client;
struct dm_buffer;

struct dm_bufio_client *
dm_bufio_client_create(struct block_device *bdev, unsigned int block_size,
		       unsigned int reserved_buffers, unsigned int aux_size,
		       void (*alloc_callback)(struct dm_buffer *b),
		       void (*write_callback)(struct dm_buffer *b), unsigned int flags);
void dm_bufio_client_destroy(struct dm_bufio_client *c);
void *dm_bufio_read(struct dm_bufio_client *c, sector_t block, struct dm_buffer **bp);
void *dm_bufio_new(struct dm_bufio_client *c, sector_t block, struct dm_buffer **bp);
void dm_bufio_prefetch(struct dm_bufio_client *c, sector_t block, unsigned int n_blocks);
void dm_bufio_forget(struct dm_bufio_client *c, sector_t block);
void dm_bufio_forget_buffers(struct dm_bufio_client *c, sector_t block, sector_t n_blocks);
void dm_bufio_mark_buffer_dirty(struct dm_buffer *b);
void dm_bufio_release(struct dm_buffer *b);
int dm_bufio_write_dirty_buffers(struct dm_bufio_client *c);

/*
 * For the tests: chance, which is the same for the same seed; allocations, of which
 * the n-th from now may be made to fail; and the end of a test.
 */
void fake_seed(u64 seed);
u64 fake_random(void);
u64 fake_below(u64 n);
bool fake_one_in(unsigned int n);
void *fake_alloc(size_t size);	/* never fails */
void fake_fail_alloc(unsigned int n);
unsigned int fake_allocated(void);

__attribute__((__noreturn__, __format__(printf, 4, 5)))
void fake_die(const char *file, int line, const char *what, const char *format, ...);

/* What has to be true: else the test ends here, with words. */
#define check(what, ...) do {						\
	if (!(what))							\
		fake_die(__FILE__, __LINE__, #what, "" __VA_ARGS__);	\
} while (0)

#endif
