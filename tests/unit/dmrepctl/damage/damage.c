// SPDX-License-Identifier: GPL-2.0-only
/*
 * damage - whatever the tests of metadata.c make, dmrepctl check says of it what the
 * target says: damage SEED
 *
 * tests/unit/metadata/unit-damage.c is run as it is; compare.c comes in between.
 */
#include <stdlib.h>

#include "unit.h"
#include "wrap.h"

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	const struct unit_test *test;

	for (test = unit_damage; test->name; test++) {
		fake_seed(seed);
		test->run();
		printf("%s: so far %lu damaged, %lu good\n", test->name, nr_damaged, nr_good);
		fflush(stdout);
	}
	return 0;
}
