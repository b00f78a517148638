/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TESTS_DMREPCTL_WRAP_H
#define TESTS_DMREPCTL_WRAP_H

#include "rig.h"

/* The tool's: tools/dmrepctl/dump.h, whose types have the names of others here. */
u64 check_metadata_file(int fd, u64 sectors, void (*tell)(void *context, const char *what),
			void *context);

/* tests/unit/metadata/fuzz.c */
int fuzz_one(const u8 *data, size_t size);

/* How often it has been looked at. */
extern unsigned long nr_damaged, nr_good;

/* What the linker makes of calls of these functions from other files than rig.c. */
int __real_rig_open(struct rig *rig);
int __wrap_rig_open(struct rig *rig);
int __real_rig_load(struct rig *rig);
int __wrap_rig_load(struct rig *rig);
void __real_rig_refused(struct rig *rig, int error, const char *why);
void __wrap_rig_refused(struct rig *rig, int error, const char *why);
void __real_rig_reopen(struct rig *rig);
void __wrap_rig_reopen(struct rig *rig);

#endif
