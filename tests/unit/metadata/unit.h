/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef METADATA_UNIT_H
#define METADATA_UNIT_H

#include "rig.h"

/* Each runs in a process of its own; it returns if it has passed. */
struct unit_test {
	const char *name;
	void (*run)(void);
};

/* The last one has no name. */
extern const struct unit_test unit_state[];
extern const struct unit_test unit_damage[];
extern const struct unit_test unit_maps[];
extern const struct unit_test unit_errors[];

#endif
