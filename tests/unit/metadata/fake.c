// SPDX-License-Identifier: GPL-2.0-only
/*
 * The small things: chance, memory, checksums.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "fake.h"

static u64 state = 1;
static unsigned int allocated;
static unsigned int fail_alloc;

void fake_seed(u64 seed)
{
	state = seed;
}

u64 fake_random(void)
{
	u64 x = state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

u64 fake_below(u64 n)
{
	return fake_random() % n;
}

bool fake_one_in(unsigned int n)
{
	return !fake_below(n);
}

void fake_fail_alloc(unsigned int n)
{
	fail_alloc = n;
}

unsigned int fake_allocated(void)
{
	return allocated;
}

void fake_die(const char *file, int line, const char *what, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s:%d: not true: %s: ", file, line, what);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	/* For libFuzzer, which keeps what made it abort. */
	abort();
}

void *fake_alloc(size_t size)
{
	void *pointer = calloc(1, size);

	check(pointer, "out of memory");
	allocated++;
	return pointer;
}

void *kzalloc(size_t size, gfp_t flags)
{
	(void)flags;
	return fail_alloc && !--fail_alloc ? NULL : fake_alloc(size);
}

void kfree(const void *pointer)
{
	if (!pointer)
		return;
	check(allocated, "freed more than was allocated");
	allocated--;
	free((void *)pointer);
}

/* Castagnoli's polynomial, reflected; like the kernel's without the final inversion. */
u32 crc32c(u32 crc, const void *data, size_t len)
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

void generate_random_uuid(u8 uuid[16])
{
	u64 random[2] = { fake_random(), fake_random() };

	memcpy(uuid, random, sizeof(random));
}

/* NULL, or some byte that is another; the kernel's is the first. */
void *memchr_inv(const void *data, int c, size_t len)
{
	const u8 *byte = data;

	check(len, "of nothing");
	return byte[0] == c && !memcmp(byte, byte + 1, len - 1) ? NULL : (void *)byte;
}
