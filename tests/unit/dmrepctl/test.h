/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TESTS_DMREPCTL_TEST_H
#define TESTS_DMREPCTL_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "types.h"

/* What has to be true: else the program ends here, with words. */
#define check(what, ...) do {						\
	if (!(what)) {							\
		fflush(stdout);						\
		fprintf(stderr, "%s:%d: not true: %s", __FILE__, __LINE__, #what);	\
		fprintf(stderr, ": " __VA_ARGS__);			\
		fputc('\n', stderr);					\
		abort();						\
	}								\
} while (0)

void test_events(void);
void test_kernel_log(void);
void test_metrics(void);
void test_progress(void);
void test_report(void);
void test_status_line(void);
void test_units(void);

#endif
