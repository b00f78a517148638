/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sizes as people write them.
 */
#ifndef DMREPCTL_UNITS_H
#define DMREPCTL_UNITS_H

#include "types.h"

/*
 * "4096", "4096b", "8s", "64K", "1.5G", "4KiB": a number of bytes. s is for sectors;
 * k to e, in either case, for powers of 1024. False if it is not, or is no whole
 * number of bytes.
 */
bool parse_size(const char *text, u64 *bytes);

/* Of a size for people: "66.1 MiB", "4 KiB", "512 B" */
#define SIZE_TEXT_BYTES	32
const char *format_size(u64 bytes, char text[SIZE_TEXT_BYTES]);

/* "14 s", "3 min 20 s", "2 h 5 min" */
const char *format_duration(u64 seconds, char text[SIZE_TEXT_BYTES]);

#endif
