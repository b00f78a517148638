// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <glob.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "create.h"
#include "library.h"

#define KINDS	"\"secondary\" or \"primary\""

/* The others are about one call of the command. */
static bool is_key(const struct option_spec *spec)
{
	return strcmp(spec->name, "dry-run");
}

/*
 * Values
 */

/* What is after the key, in the words of the file; a number as text. NULL: it is none. */
static const char *value_text(struct dm_pool *pool, const struct dm_config_node *node)
{
	const struct dm_config_value *value = node->v;
	char number[32];

	if (!value || value->next)
		return NULL;
	if (value->type == DM_CFG_STRING)
		return value->v.str;
	if (value->type != DM_CFG_INT)
		return NULL;
	snprintf(number, sizeof(number), "%lld", (long long)value->v.i);
	return dm_pool_strdup(pool, number);
}

static enum outcome unknown_key(const struct section *section, const char *key)
{
	const struct option_spec *spec;
	char keys[512] = "mode", label[LABEL_BYTES];
	size_t len = strlen(keys);

	for (spec = section->command.options; spec->name; spec++)
		if (is_key(spec))
			len += snprintf(keys + len, sizeof(keys) - len, ", %s",
					option_label(spec->name, label));
	if (section->plan.kind->mode == MODE_SECONDARY)
		snprintf(keys + len, sizeof(keys) - len, ", ingress");
	return error(WRONG_USAGE, "%s: there is no such key; of a %s there are %s", key,
		     section->plan.kind->name, keys);
}

static enum outcome set_flag(const char **value, const char *key, const char *text)
{
	if (strcmp(text, "0") && strcmp(text, "1"))
		return error(WRONG_USAGE, "%s = %s: it is 0 or 1", key, text);
	*value = strcmp(text, "0") ? "" : NULL;
	return DONE;
}

/* A path does not depend on where somebody is. */
static enum outcome set_text(const char **value, const char *key, const struct option_spec *spec,
			     const char *text)
{
	if (!strcmp(spec->value, "DEVICE") && text[0] != '/' && strcmp(text, "none"))
		return error(WRONG_USAGE, "%s = \"%s\": it is the path of a device, from the / on",
			     key, text);
	*value = text;
	return DONE;
}

static enum outcome read_key(struct dm_pool *pool, struct section *section,
			     const struct dm_config_node *node)
{
	const struct option_spec *spec;
	const char *text = value_text(pool, node);
	char label[LABEL_BYTES];
	unsigned int i = 0;

	for (spec = section->command.options; spec->name; spec++, i++)
		if (is_key(spec) && !strcmp(option_label(spec->name, label), node->key))
			break;
	if (!spec->name)
		return unknown_key(section, node->key);
	/* Believed each time it loses data. */
	if (!strcmp(spec->name, "insync"))
		return error(WRONG_USAGE, "%s: it is true once, not each time, and no key; give it to dmrepctl create",
			     node->key);
	if (!text)
		return error(WRONG_USAGE, "%s: it takes one value, such as %s", node->key,
			     spec->value ? "\"text\"" : "1");
	if (!spec->value)
		return set_flag(&section->in.values[i], node->key, text);
	return set_text(&section->in.values[i], node->key, spec, text);
}

static enum outcome read_ingresses(struct section *section, const struct dm_config_node *node)
{
	const struct dm_config_value *value;
	enum outcome outcome = DONE;

	for (value = node->v; !outcome && value; value = value->next) {
		if (value->type != DM_CFG_STRING || section->nr_ingresses == MAX_INGRESSES)
			break;
		outcome = check_name(value->v.str);
		section->ingresses[section->nr_ingresses++] = (char *)value->v.str;
	}
	if (outcome || (node->v && !value))
		return outcome;
	return error(WRONG_USAGE, "ingress: it is a name, or a list of names, [\"a\", \"b\"], of %d at most",
		     MAX_INGRESSES);
}

/*
 * Sections
 */

static const struct dm_config_node *find_twice(const struct dm_config_node *node)
{
	const struct dm_config_node *other;

	for (; node; node = node->sib)
		for (other = node->sib; other; other = other->sib)
			if (!strcmp(node->key, other->key))
				return node;
	return NULL;
}

static enum outcome read_mode(struct dm_pool *pool, struct section *section,
			      const struct dm_config_node *node)
{
	static const struct plan_kind * const kinds[] = { &plan_secondary, &plan_primary };
	const char *text;
	unsigned int i;

	while (node && strcmp(node->key, "mode"))
		node = node->sib;
	if (!node)
		return error(WRONG_USAGE, "mode is missing; it is " KINDS);
	text = value_text(pool, node);
	for (i = 0; text && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(text, kinds[i]->name))
			section->plan.kind = kinds[i];
	if (!section->plan.kind)
		return error(WRONG_USAGE, "mode = \"%s\": it is " KINDS, text ? text : "");
	section->command.name = section->plan.kind->name;
	section->command.options = section->plan.kind->options;
	return DONE;
}

static enum outcome read_keys(struct dm_pool *pool, struct section *section,
			      const struct dm_config_node *node)
{
	const struct dm_config_node *twice = find_twice(node);
	enum outcome outcome = DONE;

	if (twice)
		return error(WRONG_USAGE, "%s is given twice", twice->key);
	outcome = read_mode(pool, section, node);
	for (; !outcome && node; node = node->sib) {
		if (!strcmp(node->key, "ingress") && section->plan.kind->mode == MODE_SECONDARY)
			outcome = read_ingresses(section, node);
		else if (strcmp(node->key, "mode"))
			outcome = read_key(pool, section, node);
	}
	if (!outcome)
		outcome = plan_parse(&section->in, section->plan.kind, &section->plan);
	return outcome;
}

/* Views before primaries, otherwise as they are written. */
static void insert(struct config *config, struct section *section)
{
	struct section **at = &config->sections;
	enum mode mode = section->plan.kind->mode;

	while (*at && (mode == MODE_PRIMARY || (*at)->plan.kind->mode == mode))
		at = &(*at)->next;
	section->next = *at;
	*at = section;
}

static enum outcome read_section(struct config *config, struct dm_pool *pool, const char *file,
				 const struct dm_config_node *node)
{
	struct section *section = dm_pool_zalloc(pool, sizeof(*section));
	enum outcome outcome;

	if (!section)
		return out_of_memory();
	if (node->v)
		return error(WRONG_USAGE, "%s: it is in no section; write: NAME { mode = " KINDS " ... }",
			     node->key);
	error_about(file, node->key);
	section->file = file;
	section->name = node->key;
	section->argv[0] = (char *)node->key;
	section->in.command = &section->command;
	section->in.argv = section->argv;
	section->in.argc = 1;
	outcome = read_keys(pool, section, node->child);
	if (!outcome)
		insert(config, section);
	error_about(file, NULL);
	return outcome;
}

/*
 * Files
 */

/* "Parse error at byte 9 (line 1): unexpected token" is what the library says. */
static enum outcome parse_error(void)
{
	const char *why = library_error(), *line = strstr(why, "(line ");
	int number, len = 0;

	if (line && sscanf(line, "(line %d): %n", &number, &len) == 1 && len)
		return error(WRONG_USAGE, "line %d: %s; see dmrepctl.conf(5)", number, line + len);
	return error(WRONG_USAGE, "%s; see dmrepctl.conf(5)", why);
}

static enum outcome add_tree(struct config *config, struct dm_config_tree **tree)
{
	size_t bytes = (config->nr_trees + 1) * sizeof(*config->trees);
	struct dm_config_tree **trees = realloc(config->trees, bytes);

	*tree = dm_config_create();
	if (trees)
		config->trees = trees;
	if (!trees || !*tree) {
		if (*tree)
			dm_config_destroy(*tree);
		return out_of_memory();
	}
	trees[config->nr_trees++] = *tree;
	return DONE;
}

static enum outcome parse_text(struct config *config, const char *path, const char *text,
			       size_t len)
{
	const struct dm_config_node *node;
	struct dm_config_tree *tree;
	enum outcome outcome = add_tree(config, &tree);
	const char *file;

	if (outcome)
		return outcome;
	library_forget();
	/* In the library's view there has to be something, but there need not. */
	if (!dm_config_parse_without_dup_node_check(tree, text, text + len))
		return library_error()[0] ? parse_error() : DONE;
	file = dm_pool_strdup(tree->mem, path);
	for (node = tree->root; !outcome && node; node = node->sib)
		outcome = file ? read_section(config, tree->mem, file, node) : out_of_memory();
	return outcome;
}

static enum outcome read_file(struct config *config, const char *path)
{
	FILE *file = fopen(path, "re");
	enum outcome outcome;
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	error_about(path, NULL);
	if (file)
		errno = 0;
	len = file ? getdelim(&text, &size, '\0', file) : 0;
	if (!file || (len < 0 && errno))
		outcome = error(FAILED, "it cannot be read: %s", strerror(errno));
	else
		outcome = parse_text(config, path, text ? text : "", len < 0 ? 0 : len);
	if (file)
		fclose(file);
	free(text);
	error_about(NULL, NULL);
	return outcome;
}

bool config_exists(void)
{
	glob_t found = { 0 };
	bool exists = !access(CONFIG_FILE, F_OK) || !glob(CONFIG_FILES, 0, NULL, &found);

	globfree(&found);
	return exists;
}

static enum outcome read_usual_files(struct config *config)
{
	bool there = !access(CONFIG_FILE, F_OK);
	enum outcome outcome = there ? read_file(config, CONFIG_FILE) : DONE;
	glob_t found = { 0 };
	size_t i;

	/* Sorted; nothing is found if nothing can be read there. */
	if (glob(CONFIG_FILES, 0, NULL, &found))
		found.gl_pathc = 0;
	for (i = 0; !outcome && i < found.gl_pathc; i++)
		outcome = read_file(config, found.gl_pathv[i]);
	if (!there && !found.gl_pathc)
		outcome = error(FAILED, "nothing is described: there is neither %s nor %s; see dmrepctl.conf(5)",
				CONFIG_FILE, CONFIG_FILES);
	globfree(&found);
	return outcome;
}

/* Whether another section, or this one, has a device of this name. */
static enum outcome check_name_once(const struct config *config, const struct section *owner,
				    const char *name)
{
	const struct section *section;
	unsigned int i, n = 0;
	bool same;

	for (section = config->sections; section; section = section->next) {
		same = section == owner;
		n = !strcmp(section->name, name);
		for (i = 0; i < section->nr_ingresses; i++)
			n += !strcmp(section->ingresses[i], name);
		if (n > same)
			return error(WRONG_USAGE, "there are two devices of the name %s; the other one is in %s, %s",
				     name, section->file, section->name);
	}
	return DONE;
}

static enum outcome check_names(const struct config *config)
{
	const struct section *section;
	enum outcome outcome = DONE;
	unsigned int i;

	for (section = config->sections; !outcome && section; section = section->next) {
		error_about(section->file, section->name);
		outcome = check_name_once(config, section, section->name);
		for (i = 0; !outcome && i < section->nr_ingresses; i++)
			outcome = check_name_once(config, section, section->ingresses[i]);
		error_about(NULL, NULL);
	}
	return outcome;
}

enum outcome config_read(struct config *config, const char *file)
{
	enum outcome outcome;

	*config = (struct config){ 0 };
	library_init();
	outcome = file ? read_file(config, file) : read_usual_files(config);
	return outcome ? outcome : check_names(config);
}

void config_free(struct config *config)
{
	unsigned int i;

	for (i = 0; i < config->nr_trees; i++)
		dm_config_destroy(config->trees[i]);
	free(config->trees);
}
