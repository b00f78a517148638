/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For those who wait: signals that end a wait, by the clock or by whoever is tired of it.
 */
#ifndef DMREPCTL_INTERRUPT_H
#define DMREPCTL_INTERRUPT_H

#include "types.h"

/* From now on a system call that waits ends every so many microseconds, and by a signal. */
void catch_signals(unsigned int interval);
void stop_timer(void);

/* Somebody wants us to end. */
bool is_interrupted(void);

#endif
