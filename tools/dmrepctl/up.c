// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands up and down: what the files describe is made, each device by itself, or
 * removed, all or nothing.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "create.h"
#include "units.h"
#include "up.h"

#define MAX_WORDS	32

const struct option_spec up_options[] = {
	{ "config", 0, "FILE", "instead of /etc/dmrepctl.conf" },
	{ "dry-run", 'n', NULL, "only print what would be made" },
	{ 0 }
};

const struct option_spec down_options[] = {
	{ "config", 0, "FILE", "instead of /etc/dmrepctl.conf" },
	{ "force", 'f', NULL, "even if the view's data is lost with it" },
	{ 0 }
};

/*
 * Choosing
 */

static enum outcome not_described(const struct config *config, const char *name)
{
	const struct section *section;
	char names[512] = "nothing";
	size_t len = 0;

	for (section = config->sections; section && len < sizeof(names); section = section->next)
		len += snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
				section->name);
	return error(FAILED, "%s: it is not described; there is %s", name, names);
}

static enum outcome choose(struct config *config, const char *name)
{
	struct section *section;

	for (section = config->sections; section; section = section->next)
		if (!strcmp(section->name, name))
			break;
	if (!section)
		return not_described(config, name);
	section->chosen = true;
	return DONE;
}

static enum outcome read_and_choose(struct config *config, const struct invocation *in)
{
	enum outcome outcome = config_read(config, option(in, "config"));
	struct section *section;
	int i;

	for (section = config->sections; section; section = section->next)
		section->chosen = !in->argc;
	for (i = 0; !outcome && i < in->argc; i++)
		outcome = choose(config, in->argv[i]);
	return outcome ? outcome : devices_available();
}

/*
 * What is up already
 */

/* <mode> <device>... <unit> [<#options> <option>...] */
struct words {
	char text[TABLE_BYTES];
	char *at[MAX_WORDS];
	unsigned int n;
};

static void split(struct words *words)
{
	char *word, *at = NULL;

	words->n = 0;
	for (word = strtok_r(words->text, " ", &at); word && words->n < MAX_WORDS;
	     word = strtok_r(NULL, " ", &at))
		words->at[words->n++] = word;
}

/* All options, behind their number, but insync: that is how it began, not what it is. */
static void join_options(const struct words *words, unsigned int first, char text[TABLE_BYTES])
{
	size_t len = 0;
	unsigned int i;

	text[0] = '\0';
	for (i = first + 1; i < words->n; i++)
		if (strcmp(words->at[i], "insync"))
			len += snprintf(text + len, TABLE_BYTES - len, "%s%s", len ? " " : "",
					words->at[i]);
}

static enum outcome differs(const char *what, const char *is, const char *described)
{
	return error(REFUSED, "it is up with the %s %s, and described with %s; dmrepctl down, then up, makes it so",
		     what, is, described);
}

/* The metadata is about what is up, and refused or believed wrongly for anything else. */
static enum outcome differs_for_metadata(const struct plan *plan, const char *what,
					 const char *is, const char *described)
{
	if (!plan->devices[PLAN_METADATA].path)
		return differs(what, is, described);
	return error(REFUSED, "it is up with the %s %s, and described with %s; dmrepctl down, then format --force of the metadata device, then up, makes it so, as a new one",
		     what, is, described);
}

static enum outcome device_differs(const struct plan *plan, const struct words *is, unsigned int i,
				   const char *what, const char *described)
{
	if (!strcmp(plan->kind->roles[i - 1], "replica"))
		return error(REFUSED, "it is up with the %s %s, and described with %s; dmrepctl swap-replica makes it so",
			     what, is->at[i], described);
	return differs_for_metadata(plan, what, is->at[i], described);
}

static enum outcome compare_devices(const struct plan *plan, const struct words *is,
				    const struct words *described)
{
	char what[64], path[600];
	unsigned int i;

	for (i = 1; i <= plan->kind->nr_devices; i++) {
		const struct block_device *device = &plan->devices[i - 1];

		if (!strcmp(is->at[i], described->at[i]))
			continue;
		snprintf(what, sizeof(what), "%s device", plan->kind->roles[i - 1]);
		snprintf(path, sizeof(path), "%.256s (%s)", device->path ? device->path : "none",
			 described->at[i]);
		return device_differs(plan, is, i, what, path);
	}
	return DONE;
}

static enum outcome compare_units(const struct plan *plan, const struct words *is)
{
	char has[SIZE_TEXT_BYTES], described[SIZE_TEXT_BYTES], label[LABEL_BYTES];
	u64 sectors = strtoull(is->at[plan->kind->nr_devices + 1], NULL, 10);

	if (sectors == plan->unit_sectors)
		return DONE;
	return differs_for_metadata(plan, option_label(plan->kind->unit.option, label),
				    format_size(sectors * SECTOR_BYTES, has),
				    format_size(plan->unit_sectors * (u64)SECTOR_BYTES, described));
}

static enum outcome compare_options(const struct plan *plan, const struct words *is,
				    const struct words *described)
{
	char has[TABLE_BYTES], wants[TABLE_BYTES];
	unsigned int first = plan->kind->nr_devices + 2;

	join_options(is, first, has);
	join_options(described, first, wants);
	if (!strcmp(has, wants))
		return DONE;
	return differs("options", has[0] ? has : "none", wants[0] ? wants : "none");
}

/* A device of the name is there. */
static enum outcome get_in_mode(const char *name, enum mode mode, struct device *device)
{
	enum outcome outcome = get_device(name, device);

	if (outcome || device->status.mode == mode)
		return outcome;
	return error(REFUSED, "there is a device %s of the mode %s, not %s; remove it first, or give this one another name",
		     name, mode_name(device->status.mode), mode_name(mode));
}

static enum outcome check_as_described(struct plan *plan, struct device *device)
{
	struct words is, described;
	enum outcome outcome = get_in_mode(plan->name, plan->kind->mode, device);

	if (!outcome)
		outcome = get_table(device, is.text, sizeof(is.text));
	if (outcome)
		return outcome;
	plan_table(plan, true, described.text);
	split(&is);
	split(&described);
	if (is.n < plan->kind->nr_devices + 2)
		return error(FAILED, "%s: its table cannot be understood", plan->name);
	outcome = compare_devices(plan, &is, &described);
	if (!outcome)
		outcome = compare_units(plan, &is);
	return outcome ? outcome : compare_options(plan, &is, &described);
}

static enum outcome check_ingress(const char *name, const struct device *view)
{
	struct device device;
	enum outcome outcome = get_in_mode(name, MODE_INGRESS, &device);

	if (outcome || (view && device.status.top_major == view->major &&
			device.status.top_minor == view->minor))
		return outcome;
	return error(REFUSED, "%s: it is up on another view; dmrepctl remove %s first", name, name);
}

/*
 * Up
 */

static enum outcome check_section(struct section *section)
{
	struct plan *plan = &section->plan;
	bool is_up = name_is_taken(plan->name);
	struct device view;
	enum outcome outcome = is_up ? check_as_described(plan, &view) : plan_check(plan);
	unsigned int i;

	if (!outcome && is_up)
		plan->len = view.len;
	for (i = 0; !outcome && i < section->nr_ingresses; i++)
		if (name_is_taken(section->ingresses[i]))
			outcome = check_ingress(section->ingresses[i], is_up ? &view : NULL);
	return outcome;
}

/* The kernel would refuse the second one, when the first is there. */
static enum outcome check_shared(const struct section *a, const struct section *b)
{
	const struct block_device *x, *y;

	for (x = a->plan.devices; x < a->plan.devices + MAX_PLANNED; x++)
		for (y = b->plan.devices; y < b->plan.devices + MAX_PLANNED; y++)
			if (x->path && y->path && x->major == y->major && x->minor == y->minor)
				return error(WRONG_USAGE, "%s device %s: %s has it too, as %s; no two can share one",
					     x->role, x->path, b->name, y->role);
	return DONE;
}

/* What is wrong with one is no reason not to make the others; what shares a device is. */
static enum outcome look_at_all(const struct config *config)
{
	struct section *section, *other;
	enum outcome outcome = DONE;

	for (section = config->sections; !outcome && section; section = section->next) {
		if (!section->chosen)
			continue;
		error_about(section->file, section->name);
		section->outcome = plan_look(&section->plan);
		for (other = config->sections; !outcome && other != section; other = other->next)
			if (other->chosen && !section->outcome && !other->outcome)
				outcome = check_shared(section, other);
		error_about(NULL, NULL);
	}
	return outcome;
}

static enum outcome make_ingresses(const struct section *section, bool *made)
{
	enum outcome outcome = DONE;
	struct device view;
	unsigned int i;

	for (i = 0; !outcome && i < section->nr_ingresses; i++) {
		const char *name = section->ingresses[i];

		if (name_is_taken(name))
			continue;
		*made = true;
		outcome = get_device(section->name, &view);
		if (!outcome)
			outcome = make_ingress(name, &view, false);
	}
	return outcome;
}

static enum outcome make_section(const struct section *section)
{
	enum outcome outcome = DONE;
	bool made = !name_is_taken(section->name);

	if (made)
		outcome = plan_make(&section->plan);
	if (!outcome)
		outcome = make_ingresses(section, &made);
	if (!outcome && !made)
		printf("%s: it is up already\n", section->name);
	return outcome;
}

static void print_section(const struct section *section)
{
	char table[TABLE_BYTES];
	unsigned int i;

	plan_table(&section->plan, false, table);
	if (!name_is_taken(section->name))
		printf("%s: 0 %llu " TARGET " %s\n", section->name, section->plan.len, table);
	for (i = 0; i < section->nr_ingresses; i++)
		if (!name_is_taken(section->ingresses[i]))
			printf("%s: 0 %llu " TARGET " ingress /dev/mapper/%s\n",
			       section->ingresses[i], section->plan.len, section->name);
}

static void up_section(struct section *section, bool dry_run)
{
	if (section->outcome)
		return;
	error_about(section->file, section->name);
	section->outcome = check_section(section);
	error_about(NULL, NULL);
	if (!section->outcome && dry_run)
		print_section(section);
	else if (!section->outcome)
		section->outcome = make_section(section);
}

enum outcome up_command(const struct invocation *in)
{
	struct config config;
	enum outcome outcome = read_and_choose(&config, in);
	struct section *section;

	if (!outcome)
		outcome = look_at_all(&config);
	if (!outcome) {
		for (section = config.sections; section; section = section->next) {
			if (!section->chosen)
				continue;
			up_section(section, has_option(in, "dry-run"));
			/* A failure may pass by itself, and a refusal does not: that is worse. */
			if (section->outcome > outcome)
				outcome = section->outcome;
		}
	}
	config_free(&config);
	return outcome;
}

/*
 * Down
 */

struct names {
	char *at[1 + MAX_INGRESSES];
	int n;
};

/* Those of its devices that are there. */
static enum outcome find_devices(const struct section *section, struct names *names)
{
	struct device device;
	enum outcome outcome = DONE;
	unsigned int i;

	names->n = 0;
	if (name_is_taken(section->name)) {
		names->at[names->n++] = (char *)section->name;
		outcome = get_in_mode(section->name, section->plan.kind->mode, &device);
	}
	for (i = 0; !outcome && i < section->nr_ingresses; i++) {
		if (!name_is_taken(section->ingresses[i]))
			continue;
		names->at[names->n++] = section->ingresses[i];
		outcome = get_in_mode(section->ingresses[i], MODE_INGRESS, &device);
	}
	if (!names->n)
		printf("%s: it is down already\n", section->name);
	return outcome;
}

static enum outcome find_all(const struct config *config, char **all, int *n)
{
	const struct section *section;
	enum outcome outcome = DONE;
	struct names names;

	*n = 0;
	for (section = config->sections; !outcome && section; section = section->next) {
		if (!section->chosen)
			continue;
		error_about(section->file, section->name);
		outcome = find_devices(section, &names);
		error_about(NULL, NULL);
		memcpy(all + *n, names.at, names.n * sizeof(*all));
		*n += names.n;
	}
	return outcome;
}

static unsigned int nr_sections(const struct config *config)
{
	const struct section *section;
	unsigned int n = 0;

	for (section = config->sections; section; section = section->next)
		n++;
	return n;
}

enum outcome down_command(const struct invocation *in)
{
	struct config config;
	enum outcome outcome = read_and_choose(&config, in);
	char **names = NULL;
	int n = 0;

	if (!outcome) {
		names = calloc(nr_sections(&config) + 1, sizeof(((struct names *)0)->at));
		outcome = names ? find_all(&config, names, &n) : out_of_memory();
	}
	if (!outcome && n)
		outcome = remove_devices(names, n, has_option(in, "force"));
	free(names);
	config_free(&config);
	return outcome;
}
