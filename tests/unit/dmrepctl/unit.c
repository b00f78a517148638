// SPDX-License-Identifier: GPL-2.0-only
/*
 * unit - test the parts of dmrepctl that ask no device. Without an argument it lists
 * the tests' names; with one, it runs that test. Exit status: 0, or it aborts.
 */
#include "test.h"

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "events", test_events },
	{ "kernel-log", test_kernel_log },
	{ "metrics", test_metrics },
	{ "progress", test_progress },
	{ "report", test_report },
	{ "status-line", test_status_line },
	{ "units", test_units },
};

int main(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (argc == 1) {
			puts(tests[i].name);
		} else if (!strcmp(tests[i].name, argv[1])) {
			tests[i].run();
			return 0;
		}
	}
	return argc > 1 ? 2 : 0;
}
