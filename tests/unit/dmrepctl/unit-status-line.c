// SPDX-License-Identifier: GPL-2.0-only
#include "status-line.h"
#include "test.h"

#define MAX	"18446744073709551615"

static struct status_line parse(const char *line)
{
	struct status_line status;
	char why[100] = "";

	check(parse_status_line(line, &status, why, sizeof(why)), "%s: %s", line, why);
	return status;
}

static void secondary(void)
{
	struct status_line s = parse("secondary failover 3 8 1133/16384 845/16384 452/2429 rw cow-io");

	check(s.mode == MODE_SECONDARY && s.stage == STAGE_FAILOVER);
	check(s.epoch == 3 && s.chunk_sectors == 8);
	check(s.active_chunks == 1133 && s.hidden_chunks == 845 && s.total_chunks == 16384);
	check(s.merged == 452 && s.to_merge == 2429);
	check(!strcmp(s.metadata, "rw") && !strcmp(s.error, "cow-io"));
	s = parse("secondary none 0 2048 0/1 0/1 0/0 - -");
	check(s.stage == STAGE_NONE && !s.epoch && !s.to_merge);
	check(!strcmp(s.metadata, "-") && !strcmp(s.error, "-"));
	s = parse("secondary done " MAX " 8 " MAX "/" MAX " " MAX "/" MAX " 0/0 fail -");
	check(s.epoch == ~0ULL && s.active_chunks == ~0ULL && s.total_chunks == ~0ULL);
}

static void ingress(void)
{
	struct status_line s = parse("ingress running open 254:1");

	check(s.mode == MODE_INGRESS && s.stage == STAGE_RUNNING && !s.fenced);
	check(s.top_major == 254 && s.top_minor == 1);
	s = parse("ingress failover-failed fenced 4095:1048575");
	check(s.stage == STAGE_FAILOVER_FAILED && s.fenced);
	check(s.top_major == 4095 && s.top_minor == 1048575);
}

static void primary(void)
{
	struct status_line s = parse("primary running degraded 12/16384 rw replica-io");

	check(s.mode == MODE_PRIMARY && s.stage == STAGE_RUNNING);
	check(!strcmp(s.sync, "degraded") && s.dirty_regions == 12 && s.total_regions == 16384);
	check(!strcmp(s.metadata, "rw") && !strcmp(s.error, "replica-io"));
	s = parse("primary done - 0/0 - -");
	check(!strcmp(s.sync, "-") && !s.total_regions && !strcmp(s.error, "-"));
}

static const char * const good[] = {
	"secondary running 1 8 0/16 0/16 0/0 rw -",
	"ingress none fenced 1:0",
	"primary running insync 0/16 rw -",
};

/* Fields may be appended, whatever they are; the rest is the same. */
static void appended(void)
{
	static const char * const more[] = { " ", " 0", " a b c", "  7/8  ", " \t" };
	struct status_line before, after;
	unsigned int i, j;
	char line[200];

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		before = parse(good[i]);
		for (j = 0; j < ARRAY_SIZE(more); j++) {
			snprintf(line, sizeof(line), "%s%s", good[i], more[j]);
			after = parse(line);
			check(!memcmp(&before, &after, sizeof(after)), "%s", line);
		}
		snprintf(line, sizeof(line), "  %s", good[i]);
		after = parse(line);
		check(!memcmp(&before, &after, sizeof(after)), "%s", line);
	}
}

/* A line that ends too early, wherever: refused, and says what is not there. */
static void truncated(void)
{
	struct status_line s;
	unsigned int i;
	char line[200], why[100];
	char *end;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(line, sizeof(line), "%s", good[i]);
		while ((end = strrchr(line, ' '))) {
			*end = '\0';
			check(!parse_status_line(line, &s, why, sizeof(why)), "%s", line);
			check(strstr(why, "it ends before the "), "%s", why);
		}
	}
}

static const struct {
	const char *line, *why;
} bad[] = {
	{ "", "it ends before the mode" },
	{ "   ", "it ends before the mode" },
	{ "tertiary running", "its mode is unknown: tertiary" },
	{ "Secondary running", "its mode is unknown: Secondary" },
	{ "secondary frozen 1 8 0/1 0/1 0/0 - -", "its stage is unknown: frozen" },
	{ "secondary run", "its stage is unknown: run" },
	{ "secondary running x 8 0/1 0/1 0/0 - -", "its epoch is no number: x" },
	{ "secondary running -1 8 0/1 0/1 0/0 - -", "its epoch is no number: -1" },
	{ "secondary running 1x 8 0/1 0/1 0/0 - -", "its epoch is no number: 1x" },
	{ "secondary running 18446744073709551616 8 0/1 0/1 0/0 - -",
	  "its epoch is no number: 18446744073709551616" },
	{ "secondary running 99999999999999999999999999999999 8 0/1 0/1 0/0 - -",
	  "its epoch is too long: 99999999999999999999999999999999" },
	{ "secondary running 1 0x8 0/1 0/1 0/0 - -", "its chunk size is no number: 0x8" },
	{ "secondary running 1 8 0 0/1 0/0 - -",
	  "its number of active chunks is not two numbers with a /: 0" },
	{ "secondary running 1 8 0/ 0/1 0/0 - -",
	  "its number of active chunks is not two numbers with a /: 0/" },
	{ "secondary running 1 8 /1 0/1 0/0 - -",
	  "its number of active chunks is not two numbers with a /: /1" },
	{ "secondary running 1 8 0/1 0:1 0/0 - -",
	  "its number of hidden chunks is not two numbers with a /: 0:1" },
	{ "secondary running 1 8 0/1 0/1 0/0/0 - -",
	  "its number of merged chunks is not two numbers with a /: 0/0/0" },
	{ "secondary running 1 8 0/1 0/1 0/99999999999999999999 - -",
	  "its number of merged chunks is not two numbers with a /: 0/99999999999999999999" },
	{ "secondary running 1 8 0/1 0/1 0/0 - an-error-of-a-length-that-nobody-has-seen-before",
	  "its error is too long: an-error-of-a-length-that-nobody-has-seen-before" },
	{ "ingress running ajar 1:0", "its fence is unknown: ajar" },
	{ "ingress running open 1/0", "its top is not two numbers with a :: 1/0" },
	{ "ingress running open 1:4294967296", "its top is no device number" },
	{ "primary running insync 0 rw -",
	  "its number of dirty regions is not two numbers with a /: 0" },
};

static void refused(void)
{
	struct status_line s;
	unsigned int i;
	char why[100], shorter[10];

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		check(!parse_status_line(bad[i].line, &s, why, sizeof(why)), "%s", bad[i].line);
		check(!strcmp(why, bad[i].why), "%s: %s", bad[i].line, why);
		/* Room for a part of it. */
		check(!parse_status_line(bad[i].line, &s, shorter, sizeof(shorter)));
		check(!strncmp(shorter, why, strlen(shorter)));
	}
}

/* Whatever one byte becomes: parsed or refused, and the sanitizers have nothing to say. */
static void any_byte(void)
{
	struct status_line s;
	unsigned int i, at, byte;
	char line[200], why[100];

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		for (at = 0; good[i][at]; at++) {
			for (byte = 0; byte < 256; byte++) {
				snprintf(line, sizeof(line), "%s", good[i]);
				line[at] = byte;
				why[0] = '\0';
				check(parse_status_line(line, &s, why, sizeof(why)) == !why[0]);
			}
		}
	}
}

void test_status_line(void)
{
	secondary();
	ingress();
	primary();
	appended();
	truncated();
	refused();
	any_byte();
}
