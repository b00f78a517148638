/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why the target has refused something: the system call has an errno, the kernel's log
 * a sentence.
 */
#ifndef DMREPCTL_KERNEL_LOG_H
#define DMREPCTL_KERNEL_LOG_H

#include "types.h"

/* What is logged from now on is for kernel_log_reason(). */
void kernel_log_begin(void);

/*
 * The first sentence since then, of the target, or else of device-mapper's core; false:
 * there is none, or no log.
 */
bool kernel_log_reason(char *reason, size_t len);

/* The sentence of a line of the log, by itself; NULL: the line is not the target's. */
char *reason_of_line(char *line);

/* The same of device-mapper's core, which refuses what does not fit a device below. */
char *core_reason_of_line(char *line);

#endif
