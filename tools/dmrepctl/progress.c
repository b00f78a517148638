// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"
#include "units.h"

#define TERMINAL_INTERVAL	500000U
#define LINES_INTERVAL		10000000U

/* A bar is not worth it with fewer signs, and not better with more. */
#define MIN_BAR			5U
#define MAX_BAR			40U

/* Earlier than that a rate is chance. */
#define MIN_SECONDS		0.2

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

unsigned int terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 20)
		return 80;
	return size.ws_col;
}

/* "110 MiB/s, 14 s left"; nothing so long as that is not known. */
static void format_rate(char *text, size_t len, u64 left, u64 bytes, double seconds)
{
	char rate_text[SIZE_TEXT_BYTES], left_text[SIZE_TEXT_BYTES];
	double rate = seconds < MIN_SECONDS ? 0 : bytes / seconds, seconds_left;

	text[0] = '\0';
	if (rate < 1)
		return;
	seconds_left = left / rate + 0.999;
	snprintf(text, len, ", %s/s, %s left", format_size(rate < 1e18 ? rate : 1e18, rate_text),
		 format_duration(seconds_left < 1e15 ? seconds_left : 1e15, left_text));
}

static void format_bar(char *bar, unsigned int width, u64 done, u64 all)
{
	unsigned int filled = all ? (double)done / all * width : width;

	memset(bar, '#', filled);
	memset(bar + filled, '-', width - filled);
	bar[width] = '\0';
}

void format_progress(char line[PROGRESS_BYTES], const char *name, u64 done, u64 all, u64 bytes,
		     double seconds, unsigned int columns)
{
	char done_text[SIZE_TEXT_BYTES], all_text[SIZE_TEXT_BYTES], rate[2 * SIZE_TEXT_BYTES + 16];
	char rest[160], bar[MAX_BAR + 1];
	unsigned int percent = all ? 100.0 * done / all : 100, used, room;

	format_rate(rate, sizeof(rate), all - done, bytes, seconds);
	snprintf(rest, sizeof(rest), "%3u %%, %s of %s%s", percent, format_size(done, done_text),
		 format_size(all, all_text), rate);
	/* "name: [bar] rest", and the last column stays free. */
	used = strlen(name) + strlen(": [] ") + strlen(rest) + 1;
	room = used < columns ? columns - used : 0;
	if (room >= MIN_BAR) {
		format_bar(bar, room < MAX_BAR ? room : MAX_BAR, done, all);
		snprintf(line, PROGRESS_BYTES, "%.64s: [%s] %s", name, bar, rest);
	} else {
		snprintf(line, PROGRESS_BYTES, "%.64s: %s", name, rest + strspn(rest, " "));
	}
	/* A line that wraps could not be written over. */
	if (columns && columns <= PROGRESS_BYTES)
		line[columns - 1] = '\0';
}

void progress_begin(struct progress *progress, const char *name, const char *what)
{
	memset(progress, 0, sizeof(*progress));
	progress->name = name;
	progress->what = what;
	progress->terminal = isatty(STDOUT_FILENO);
	progress->begin = now();
}

unsigned int progress_interval(const struct progress *progress)
{
	return progress->terminal ? TERMINAL_INTERVAL : LINES_INTERVAL;
}

u64 progress_seconds(const struct progress *progress)
{
	return now() - progress->begin + 0.5;
}

void progress_show(struct progress *progress, u64 done, u64 all)
{
	char line[PROGRESS_BYTES], size[SIZE_TEXT_BYTES];

	if (done > all)
		done = all;
	if (!progress->begun)
		progress->first = done;
	if (!progress->begun && !progress->terminal)
		printf("%s: %s %s\n", progress->name, progress->what,
		       format_size(all - done, size));
	if (progress->begun || progress->terminal) {
		format_progress(line, progress->name, done, all, done - progress->first,
				now() - progress->begin,
				progress->terminal ? terminal_columns() : 0);
		printf(progress->terminal ? "\r%s\033[K" : "%s\n", line);
	}
	progress->begun = true;
	fflush(stdout);
}

void progress_end(struct progress *progress)
{
	if (progress->terminal && progress->begun)
		printf("\r\033[K");
	fflush(stdout);
	progress->begun = false;
}
