// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "status-line.h"

static const char * const mode_names[] = {
	[MODE_SECONDARY]	= "secondary",
	[MODE_INGRESS]		= "ingress",
	[MODE_PRIMARY]		= "primary",
};

static const char * const stage_names[] = {
	[STAGE_NONE]		= "none",
	[STAGE_RUNNING]		= "running",
	[STAGE_FAILOVER]	= "failover",
	[STAGE_FAILOVER_FAILED]	= "failover-failed",
	[STAGE_DONE]		= "done",
};

const char *mode_name(enum mode mode)
{
	return mode_names[mode];
}

const char *stage_name(enum stage stage)
{
	return stage_names[stage];
}

/* What is left of the line; and of what went wrong, the first. */
struct scanner {
	const char *at;
	char *why;
	size_t len;
	bool bad;
};

static void FORMAT_PRINTF(2, 3) complain(struct scanner *s, const char *format, ...)
{
	va_list args;

	if (s->bad)
		return;
	s->bad = true;
	va_start(args, format);
	vsnprintf(s->why, s->len, format, args);
	va_end(args);
}

/* The next word: @what it should be is for the complaint. */
static void scan_word(struct scanner *s, const char *what, char word[WORD_BYTES])
{
	size_t len;

	s->at += strspn(s->at, " ");
	len = strcspn(s->at, " ");
	word[0] = '\0';
	if (!len)
		complain(s, "it ends before the %s", what);
	else if (len >= WORD_BYTES)
		complain(s, "its %s is too long: %.*s", what, (int)len, s->at);
	else
		snprintf(word, WORD_BYTES, "%.*s", (int)len, s->at);
	s->at += len;
}

/* A number, up to where @text does not go on with digits. */
static bool parse_digits(const char **text, u64 *number)
{
	const char *at = *text;

	*number = 0;
	for (; isdigit((unsigned char)*at); at++) {
		u64 digit = *at - '0';

		if (*number > (~0ULL - digit) / 10)
			return false;
		*number = *number * 10 + digit;
	}
	if (at == *text)
		return false;
	*text = at;
	return true;
}

static void scan_number(struct scanner *s, const char *what, u64 *number)
{
	char word[WORD_BYTES];
	const char *at = word;

	*number = 0;
	scan_word(s, what, word);
	if (!s->bad && (!parse_digits(&at, number) || *at))
		complain(s, "its %s is no number: %s", what, word);
}

/* "12/345" or, with another separator, "254:3" */
static void scan_pair(struct scanner *s, const char *what, char separator, u64 *first, u64 *second)
{
	char word[WORD_BYTES + WORD_BYTES];
	const char *at = word;
	size_t len;

	*first = 0;
	*second = 0;
	s->at += strspn(s->at, " ");
	len = strcspn(s->at, " ");
	/* Two numbers can be longer than a word. */
	snprintf(word, sizeof(word), "%.*s", (int)len, s->at);
	s->at += len;
	if (!len)
		complain(s, "it ends before the %s", what);
	else if (len >= sizeof(word) || !parse_digits(&at, first) || *at++ != separator ||
		 !parse_digits(&at, second) || *at)
		complain(s, "its %s is not two numbers with a %c: %s", what, separator, word);
}

static void scan_choice(struct scanner *s, const char *what, const char * const *names,
			unsigned int n, unsigned int *choice)
{
	char word[WORD_BYTES];

	scan_word(s, what, word);
	for (*choice = 0; *choice < n; ++*choice)
		if (!strcmp(word, names[*choice]))
			return;
	*choice = 0;
	complain(s, "its %s is unknown: %s", what, word);
}

static void scan_secondary(struct scanner *s, struct status_line *status)
{
	scan_number(s, "epoch", &status->epoch);
	scan_number(s, "chunk size", &status->chunk_sectors);
	scan_pair(s, "number of active chunks", '/', &status->active_chunks,
		  &status->total_chunks);
	scan_pair(s, "number of hidden chunks", '/', &status->hidden_chunks,
		  &status->total_chunks);
	scan_pair(s, "number of merged chunks", '/', &status->merged, &status->to_merge);
	scan_word(s, "metadata mode", status->metadata);
	scan_word(s, "error", status->error);
}

static void scan_ingress(struct scanner *s, struct status_line *status)
{
	static const char * const names[] = { "open", "fenced" };
	unsigned int fenced;
	u64 major, minor;

	scan_choice(s, "fence", names, ARRAY_SIZE(names), &fenced);
	scan_pair(s, "top", ':', &major, &minor);
	if (major > ~0U || minor > ~0U)
		complain(s, "its top is no device number");
	status->fenced = fenced;
	status->top_major = major;
	status->top_minor = minor;
}

static void scan_primary(struct scanner *s, struct status_line *status)
{
	scan_word(s, "state of the replica", status->sync);
	scan_pair(s, "number of dirty regions", '/', &status->dirty_regions,
		  &status->total_regions);
	scan_word(s, "metadata mode", status->metadata);
	scan_word(s, "error", status->error);
}

bool parse_status_line(const char *line, struct status_line *status, char *why, size_t len)
{
	struct scanner s = { .at = line, .why = why, .len = len };
	unsigned int mode, stage;

	memset(status, 0, sizeof(*status));
	scan_choice(&s, "mode", mode_names, ARRAY_SIZE(mode_names), &mode);
	scan_choice(&s, "stage", stage_names, ARRAY_SIZE(stage_names), &stage);
	status->mode = mode;
	status->stage = stage;
	if (mode == MODE_SECONDARY)
		scan_secondary(&s, status);
	else if (mode == MODE_INGRESS)
		scan_ingress(&s, status);
	else
		scan_primary(&s, status);
	return !s.bad;
}
