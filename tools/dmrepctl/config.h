/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files that describe what dmrepctl up makes, in libdevmapper's format: a section
 * for each view and primary, whose keys are the options of the command that creates one.
 */
#ifndef DMREPCTL_CONFIG_H
#define DMREPCTL_CONFIG_H

#include "plan.h"

#define CONFIG_FILE	"/etc/dmrepctl.conf"
#define CONFIG_FILES	"/etc/dmrepctl.conf.d/*.conf"

#define MAX_INGRESSES	8	/* of a view */

struct section {
	struct section *next;		/* in the order in which they are made */
	const char *file, *name;
	struct plan plan;
	char *ingresses[MAX_INGRESSES];
	unsigned int nr_ingresses;
	/* Of it as an invocation: */
	struct command command;
	struct invocation in;
	char *argv[2];
	/* For those who read it: */
	bool chosen;
	enum outcome outcome;
};

struct config {
	struct section *sections;
	struct dm_config_tree **trees;	/* all memory is theirs */
	unsigned int nr_trees;
};

/* Whether there may be any of those in /etc. */
bool config_exists(void);

/*
 * Read a file; if it is NULL, those in /etc. All of it makes sense, or there is an error.
 * What is there has to be freed in any case.
 */
enum outcome config_read(struct config *config, const char *file);
void config_free(struct config *config);

#endif
