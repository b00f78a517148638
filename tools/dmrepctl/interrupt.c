// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/time.h>

#include "interrupt.h"

static atomic_bool interrupted;

static void on_signal(int signal)
{
	/* SIGALRM only ends a wait, so that progress is shown. */
	if (signal != SIGALRM)
		interrupted = true;
}

/* Without SA_RESTART, for a wait is to end. */
void catch_signals(unsigned int interval)
{
	static const int signals[] = { SIGALRM, SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval timer = {
		.it_interval = { .tv_sec = interval / 1000000, .tv_usec = interval % 1000000 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
	timer.it_value = timer.it_interval;
	setitimer(ITIMER_REAL, &timer, NULL);
}

void stop_timer(void)
{
	struct itimerval timer = { 0 };

	setitimer(ITIMER_REAL, &timer, NULL);
}

bool is_interrupted(void)
{
	return interrupted;
}
