/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_TYPES_H
#define DMREPCTL_TYPES_H

#include <stdbool.h>
#include <stddef.h>

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SECTOR_BYTES	512U
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define FORMAT_PRINTF(a, b)	__attribute__((__format__(__printf__, a, b)))

#endif
