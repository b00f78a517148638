/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_DUMP_H
#define DMREPCTL_DUMP_H

#include "command.h"

extern const struct option_spec check_options[], dump_options[];

enum outcome check_command(const struct invocation *in);
enum outcome dump_command(const struct invocation *in);

/*
 * What is wrong with the metadata in @fd, a device or file of so many sectors: each
 * thing is given to @tell. How many there are; 0: it is good, or new.
 */
u64 check_metadata_file(int fd, u64 sectors, void (*tell)(void *context, const char *what),
			void *context);

#endif
