// SPDX-License-Identifier: GPL-2.0-only
/*
 * unit - test metadata.c function by function. Without an argument it lists the
 * tests' names; with one, or all, and maybe a seed, it runs that test.
 *
 * Exit status: 0, or it aborts. Of all, the last name that it has printed is the one
 * that has failed.
 */
#include <stdlib.h>

#include "unit.h"

/* The longest one is the last. */
static const struct unit_test *const all[] = {
	unit_state, unit_damage, unit_errors, unit_maps,
};

static bool wanted(const struct unit_test *test, const char *name)
{
	return !strcmp(name, "all") || !strcmp(name, test->name);
}

static void run(const struct unit_test *test, u64 seed)
{
	puts(test->name);
	fflush(stdout);
	fake_seed(seed);
	test->run();
	check(!fake_allocated(), "%u pieces of memory have leaked", fake_allocated());
}

int main(int argc, char **argv)
{
	u64 seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	const struct unit_test *test;
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		for (test = all[i]; test->name; test++) {
			if (argc == 1) {
				puts(test->name);
			} else if (wanted(test, argv[1])) {
				run(test, seed);
				n++;
			}
		}
	}
	return argc > 1 && !n ? 2 : 0;
}
