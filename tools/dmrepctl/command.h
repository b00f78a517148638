/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands: one table of them, in command.c, from which the command line is parsed
 * and all help is printed.
 */
#ifndef DMREPCTL_COMMAND_H
#define DMREPCTL_COMMAND_H

#include "error.h"

struct option_spec {
	const char *name;	/* --name */
	char letter;		/* -l, or 0 */
	const char *value;	/* what it takes, for the help; NULL: nothing */
	const char *summary;
};

/* So many options a command may have. */
#define MAX_OPTIONS	24
#define ANY_NUMBER	(-1)

struct invocation;

struct command {
	const char *name;	/* of one word or two */
	const char *usage;	/* the arguments, for the help */
	const char *summary;
	int min, max;		/* arguments */
	const struct option_spec *options;	/* the last one has no name; or NULL */
	enum outcome (*run)(const struct invocation *in);
};

/* What was asked for. */
struct invocation {
	const struct command *command;
	const char *values[MAX_OPTIONS];	/* "" if it takes none; NULL: not given */
	int argc;
	char **argv;				/* the arguments, without options */
};

/* Parse and run, argv[0] being the name of the command. */
enum outcome run_command(int argc, char **argv);

/* What was given for --name; NULL if it was not. */
const char *option(const struct invocation *in, const char *name);

static inline bool has_option(const struct invocation *in, const char *name)
{
	return option(in, name);
}

/* An option as who gave it knows it: --chunk-size, or chunk_size in a file. */
#define LABEL_BYTES	32
const char *option_label(const char *name, char text[LABEL_BYTES]);

/* One without a value: --force, or force = 1 in a file. */
const char *flag_label(const char *name, char text[LABEL_BYTES]);

enum outcome missing_option(const struct invocation *in, const char *name);

enum outcome help_command(const struct invocation *in);
enum outcome version_command(const struct invocation *in);

#endif
