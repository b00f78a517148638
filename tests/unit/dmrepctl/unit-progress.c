// SPDX-License-Identifier: GPL-2.0-only
#include "progress.h"
#include "test.h"

#define MIB	(1ULL << 20)

static void is(const char *name, u64 done, u64 all, u64 bytes, double seconds,
	       unsigned int columns, const char *expected)
{
	char line[PROGRESS_BYTES];

	format_progress(line, name, done, all, bytes, seconds, columns);
	check(!strcmp(line, expected), "\n     got: %s\nexpected: %s", line, expected);
}

static void lines(void)
{
	is("view", 0, 12 * MIB, 0, 0, 0, "view: 0 %, 0 B of 12 MiB");
	is("view", 6 * MIB, 12 * MIB, 3 * MIB, 2, 0,
	   "view: 50 %, 6 MiB of 12 MiB, 1.5 MiB/s, 4 s left");
	is("view", 12 * MIB, 12 * MIB, 12 * MIB, 2, 0,
	   "view: 100 %, 12 MiB of 12 MiB, 6 MiB/s, 0 s left");
	/* Not 100 % before it is all, and at least a second left. */
	is("view", 9999, 10000, 9999, 10, 0, "view: 99 %, 9.8 KiB of 9.8 KiB, 999 B/s, 1 s left");
	/* Nothing was to merge; none has been merged for long. */
	is("view", 0, 0, 0, 5, 0, "view: 100 %, 0 B of 0 B");
	is("view", 4096, 8192, 0, 500, 0, "view: 50 %, 4 KiB of 8 KiB");
}

static void bars(void)
{
	is("view", 6 * MIB, 12 * MIB, 3 * MIB, 2, 80,
	   "view: [#############--------------]  50 %, 6 MiB of 12 MiB, 1.5 MiB/s, 4 s left");
	is("view", 0, 12 * MIB, 0, 0, 80,
	   "view: [----------------------------------------]   0 %, 0 B of 12 MiB");
	is("view", 12 * MIB, 12 * MIB, 0, 0, 50, "view: [#################] 100 %, 12 MiB of 12 MiB");
	is("view", 6 * MIB, 12 * MIB, 0, 0, 35, "view: 50 %, 6 MiB of 12 MiB");
	is("view", 6 * MIB, 12 * MIB, 0, 0, 20, "view: 50 %, 6 MiB o");
}

/* Whatever the numbers and the name are, it fits. */
static void widths(void)
{
	static const u64 sizes[] = { 0, 1, 4096, 1023 * MIB + 999999, 1ULL << 50, ~0ULL };
	static const double times[] = { 0, 0.1, 0.3, 59, 100000, 1e18 };
	unsigned int columns, i, j, k;
	char line[PROGRESS_BYTES], name[129];

	memset(name, 'n', sizeof(name));
	name[128] = '\0';
	for (columns = 20; columns < 200; columns += 7) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			for (j = 0; j <= i; j++) {
				for (k = 0; k < ARRAY_SIZE(times); k++) {
					format_progress(line, name + 128 - columns / 2, sizes[j],
							sizes[i], sizes[j], times[k], columns);
					check(strlen(line) < columns, "%u: %s", columns, line);
				}
			}
		}
	}
}

void test_progress(void)
{
	lines();
	bars();
	widths();
}
