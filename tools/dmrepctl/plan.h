/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a view or a primary is to be like. It is planned in three steps, of which each
 * touches more than the one before, and none changes anything: what was asked for makes
 * sense; the devices are there; they may be used. Then it can be made.
 */
#ifndef DMREPCTL_PLAN_H
#define DMREPCTL_PLAN_H

#include "command.h"
#include "device.h"
#include "signature.h"

#define MAX_PLANNED	4	/* devices */
#define MAX_TABLE_WORDS	8	/* of the options in a table */

/* The first device of each kind; it can be missing. */
#define PLAN_METADATA	0

struct plan;

/* In what it is counted where data is, as the target takes it. */
struct unit {
	const char *option, *plural;
	u32 min, max, usual;	/* sectors */
	u64 max_number;
};

struct plan_kind {
	const char *name;			/* "secondary" */
	const char *uuid;			/* "SECONDARY" */
	enum mode mode;
	const struct option_spec *options;	/* of the command that creates one */
	const char *roles[MAX_PLANNED];		/* options too; in the table's order */
	unsigned int nr_devices;
	unsigned int may_be_none;		/* a bit for each of them */
	unsigned int disk;			/* whose length it has; if there is none, */
	unsigned int second_disk;		/* the length of this one */
	struct unit unit;
	/* The words of the table's options. */
	enum outcome (*parse)(const struct invocation *in, struct plan *plan);
	/* Whether they go together: sizes, and what there is to warn of. */
	enum outcome (*check_devices)(const struct plan *plan);
	/* Of what is not known already: whether it may be overwritten. */
	enum outcome (*check_contents)(const struct plan *plan);
};

struct plan {
	const struct plan_kind *kind;
	const char *name;
	struct block_device devices[MAX_PLANNED];	/* without a path: there is none */
	u32 unit_sectors;
	const char *words[MAX_TABLE_WORDS];
	unsigned int nr_words;
	bool force, insync;
	u64 size;				/* sectors that were asked for; 0: none */
	u64 len;				/* sectors */
	bool comes_back;			/* the metadata has it, */
	bool was_done;				/* and that it was in stage done */
	char uuid[UUID_BYTES];
};

enum outcome plan_parse(const struct invocation *in, const struct plan_kind *kind,
			struct plan *plan);
enum outcome plan_look(struct plan *plan);
enum outcome plan_check(struct plan *plan);
enum outcome plan_make(const struct plan *plan);

/* As the target takes it, with paths; or as it shows it, with numbers of devices. */
void plan_table(const struct plan *plan, bool numbers, char table[TABLE_BYTES]);

/* The disk that the length is of, if nothing else says how long it is. */
const struct block_device *plan_disk(const struct plan *plan);

/* For whatever is created. */
enum outcome check_name(const char *name);
enum outcome check_name_is_free(const char *name);
void new_uuid(const char *mode, char uuid[UUID_BYTES]);
void add_device(char *table, const struct block_device *device, bool number);

#endif
