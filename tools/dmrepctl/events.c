// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command events: first what exists, then each change as it happens.
 */
#define _GNU_SOURCE
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "events.h"
#include "watch.h"

/* Of the JSON that is printed. */
#define EVENTS_VERSION	1

#define VALUE_BYTES	160
#define MAX_VALUES	16
#define TIME_BYTES	64

const struct option_spec events_options[] = {
	{ "json", 'j', NULL, "one JSON object a line" },
	{ "timestamps", 't', NULL, "when it happened, before each line" },
	{ "now", 0, NULL, "only what exists, and end" },
	{ 0 }
};

/*
 * What is told of a device: what it is called, and what changes by events. Not how much
 * the stores hold, which changes with each write, nor whether it is suspended: that raises
 * no event.
 */
struct values {
	unsigned int n;
	struct {
		const char *name;
		char text[VALUE_BYTES];
		bool is_number;
	} at[MAX_VALUES];
};

static void FORMAT_PRINTF(4, 5) add(struct values *values, const char *name, bool is_number,
				    const char *format, ...)
{
	va_list args;

	values->at[values->n].name = name;
	values->at[values->n].is_number = is_number;
	va_start(args, format);
	vsnprintf(values->at[values->n++].text, VALUE_BYTES, format, args);
	va_end(args);
}

static void add_text(struct values *values, const char *name, const char *text)
{
	add(values, name, false, "%s", text);
}

static void add_number(struct values *values, const char *name, u64 number)
{
	add(values, name, true, "%llu", number);
}

static void add_secondary(struct values *values, const struct status_line *status)
{
	add_number(values, "epoch", status->epoch);
	add_number(values, "chunk_size", status->chunk_sectors * SECTOR_BYTES);
	add_number(values, "to_merge_chunks", status->to_merge);
	add_text(values, "metadata", status->metadata);
	add_text(values, "error", status->error);
}

static void add_ingress(struct values *values, const struct status_line *status,
			const struct device_list *all)
{
	const struct device *top = find_device(all, status->top_major, status->top_minor);

	add_text(values, "fence", status->fenced ? "fenced" : "open");
	if (top)
		add_text(values, "top", top->name);
	else
		add(values, "top", false, "%u:%u", status->top_major, status->top_minor);
}

static void add_primary(struct values *values, const struct status_line *status)
{
	add_text(values, "sync", status->sync);
	add_text(values, "metadata", status->metadata);
	add_text(values, "error", status->error);
}

static void fill_values(struct values *values, const struct device *device,
			const struct device_list *all)
{
	values->n = 0;
	add_text(values, "mode", mode_name(device->status.mode));
	add_text(values, "stage", stage_name(device->status.stage));
	add_number(values, "size", device->len * SECTOR_BYTES);
	add(values, "device", false, "%u:%u", device->major, device->minor);
	if (device->status.mode == MODE_SECONDARY)
		add_secondary(values, &device->status);
	else if (device->status.mode == MODE_INGRESS)
		add_ingress(values, &device->status, all);
	else
		add_primary(values, &device->status);
}

/*
 * Printing
 */

static void format_time(char text[TIME_BYTES])
{
	struct timespec ts;
	char seconds[24];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, TIME_BYTES, "%s.%06ldZ", seconds, ts.tv_nsec / 1000);
}

static struct json_object *json_value(const char *text, bool is_number)
{
	if (is_number)
		return json_object_new_uint64(strtoull(text, NULL, 10));
	return strcmp(text, "-") ? json_object_new_string(text) : NULL;
}

static void print_json(const char *event, const char *name, const struct values *values)
{
	struct json_object *line = json_object_new_object();
	char time[TIME_BYTES];
	unsigned int i;

	format_time(time);
	json_object_object_add(line, "version", json_object_new_int(EVENTS_VERSION));
	json_object_object_add(line, "time", json_object_new_string(time));
	json_object_object_add(line, "event", json_object_new_string(event));
	if (name)
		json_object_object_add(line, "name", json_object_new_string(name));
	for (i = 0; i < values->n; i++)
		json_object_object_add(line, values->at[i].name,
				       json_value(values->at[i].text, values->at[i].is_number));
	puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(line);
}

static void print_text(const struct event_format *format, const char *event, const char *name,
		       const struct values *values)
{
	char time[TIME_BYTES];
	unsigned int i;

	if (format->timestamps) {
		format_time(time);
		printf("%s ", time);
	}
	printf(name ? "%s %s" : "%s", event, name);
	for (i = 0; i < values->n; i++)
		printf(" %s=%s", values->at[i].name, values->at[i].text);
	putchar('\n');
}

static void print_event(const struct event_format *format, const char *event, const char *name,
			const struct values *values)
{
	if (format->json)
		print_json(event, name, values);
	else
		print_text(format, event, name, values);
}

void print_complete(const struct event_format *format)
{
	struct values none = { 0 };

	print_event(format, "complete", NULL, &none);
}

/*
 * Changes
 */

static const struct device *find_name(const struct device_list *list, const char *name)
{
	unsigned int i;

	for (i = 0; i < list->n; i++)
		if (!strcmp(list->devices[i].name, name))
			return &list->devices[i];
	return NULL;
}

/* It has been removed, and made anew, or is of another mode now. */
static bool is_another(const struct device *before, const struct device *now)
{
	return before->status.mode != now->status.mode || strcmp(before->uuid, now->uuid) ||
		before->major != now->major || before->minor != now->minor ||
		now->event_nr < before->event_nr;
}

/* Of the same mode, so that both have the same values. */
static void keep_changed(struct values *values, const struct values *before)
{
	unsigned int i, n = 0;

	for (i = 0; i < values->n; i++)
		if (strcmp(values->at[i].text, before->at[i].text))
			values->at[n++] = values->at[i];
	values->n = n;
}

static void print_gone(const struct event_format *format, const char *name)
{
	struct values none = { 0 };

	print_event(format, "gone", name, &none);
}

static void print_change(const struct event_format *format, const struct device *before,
			 const struct device_list *all_before, const struct device *now,
			 const struct device_list *all)
{
	struct values values, old;

	fill_values(&values, now, all);
	if (before && is_another(before, now)) {
		print_gone(format, before->name);
		before = NULL;
	}
	if (!before) {
		print_event(format, "exists", now->name, &values);
		return;
	}
	fill_values(&old, before, all_before);
	keep_changed(&values, &old);
	if (values.n)
		print_event(format, "change", now->name, &values);
}

void print_changes(const struct event_format *format, const struct device_list *before,
		   const struct device_list *now)
{
	unsigned int i;

	for (i = 0; i < before->n; i++)
		if (!find_name(now, before->devices[i].name))
			print_gone(format, before->devices[i].name);
	for (i = 0; i < now->n; i++)
		print_change(format, find_name(before, now->devices[i].name), before,
			     &now->devices[i], now);
}

static enum outcome look(struct watch *watch, struct device_list *list)
{
	enum outcome outcome = watch_arm(watch);

	return outcome ? outcome : list_devices(list);
}

static enum outcome follow(struct watch *watch, const struct event_format *format, bool now)
{
	struct device_list before = { 0 }, list = { 0 };
	bool complete = false;
	enum outcome outcome;

	for (;;) {
		outcome = look(watch, &list);
		if (outcome)
			break;
		print_changes(format, &before, &list);
		if (!complete)
			print_complete(format);
		complete = true;
		free_devices(&before);
		before = list;
		/* Nobody reads any more. */
		if (fflush(stdout) || now)
			break;
		outcome = watch_wait(watch, -1);
		if (outcome)
			break;
	}
	free_devices(&before);
	return outcome;
}

enum outcome events_command(const struct invocation *in)
{
	struct event_format format = {
		.json = has_option(in, "json"),
		.timestamps = has_option(in, "timestamps"),
	};
	struct watch watch;
	enum outcome outcome = devices_available();

	if (!outcome)
		outcome = watch_open(&watch);
	if (outcome)
		return outcome;
	outcome = follow(&watch, &format, has_option(in, "now"));
	watch_close(&watch);
	return outcome;
}
