// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "create.h"
#include "device.h"
#include "dump.h"
#include "events.h"
#include "job.h"
#include "library.h"
#include "metrics.h"
#include "resync.h"
#include "status.h"
#include "swap.h"
#include "up.h"

static const struct command commands[] = {
	{ "status", "[NAME...]", "show how devices do",
	  0, ANY_NUMBER, report_options, status_command },
	{ "list", "[NAME...]", "show what devices there are",
	  0, ANY_NUMBER, report_options, list_command },
	{ "events", "", "show what changes, as it happens",
	  0, 0, events_options, events_command },
	{ "metrics", "", "print what Prometheus may want to know",
	  0, 0, metrics_options, metrics_command },
	{ "create secondary", "NAME", "make a view",
	  1, 1, create_secondary_options, create_secondary_command },
	{ "create ingress", "NAME", "make an ingress of a view",
	  1, 1, create_ingress_options, create_ingress_command },
	{ "create primary", "NAME", "make a primary",
	  1, 1, create_primary_options, create_primary_command },
	{ "start", "NAME", "begin to replicate, after --manual-start",
	  1, 1, NULL, start_command },
	{ "checkpoint", "NAME", "move the view to what the primary has written",
	  1, 1, mounted_options, checkpoint_command },
	{ "failover", "NAME", "make the view's content the disk",
	  1, 1, failover_options, failover_command },
	{ "stop", "NAME", "end, with what the primary has written",
	  1, 1, stop_options, stop_command },
	{ "resync", "NAME", "copy to a replica what it lacks",
	  1, 1, resync_options, resync_command },
	{ "resync-rate", "NAME RATE", "limit what is copied a second",
	  2, 2, NULL, resync_rate_command },
	{ "swap-replica", "NAME DEVICE", "give a primary another replica",
	  2, 2, swap_options, swap_replica_command },
	{ "swap-metadata", "NAME DEVICE", "replace a primary's metadata device that has failed",
	  2, 2, swap_metadata_options, swap_metadata_command },
	{ "abandon-metadata", "NAME", "let a primary go on without its metadata device",
	  1, 1, abandon_options, abandon_metadata_command },
	{ "get-error", "NAME", "print the worst error; fail if there is one",
	  1, 1, NULL, get_error_command },
	{ "clear-error", "NAME", "forget the errors, when their causes are gone",
	  1, 1, NULL, clear_error_command },
	{ "up", "[NAME...]", "make what dmrepctl.conf describes",
	  0, ANY_NUMBER, up_options, up_command },
	{ "down", "[NAME...]", "remove what dmrepctl.conf describes",
	  0, ANY_NUMBER, down_options, down_command },
	{ "remove", "NAME...", "remove devices, ingresses first",
	  0, ANY_NUMBER, remove_options, remove_command },
	{ "format", "DEVICE", "make it a new metadata device",
	  1, 1, format_options, format_command },
	{ "check", "DEVICE...", "look whether metadata is good",
	  1, ANY_NUMBER, check_options, check_command },
	{ "dump", "DEVICE", "show what is on a metadata device",
	  1, 1, dump_options, dump_command },
	{ "help", "[COMMAND]", "say what there is, or what a command takes",
	  0, 2, NULL, help_command },
	{ "version", "", "print the version", 0, 0, NULL, version_command },
};

static unsigned int nr_options(const struct command *command)
{
	unsigned int n = 0;

	while (command->options && command->options[n].name)
		n++;
	assert(n <= MAX_OPTIONS);
	return n;
}

const char *option(const struct invocation *in, const char *name)
{
	const struct option_spec *specs = in->command->options;
	unsigned int i;

	for (i = 0; i < nr_options(in->command); i++)
		if (!strcmp(specs[i].name, name))
			return in->values[i];
	return NULL;
}

const char *option_label(const char *name, char text[LABEL_BYTES])
{
	char *c;

	snprintf(text, LABEL_BYTES, "%s%s", error_is_about_file() ? "" : "--", name);
	for (c = text; error_is_about_file() && *c; c++)
		if (*c == '-')
			*c = '_';
	return text;
}

const char *flag_label(const char *name, char text[LABEL_BYTES])
{
	option_label(name, text);
	if (error_is_about_file())
		strncat(text, " = 1", LABEL_BYTES - strlen(text) - 1);
	return text;
}

enum outcome missing_option(const struct invocation *in, const char *name)
{
	const char *command = in->command->name;

	if (error_is_about_file())
		return error(WRONG_USAGE, "%s is missing; see dmrepctl.conf(5)", name);
	return error(WRONG_USAGE, "%s: --%s is missing; see dmrepctl help %s", command, name,
		     command);
}

/*
 * Finding a command
 */

/* How many of the words are its name; 0: it is another one. */
static int words_of(const struct command *command, int argc, char **argv)
{
	size_t len = strlen(argv[0]);

	if (strncmp(command->name, argv[0], len))
		return 0;
	if (!command->name[len])
		return 1;
	return argc > 1 && command->name[len] == ' ' &&
		!strcmp(command->name + len + 1, argv[1]) ? 2 : 0;
}

static const struct command *find_command(int argc, char **argv, int *words)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		*words = words_of(&commands[i], argc, argv);
		if (*words)
			return &commands[i];
	}
	return NULL;
}

/* Of the commands of two words that begin with this one. */
static bool begins_commands(const char *word)
{
	size_t len = strlen(word);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strncmp(commands[i].name, word, len) && commands[i].name[len] == ' ')
			return true;
	return false;
}

static enum outcome unknown_command(int argc, char **argv)
{
	unsigned int i;

	if (!begins_commands(argv[0]))
		return error(WRONG_USAGE, "there is no command %s; see dmrepctl help", argv[0]);
	error(WRONG_USAGE, argc > 1 ? "%s %s: there is no such command" : "%s: what?",
	      argv[0], argc > 1 ? argv[1] : "");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strncmp(commands[i].name, argv[0], strlen(argv[0])))
			error(WRONG_USAGE, "there is: %s", commands[i].name);
	return WRONG_USAGE;
}

/*
 * Parsing
 */

#define FIRST_LONG	256	/* behind all letters */

/* What getopt_long() takes: the options of the command, and --help. */
static void getopt_tables(const struct command *command, struct option *longs, char *letters)
{
	unsigned int i, n = nr_options(command);

	*letters++ = ':';
	*letters++ = 'h';
	for (i = 0; i < n; i++) {
		const struct option_spec *spec = &command->options[i];

		longs[i] = (struct option){
			.name = spec->name,
			.has_arg = spec->value ? required_argument : no_argument,
			.val = FIRST_LONG + i,
		};
		if (spec->letter)
			*letters++ = spec->letter;
		if (spec->letter && spec->value)
			*letters++ = ':';
	}
	*letters = '\0';
	longs[n] = (struct option){ .name = "help", .val = 'h' };
	longs[n + 1] = (struct option){ 0 };
}

/* The number of the option that getopt_long() has found, or -1. */
static int option_number(const struct command *command, int c)
{
	unsigned int i;

	if (c >= FIRST_LONG)
		return c - FIRST_LONG;
	for (i = 0; i < nr_options(command); i++)
		if (command->options[i].letter == c)
			return i;
	return -1;
}

/* @word is the last one that getopt_long() has done with. */
static enum outcome bad_option(const struct command *command, int c, const char *word)
{
	char letter[] = { '-', optopt, '\0' };
	bool is_short = optopt > 0 && optopt < FIRST_LONG;
	const char *what = c == ':' ? "needs a value" :
		is_short ? "there is no such option" :
		strchr(word, '=') ? "there is no such option, or it takes no value" :
		"there is no such option, or it is short for several";

	return error(WRONG_USAGE, "%s: %s: %s; see dmrepctl help %s", command->name,
		     is_short ? letter : word, what, command->name);
}

static enum outcome set_option(struct invocation *in, int c)
{
	const struct command *command = in->command;
	int nr = option_number(command, c);
	const struct option_spec *spec = &command->options[nr];

	if (in->values[nr] && spec->value)
		return error(WRONG_USAGE, "%s: --%s is given twice", command->name, spec->name);
	in->values[nr] = spec->value ? optarg : "";
	return DONE;
}

static enum outcome check_arguments(const struct invocation *in)
{
	const struct command *command = in->command;

	if (in->argc < command->min)
		return error(WRONG_USAGE, "%s: something is missing; it takes: %s", command->name,
			     command->usage);
	if (command->max != ANY_NUMBER && in->argc > command->max)
		return error(WRONG_USAGE, "%s: %s is one too many; it takes: %s", command->name,
			     in->argv[command->max],
			     command->usage[0] ? command->usage : "nothing");
	return DONE;
}

static void print_help(const struct command *command);

/* @argv[0] is the last word of the command. */
static enum outcome parse(struct invocation *in, int argc, char **argv, bool *help)
{
	struct option longs[MAX_OPTIONS + 2];
	char letters[2 * MAX_OPTIONS + 3];
	enum outcome outcome = DONE;
	int c;

	getopt_tables(in->command, longs, letters);
	optind = 1;
	while (!outcome && (c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (c == 'h')
			*help = true;
		else if (c == ':' || c == '?')
			outcome = bad_option(in->command, c, argv[optind - 1]);
		else
			outcome = set_option(in, c);
	}
	in->argc = argc - optind;
	in->argv = argv + optind;
	return outcome || *help ? outcome : check_arguments(in);
}

static bool asks_for_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

enum outcome run_command(int argc, char **argv)
{
	struct invocation in = { 0 };
	enum outcome outcome;
	bool help = false;
	int words;

	if (asks_for_help(argv[0]))
		argv[0] = "help";
	if (argc > 1 && asks_for_help(argv[1]) && begins_commands(argv[0])) {
		argv[1] = argv[0];
		argv[0] = "help";
	}
	if (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-V"))
		argv[0] = "version";
	in.command = find_command(argc, argv, &words);
	if (!in.command)
		return unknown_command(argc, argv);
	outcome = parse(&in, argc - words + 1, argv + words - 1, &help);
	if (outcome)
		return outcome;
	if (help) {
		print_help(in.command);
		return DONE;
	}
	return in.command->run(&in);
}

/*
 * Help
 */

static void print_option(const struct option_spec *spec)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", spec->name, spec->value ? " " : "",
		 spec->value ? spec->value : "");
	if (spec->letter)
		printf("  -%c, ", spec->letter);
	else
		printf("      ");
	printf("%-24s %s\n", left, spec->summary);
}

static void print_help(const struct command *command)
{
	unsigned int i;

	printf("Usage: dmrepctl %s%s%s%s\n\n", command->name, nr_options(command) ? " [OPTIONS]" : "",
	       command->usage[0] ? " " : "", command->usage);
	printf("To %s.\n", command->summary);
	if (nr_options(command))
		puts("\nOptions:");
	for (i = 0; i < nr_options(command); i++)
		print_option(&command->options[i]);
}

static void print_commands(void)
{
	char left[64];
	unsigned int i;

	puts("Usage: dmrepctl COMMAND [OPTIONS] [ARGUMENTS]\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		snprintf(left, sizeof(left), "%s%s%s", commands[i].name,
			 commands[i].usage[0] ? " " : "", commands[i].usage);
		printf("  %-26s %s\n", left, commands[i].summary);
	}
	puts("\ndmrepctl help COMMAND tells its options.");
	puts("Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused for safety.");
}

enum outcome help_command(const struct invocation *in)
{
	const struct command *command;
	unsigned int i;
	int words;

	if (!in->argc) {
		print_commands();
		return DONE;
	}
	command = find_command(in->argc, in->argv, &words);
	if (command && words == in->argc) {
		print_help(command);
		return DONE;
	}
	if (command || !begins_commands(in->argv[0]) || in->argc > 1)
		return error(WRONG_USAGE, "there is no command %s%s%s; see dmrepctl help",
			     in->argv[0], in->argc > 1 ? " " : "", in->argc > 1 ? in->argv[1] : "");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strncmp(commands[i].name, in->argv[0], strlen(in->argv[0])))
			print_help(&commands[i]);
	return DONE;
}

enum outcome version_command(const struct invocation *in)
{
	u32 target[3];

	(void)in;
	puts("dmrepctl " DMREPCTL_VERSION);
	/* Who is not root does not hear of it. */
	library_init();
	if (target_version(target))
		printf("target   %u.%u.%u\n", target[0], target[1], target[2]);
	return DONE;
}
