// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints how many thousand times a second this machine's time stamp counter counts. Prints
 * nothing, and fails, where there is none.
 *
 * An emulated machine has the same counter. Its kernel would compare it with an emulated
 * timer, and be wrong by far if this machine has other things to do at that moment.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#ifdef __x86_64__
#include <x86intrin.h>

#define ATTEMPTS	100

/* The counter and the clock, in ns, at the same time: what took least long to read. */
static void now(uint64_t *ticks, uint64_t *ns)
{
	uint64_t begin, took, least = UINT64_MAX;
	struct timespec ts;
	int i;

	for (i = 0; i < ATTEMPTS; i++) {
		begin = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		took = __rdtsc() - begin;
		if (took >= least)
			continue;
		least = took;
		*ticks = begin + took / 2;
		*ns = ts.tv_sec * 1000000000ULL + ts.tv_nsec;
	}
}

int main(void)
{
	const struct timespec wait = { .tv_nsec = 100000000 };
	uint64_t ticks[2], ns[2];

	now(&ticks[0], &ns[0]);
	nanosleep(&wait, NULL);
	now(&ticks[1], &ns[1]);
	printf("%.0f\n", (ticks[1] - ticks[0]) * 1e6 / (ns[1] - ns[0]));
	return 0;
}
#else
int main(void)
{
	return 1;
}
#endif
