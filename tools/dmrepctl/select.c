// SPDX-License-Identifier: GPL-2.0-only
/*
 * libdevmapper takes any word for a field that is text, and then selects nothing. Some of
 * our fields have few words: a selection by another word is a slip, and is refused.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <string.h>

#include "metadata-file.h"
#include "select.h"

/* Of a field: the words that it has, and where a device may have another. */
struct words {
	const char *field;
	const char *(*name)(unsigned int nr);		/* NULL behind the last one */
	const char *(*value)(const struct device *device);
};

static const char *nth(const char * const *names, unsigned int n, unsigned int nr)
{
	return nr < n ? names[nr] : NULL;
}

static const char *mode_nr(unsigned int nr)
{
	return nr <= MODE_PRIMARY ? mode_name(nr) : NULL;
}

static const char *stage_nr(unsigned int nr)
{
	return nr <= STAGE_DONE ? stage_name(nr) : NULL;
}

static const char *sync_nr(unsigned int nr)
{
	static const char * const names[] = { "insync", "degraded", "resync", "-" };

	return nth(names, ARRAY_SIZE(names), nr);
}

static const char *metadata_nr(unsigned int nr)
{
	static const char * const names[] = { "rw", "fail", "abandoned", "off", "-" };

	return nth(names, ARRAY_SIZE(names), nr);
}

static const char *fence_nr(unsigned int nr)
{
	static const char * const names[] = { "open", "fenced" };

	return nth(names, ARRAY_SIZE(names), nr);
}

static const char *suspended_nr(unsigned int nr)
{
	static const char * const names[] = { "yes", "no" };

	return nth(names, ARRAY_SIZE(names), nr);
}

/* A module that is newer than this program may say more. */
static const char *sync_of(const struct device *device)
{
	return device->status.sync;
}

static const char *metadata_of(const struct device *device)
{
	return device->status.metadata;
}

static const char *error_of(const struct device *device)
{
	return device->status.error;
}

static const struct words fields[] = {
	{ .field = "mode", .name = mode_nr },
	{ .field = "stage", .name = stage_nr },
	{ .field = "sync", .name = sync_nr, .value = sync_of },
	{ .field = "metadata", .name = metadata_nr, .value = metadata_of },
	{ .field = "error", .name = metadata_error_name, .value = error_of },
	{ .field = "fence", .name = fence_nr },
	{ .field = "suspended", .name = suspended_nr },
};

/* One comparison of a selection. */
struct comparison {
	const char *field, *value;
	int field_len, value_len;
	bool regex, quoted;
};

static const struct words *find_words(const struct comparison *c)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strncasecmp(fields[i].field, c->field, c->field_len) &&
		    !fields[i].field[c->field_len])
			return &fields[i];
	return NULL;
}

static const char *skip_spaces(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

/* As the library: up to a space, or what joins two comparisons or ends a group. */
static int unquoted_len(const char *s)
{
	int n = 0;

	while (s[n] && !strchr(" ,#)", s[n]) && strncmp(s + n, "&&", 2) && strncmp(s + n, "||", 2))
		n++;
	return n;
}

/* What ends a value that begins with this; 0 if nothing does. */
static char closing_quote(char c, bool regex)
{
	if (c == '"' || c == '\'')
		return c;
	if (!regex)
		return 0;
	return c == '(' ? ')' : c == '[' ? ']' : c == '{' ? '}' : 0;
}

/* The next comparison; false: there is none. The library has found it well-formed. */
static bool next_comparison(const char **select, struct comparison *c)
{
	const char *s = *select;
	char quote;
	size_t len;

	while (*s && !isalnum((unsigned char)*s) && *s != '_')
		s++;
	c->field = s;
	while (isalnum((unsigned char)*s) || *s == '_' || *s == '-')
		s++;
	c->field_len = s - c->field;
	s = skip_spaces(s);
	len = strspn(s, "=!~<>");
	c->regex = memchr(s, '~', len);
	s = skip_spaces(s + len);
	quote = closing_quote(*s, c->regex);
	c->quoted = quote;
	s += c->quoted;
	c->value = s;
	c->value_len = quote ? (int)(strchrnul(s, quote) - s) : unquoted_len(s);
	s += c->value_len;
	*select = s + (quote && *s);
	return c->field_len;
}

static bool fits(const struct comparison *c, struct dm_regex *regex, const char *word)
{
	if (c->regex)
		return dm_regex_match(regex, word) >= 0;
	return (int)strlen(word) == c->value_len && !strncmp(word, c->value, c->value_len);
}

/* Whether any device can have it. What a device has not is an empty text. */
static bool is_possible(const struct comparison *c, const struct words *words,
			struct dm_regex *regex, const struct device_list *all)
{
	const char *name;
	unsigned int i;

	if (c->quoted && fits(c, regex, ""))
		return true;
	for (i = 0; (name = words->name(i)); i++)
		if (fits(c, regex, name))
			return true;
	for (i = 0; words->value && i < all->n; i++)
		if (fits(c, regex, words->value(&all->devices[i])))
			return true;
	return false;
}

static enum outcome refuse(const struct comparison *c, const struct words *words)
{
	char text[256] = "";
	const char *name;
	unsigned int i;
	size_t len = 0;

	for (i = 0; (name = words->name(i)) && len < sizeof(text); i++)
		len += snprintf(text + len, sizeof(text) - len, "%s%s",
				!i ? "" : words->name(i + 1) ? ", " : " or ", name);
	return error(WRONG_USAGE, "--select: no device has the %s %.*s: it is %s", words->field,
		     c->value_len, c->value, text);
}

static enum outcome check_comparison(const struct comparison *c, const struct words *words,
				     const struct device_list *all)
{
	struct dm_pool *mem = dm_pool_create("selection", 1024);
	struct dm_regex *regex = NULL;
	enum outcome outcome = DONE;
	const char *pattern;

	if (!mem)
		return out_of_memory();
	pattern = dm_pool_strndup(mem, c->value, c->value_len);
	if (pattern && c->regex)
		regex = dm_regex_create(mem, &pattern, 1);
	if (!pattern || (c->regex && !regex))
		outcome = out_of_memory();
	else if (!is_possible(c, words, regex, all))
		outcome = refuse(c, words);
	dm_pool_destroy(mem);
	return outcome;
}

enum outcome check_selection(const char *select, const struct device_list *all)
{
	enum outcome outcome = DONE;
	const struct words *words;
	struct comparison c;

	while (!outcome && select && next_comparison(&select, &c)) {
		words = find_words(&c);
		if (words)
			outcome = check_comparison(&c, words, all);
	}
	return outcome;
}
