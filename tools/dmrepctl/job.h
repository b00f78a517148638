/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_JOB_H
#define DMREPCTL_JOB_H

#include "command.h"
#include "device.h"

extern const struct option_spec mounted_options[], stop_options[], failover_options[];

enum outcome start_command(const struct invocation *in);
enum outcome checkpoint_command(const struct invocation *in);
enum outcome failover_command(const struct invocation *in);
enum outcome stop_command(const struct invocation *in);
enum outcome get_error_command(const struct invocation *in);
enum outcome clear_error_command(const struct invocation *in);

/* The device that is named, which takes messages. */
enum outcome get_recipient(const struct invocation *in, struct device *device);

/* The target takes it as done; a warning says so. */
bool nothing_to_do(const struct device *device);

/*
 * Wait for the end of a view's merge, with progress; the device has its status from then on. An
 * interruption, which leaves the merge alone, and a merge that fails are errors, and said.
 */
enum outcome follow_merge(struct device *device);

/* Of a view that is done: an error, which is said, if the disk may lack something of the merge. */
enum outcome check_rolled_back(const struct device *device);

#endif
