/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the target says of itself: the line that dmsetup status prints, parsed.
 * Documentation/replication.rst has the fields. A pure function: no device is asked.
 */
#ifndef DMREPCTL_STATUS_LINE_H
#define DMREPCTL_STATUS_LINE_H

#include "types.h"

enum mode {
	MODE_SECONDARY,
	MODE_INGRESS,
	MODE_PRIMARY,
};

enum stage {
	STAGE_NONE,
	STAGE_RUNNING,
	STAGE_FAILOVER,
	STAGE_FAILOVER_FAILED,
	STAGE_DONE,
};

/* Of a word of the line, with the zero behind it. */
#define WORD_BYTES	32

struct status_line {
	enum mode mode;
	enum stage stage;

	/* secondary */
	u64 epoch;
	u64 chunk_sectors;
	u64 active_chunks, hidden_chunks, total_chunks;
	u64 merged, to_merge;

	/* secondary, primary; "-" for none */
	char metadata[WORD_BYTES];
	char error[WORD_BYTES];

	/* ingress */
	bool fenced;
	u32 top_major, top_minor;

	/* primary */
	char sync[WORD_BYTES];
	u64 dirty_regions, total_regions;
};

const char *mode_name(enum mode mode);
const char *stage_name(enum stage stage);

/*
 * Parse what the target says, without start, length and name. Fields behind those that
 * are known are not looked at, for later versions append. False: it is not like that,
 * with a sentence in @why.
 */
bool parse_status_line(const char *line, struct status_line *status, char *why, size_t len);

#endif
