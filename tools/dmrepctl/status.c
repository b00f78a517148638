// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands status and list.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library.h"
#include "progress.h"
#include "report.h"
#include "status.h"
#include "watch.h"

#define WATCH_INTERVAL	1000	/* milliseconds */

#define STATUS_FIELDS	"name,mode,stage,epoch,active,hidden,progress,sync,dirty_regions," \
			"metadata,error,top"
#define LIST_FIELDS	"name,mode,stage,size,device,open,top"

const struct option_spec report_options[] = {
	{ "watch", 'w', NULL, "again and again, as things change" },
	{ "options", 'o', "FIELDS", "these fields, or help; +FIELDS: these too" },
	{ "sort", 'O', "FIELDS", "by these fields; -FIELD: downwards" },
	{ "select", 'S', "SELECTION", "only devices of which this is true" },
	{ "noheadings", 0, NULL, "without the line of headings" },
	{ "separator", 0, "STRING", "between fields, which are not aligned" },
	{ "units", 0, "UNIT", "of sizes: h, b, s, k, m, g, t, p, e" },
	{ "nosuffix", 0, NULL, "sizes without their unit" },
	{ "reportformat", 0, "FORMAT", "basic or json" },
	{ 0 }
};

/* Whether the list has the field. libdevmapper takes fields in either case. */
static bool has_field(const char *fields, const char *field, size_t len)
{
	size_t n;

	for (; *fields; fields += n + !!fields[n]) {
		n = strcspn(fields, ",");
		if (n == len && !strncasecmp(fields, field, len))
			return true;
	}
	return false;
}

static bool asks_for_help(const char *fields)
{
	return fields && (has_field(fields, "help", 4) || has_field(fields, "?", 1));
}

/* A field is shown once, however often it is given. */
static void add_fields(char *all, const char *fields)
{
	size_t n, len = strlen(all);

	for (; *fields; fields += n + !!fields[n]) {
		n = strcspn(fields, ",");
		if (n && !has_field(all, fields, n))
			len += sprintf(all + len, "%s%.*s", len ? "," : "", (int)n, fields);
	}
}

/* "+top" is what is there anyway, and the top. In memory of its own. */
static char *chosen_fields(const char *fields, const char *usual)
{
	bool more = fields && *fields == '+';
	char *all;

	/* It has the usual ones too. */
	if (more && has_field(fields + 1, "all", 3))
		return strdup("all");
	all = calloc(1, strlen(usual) + (fields ? strlen(fields) : 0) + 2);
	if (!all)
		return NULL;
	if (!fields || more)
		add_fields(all, usual);
	if (fields)
		add_fields(all, fields + more);
	return all;
}

/* For people: what fits on their screen. Others get the same, whatever there is. */
static void fit_terminal(const struct invocation *in, struct report_options *options)
{
	const char *no = getenv("NO_COLOR");

	if (!isatty(STDOUT_FILENO) || options->separator)
		return;
	options->colour = !(no && *no);
	options->columns = terminal_columns();
	options->compact = !has_option(in, "options");
}

static enum outcome parse_report_options(const struct invocation *in, const char *usual,
					 struct report_options *options)
{
	const char *sort = option(in, "sort"), *format = option(in, "reportformat");
	const char *units = option(in, "units");

	options->sort = sort ? sort : "name";
	options->select = option(in, "select");
	options->separator = option(in, "separator");
	options->units = units ? units : "h";
	options->headings = !has_option(in, "noheadings");
	options->suffix = !has_option(in, "nosuffix");
	if (format && strcmp(format, "json") && strcmp(format, "basic"))
		return error(WRONG_USAGE, "--reportformat %s: there are basic and json", format);
	options->json = format && !strcmp(format, "json");
	fit_terminal(in, options);
	options->fields = chosen_fields(option(in, "options"), usual);
	if (!options->fields)
		return out_of_memory();
	if (*options->fields)
		return DONE;
	free((void *)options->fields);
	return error(WRONG_USAGE, "--options %s: there is no field in it; dmrepctl status -o help tells the fields",
		     option(in, "options"));
}

/* Those of the list that have been named; all, if none has. */
static enum outcome choose_devices(const struct invocation *in, const struct device_list *all,
				   struct device_list *chosen)
{
	struct device device;
	enum outcome outcome = DONE, one;
	int i;

	chosen->n = 0;
	chosen->devices = calloc(all->n + in->argc + 1, sizeof(*chosen->devices));
	if (!chosen->devices)
		return out_of_memory();
	if (!in->argc) {
		if (all->n)
			memcpy(chosen->devices, all->devices, all->n * sizeof(*all->devices));
		chosen->n = all->n;
	}
	for (i = 0; i < in->argc; i++) {
		one = get_device(in->argv[i], &device);
		if (one)
			outcome = one;
		else
			chosen->devices[chosen->n++] = device;
	}
	return outcome;
}

/* None may mean that nothing was set up, or that nothing can be. */
static enum outcome check_loaded(const struct invocation *in, const struct device_list *all)
{
	u32 version[3];

	if (in->argc || all->n || target_version(version))
		return DONE;
	return error(FAILED, "the module dm-replication is not loaded, so there are no devices; modprobe dm-replication loads it, and so do dmrepctl create and dmrepctl up");
}

static enum outcome report_devices(const struct invocation *in,
				   const struct report_options *options)
{
	struct device_list all = { 0 }, chosen = { 0 };
	enum outcome outcome, printed;

	outcome = list_devices(&all);
	if (outcome)
		return outcome;
	outcome = check_loaded(in, &all);
	if (!outcome)
		outcome = choose_devices(in, &all, &chosen);
	/* Of those that are, even if another is not. */
	if (chosen.n || !outcome) {
		printed = print_report(options, &chosen, &all);
		outcome = printed ? printed : outcome;
	}
	free_devices(&chosen);
	free_devices(&all);
	return outcome;
}

/*
 * At each event, and each second, for what the stores hold changes without. On a terminal
 * in the same place.
 */
static enum outcome watch_devices(const struct invocation *in,
				  const struct report_options *options)
{
	struct watch watch;
	enum outcome outcome = watch_open(&watch);
	bool first = true;

	if (outcome)
		return outcome;
	while (!outcome) {
		if (isatty(STDOUT_FILENO))
			printf("\033[H\033[2J");
		else if (!first && !options->json)
			putchar('\n');
		first = false;
		outcome = watch_arm(&watch);
		if (!outcome)
			outcome = report_devices(in, options);
		/* Nobody reads any more. */
		if (fflush(stdout))
			break;
		if (!outcome)
			outcome = watch_wait(&watch, WATCH_INTERVAL);
	}
	watch_close(&watch);
	return outcome;
}

static enum outcome report_command(const struct invocation *in, const char *usual)
{
	struct report_options options = { 0 };
	enum outcome outcome = parse_report_options(in, usual, &options);

	if (outcome)
		return outcome;
	if (asks_for_help(options.fields) || asks_for_help(options.sort) ||
	    asks_for_help(options.select)) {
		print_fields();
	} else {
		outcome = devices_available();
		if (!outcome && has_option(in, "watch"))
			outcome = watch_devices(in, &options);
		else if (!outcome)
			outcome = report_devices(in, &options);
	}
	free((void *)options.fields);
	return outcome;
}

enum outcome status_command(const struct invocation *in)
{
	return report_command(in, STATUS_FIELDS);
}

enum outcome list_command(const struct invocation *in)
{
	return report_command(in, LIST_FIELDS);
}
