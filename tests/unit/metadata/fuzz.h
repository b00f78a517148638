/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzer's input is: a byte of flags, the superblock's sector, and the map
 * sectors, so far as there are any. The rest of the disk is zeroes.
 */
#ifndef METADATA_FUZZ_H
#define METADATA_FUZZ_H

#define FUZZ_LEN	0x03	/* which of the lengths */
#define FUZZ_SEAL_SUPER	0x04	/* put the checksums right */
#define FUZZ_SEAL_MAPS	0x08
#define FUZZ_IDENTITY	0x10	/* put right for whom it is */
#define FUZZ_NO_VIEW	0x20	/* the view has no UUID */
#define FUZZ_RAW	0x40	/* the input has all sectors of block 0 */

/* In sectors: chunks of 4 KiB in 1, 1, 9 and 20 map sectors. */
#define FUZZ_LENGTHS	{ 1, 8 * 1984, 8 * 8 * 1984 + 8 * 64 - 1, 8 * 20 * 1984 - 8 }

#endif
