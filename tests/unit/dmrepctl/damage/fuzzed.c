// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzzed - whatever is on a device, dmrepctl check says of it what the target says:
 * fuzzed SEED RUNS FILE...
 *
 * The files are good inputs for tests/unit/metadata/fuzz.c, of which some bytes are
 * changed; compare.c comes in between.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "wrap.h"

#define MAX_BYTES	14337
#define MAX_CHANGES	6

static size_t read_seed(const char *name, u8 *data)
{
	FILE *file = fopen(name, "r");
	size_t size;

	check(file, "%s: %s", name, strerror(errno));
	size = fread(data, 1, MAX_BYTES, file);
	check(size > DISK_SECTOR, "%s is short", name);
	fclose(file);
	return size;
}

/* Half of them in the superblock, which is a small part of it. */
static void change(u8 *data, size_t size)
{
	unsigned int n = fake_below(MAX_CHANGES + 1);
	size_t at;

	while (n--) {
		at = 1 + fake_below(fake_one_in(2) ? DISK_SECTOR : size - 1);
		if (fake_one_in(2))
			data[at] = fake_below(256);
		else
			data[at] ^= 1 << fake_below(8);
	}
	if (fake_one_in(2))
		data[0] ^= FUZZ_SEAL_SUPER | FUZZ_IDENTITY;
	if (fake_one_in(2))
		data[0] ^= FUZZ_SEAL_MAPS;
}

int main(int argc, char **argv)
{
	unsigned long seed = strtoul(argv[1], NULL, 0), runs = strtoul(argv[2], NULL, 0), run;
	u8 data[MAX_BYTES];
	size_t size;

	for (run = 0; run < runs; run++) {
		/* What fuzz_one() does is by chance of its own. */
		fake_seed(seed + run);
		size = read_seed(argv[3 + fake_below(argc - 3)], data);
		change(data, size);
		fuzz_one(data, size);
	}
	printf("%lu runs: %lu damaged, %lu good\n", runs, nr_damaged, nr_good);
	return 0;
}
