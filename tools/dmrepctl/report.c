// SPDX-License-Identifier: GPL-2.0-only
/*
 * libdevmapper's reports do the selecting, sorting and printing. What they print as
 * JSON has strings only; where a field is a number, it is made one here.
 */
#define _GNU_SOURCE
#include <json-c/json.h>
#include <libdevmapper.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "report.h"
#include "select.h"
#include "units.h"

/*
 * What is reported of a device
 */

struct number {
	bool there;		/* it has one, in this mode */
	uint64_t value;
};

struct row {
	const char *name, *uuid, *mode, *stage, *metadata, *error, *fence, *sync;
	char top[NAME_BYTES], number[2 * 11], suspended[4];
	struct number size, chunk_size, active_size, hidden_size, merged_size, to_merge_size;
	struct number epoch, active_chunks, hidden_chunks, total_chunks, merged, to_merge;
	struct number dirty_regions, total_regions, open, events;
	struct number progress;	/* of 10000 */
};

/* What a report's functions are given beside the row. */
struct style {
	char unit;
	uint64_t factor;
	bool suffix;
	bool json;
};

static struct number number(u64 value)
{
	return (struct number){ .there = true, .value = value };
}

static void fill_secondary(struct row *row, const struct status_line *status)
{
	u64 chunk = status->chunk_sectors;

	row->epoch = number(status->epoch);
	row->chunk_size = number(chunk);
	row->active_chunks = number(status->active_chunks);
	row->active_size = number(status->active_chunks * chunk);
	row->hidden_chunks = number(status->hidden_chunks);
	row->hidden_size = number(status->hidden_chunks * chunk);
	row->total_chunks = number(status->total_chunks);
	row->merged = number(status->merged);
	row->merged_size = number(status->merged * chunk);
	row->to_merge = number(status->to_merge);
	row->to_merge_size = number(status->to_merge * chunk);
	/* 100 % only if it is all. */
	if (status->to_merge)
		row->progress = number(10000.0L * status->merged / status->to_merge);
	row->metadata = status->metadata;
	row->error = status->error;
}

static void fill_ingress(struct row *row, const struct status_line *status,
			 const struct device_list *all)
{
	const struct device *top = find_device(all, status->top_major, status->top_minor);

	row->fence = status->fenced ? "fenced" : "open";
	if (top)
		snprintf(row->top, sizeof(row->top), "%s", top->name);
	else
		snprintf(row->top, sizeof(row->top), "%u:%u", status->top_major,
			 status->top_minor);
}

static void fill_primary(struct row *row, const struct status_line *status)
{
	row->sync = status->sync;
	row->dirty_regions = number(status->dirty_regions);
	row->total_regions = number(status->total_regions);
	row->metadata = status->metadata;
	row->error = status->error;
}

static void fill_row(struct row *row, const struct device *device, const struct device_list *all)
{
	const struct status_line *status = &device->status;

	memset(row, 0, sizeof(*row));
	row->metadata = "";
	row->error = "";
	row->fence = "";
	row->sync = "";
	row->name = device->name;
	row->uuid = device->uuid;
	row->mode = mode_name(status->mode);
	row->stage = stage_name(status->stage);
	snprintf(row->number, sizeof(row->number), "%u:%u", device->major, device->minor);
	snprintf(row->suspended, sizeof(row->suspended), "%s", device->suspended ? "yes" : "no");
	row->size = number(device->len);
	row->open = number(device->open_count);
	row->events = number(device->event_nr);
	if (status->mode == MODE_SECONDARY)
		fill_secondary(row, status);
	else if (status->mode == MODE_INGRESS)
		fill_ingress(row, status, all);
	else
		fill_primary(row, status);
}

/*
 * The fields
 */

/* In JSON the library escapes quotation marks, but not what it escapes them with. */
static const char *escaped(struct dm_pool *mem, const char *text, const struct style *style)
{
	char *copy, *to;

	if (!style->json || !strchr(text, '\\'))
		return text;
	copy = dm_pool_alloc(mem, 2 * strlen(text) + 1);
	for (to = copy; copy && *text; text++) {
		if (*text == '\\')
			*to++ = '\\';
		*to++ = *text;
	}
	if (copy)
		*to = '\0';
	return copy;
}

static int set_text(struct dm_report *report, struct dm_pool *mem,
		    struct dm_report_field *field, const void *data, void *style)
{
	const char *value = dm_pool_strdup(mem, data), *text;

	(void)report;
	text = value ? escaped(mem, value, style) : NULL;
	if (text)
		dm_report_field_set_value(field, text, value);
	return !!text;
}

static int set_string(struct dm_report *report, struct dm_pool *mem,
		      struct dm_report_field *field, const void *data, void *style)
{
	return set_text(report, mem, field, *(const char * const *)data, style);
}

/* An empty cell, which is sorted and selected as 0. */
static int set_empty(struct dm_report_field *field)
{
	static const uint64_t zero;

	dm_report_field_set_value(field, "", &zero);
	return 1;
}

static int set_number(struct dm_report *report, struct dm_pool *mem,
		      struct dm_report_field *field, const void *data, void *style)
{
	const struct number *number = data;

	(void)mem;
	(void)style;
	return number->there ? dm_report_field_uint64(report, field, &number->value) :
		set_empty(field);
}

/* Not the library's own type for it, which cannot be sorted. */
static int set_percent(struct dm_report *report, struct dm_pool *mem,
		       struct dm_report_field *field, const void *data, void *style)
{
	const struct number *number = data;
	uint64_t *whole;
	char *text;

	(void)report;
	(void)style;
	if (!number->there)
		return set_empty(field);
	text = dm_pool_alloc(mem, SIZE_TEXT_BYTES);
	whole = dm_pool_alloc(mem, sizeof(*whole));
	if (!text || !whole)
		return 0;
	snprintf(text, SIZE_TEXT_BYTES, "%llu.%02llu", (u64)number->value / 100,
		 (u64)number->value % 100);
	*whole = number->value / 100;
	dm_report_field_set_value(field, text, whole);
	return 1;
}

/* A number of sectors. */
static int set_size(struct dm_report *report, struct dm_pool *mem,
		    struct dm_report_field *field, const void *data, void *context)
{
	const struct number *number = data;
	const struct style *style = context;
	const char *text;
	double *sectors;

	(void)report;
	if (!number->there)
		return set_empty(field);
	text = dm_size_to_string(mem, number->value, style->unit, 1, style->factor, style->suffix,
				 DM_SIZE_UNIT);
	sectors = dm_pool_alloc(mem, sizeof(*sectors));
	if (!text || !sectors)
		return 0;
	/* Selections compare sizes as doubles, and so is their order right too. */
	*sectors = number->value;
	dm_report_field_set_value(field, text, sectors);
	return 1;
}

/* Without an alignment: where there is one, the library cannot select numbers. */
#define FIELD(member, type, width, id, heading, fn, desc) {		\
	1, DM_REPORT_FIELD_TYPE_##type, offsetof(struct row, member),	\
	width, id, heading, fn, desc }
#define TEXT(member, width, id, heading, desc) \
	FIELD(member, STRING, width, id, heading, set_text, desc)
#define STRING(member, width, id, heading, desc) \
	FIELD(member, STRING, width, id, heading, set_string, desc)
#define NUMBER(member, width, id, heading, desc) \
	FIELD(member, NUMBER, width, id, heading, set_number, desc)
#define SIZE(member, width, id, heading, desc) \
	FIELD(member, SIZE, width, id, heading, set_size, desc)

static const struct dm_report_field_type fields[] = {
	STRING(name, 4, "name", "Name", "The device's name."),
	STRING(mode, 4, "mode", "Mode", "secondary, ingress or primary."),
	STRING(stage, 5, "stage", "Stage", "none, running, failover, failover-failed or done."),
	NUMBER(epoch, 5, "epoch", "Epoch", "Number of the current checkpoint."),
	SIZE(size, 4, "size", "Size", "The device's size."),
	SIZE(chunk_size, 5, "chunk_size", "Chunk", "The chunk size."),
	SIZE(active_size, 6, "active", "Active", "What active holds."),
	SIZE(hidden_size, 6, "hidden", "Hidden", "What hidden holds."),
	NUMBER(active_chunks, 7, "active_chunks", "#Active", "Chunks that active holds."),
	NUMBER(hidden_chunks, 7, "hidden_chunks", "#Hidden", "Chunks that hidden holds."),
	NUMBER(total_chunks, 7, "total_chunks", "#Chunks", "Chunks of the secondary."),
	SIZE(merged_size, 6, "merged", "Merged", "What has been merged."),
	SIZE(to_merge_size, 7, "to_merge", "ToMerge", "What there was to merge at the failover."),
	NUMBER(merged, 7, "merged_chunks", "#Merged", "Chunks that have been merged."),
	NUMBER(to_merge, 8, "to_merge_chunks", "#ToMerge", "Chunks that there were to merge."),
	FIELD(progress, NUMBER, 6, "progress", "Merge%", set_percent,
	      "How much of the merge is done, per cent."),
	STRING(metadata, 4, "metadata", "Meta", "Mode of the metadata device; - for none."),
	STRING(error, 5, "error", "Error", "The first I/O error, one word; - for none."),
	STRING(fence, 5, "fence", "Fence", "Of an ingress: open or fenced."),
	TEXT(top, 3, "top", "Top", "Of an ingress: its view."),
	STRING(sync, 4, "sync", "Sync", "Of a primary: insync, degraded or resync."),
	NUMBER(dirty_regions, 6, "dirty_regions", "#Dirty", "Of a primary: those that may differ."),
	NUMBER(total_regions, 8, "total_regions", "#Regions", "Of a primary: all regions."),
	NUMBER(open, 4, "open", "Open", "How often the device is open."),
	TEXT(suspended, 4, "suspended", "Susp", "yes or no."),
	NUMBER(events, 6, "events", "Events", "How many events there were."),
	TEXT(number, 7, "device", "Device", "The device's number, major:minor."),
	STRING(uuid, 4, "uuid", "UUID", "The device's UUID."),
	{ 0 },
};

static void *row_itself(void *row)
{
	return row;
}

static const struct dm_report_object_type types[] = {
	{ 1, "dm-replication devices", "", row_itself },
	{ 0, "", "", NULL },
};

void print_fields(void)
{
	unsigned int i;

	for (i = 0; fields[i].report_fn; i++)
		printf("  %-16s %s\n", fields[i].id, fields[i].desc);
}

/*
 * JSON
 */

static const struct dm_report_field_type *find_field(const char *id)
{
	unsigned int i;

	for (i = 0; fields[i].report_fn; i++)
		if (!strcmp(fields[i].id, id))
			return &fields[i];
	return NULL;
}

/* A string of the library's as what it is. */
static struct json_object *real_value(const char *id, const char *text)
{
	const struct dm_report_field_type *field = find_field(id);
	u32 type = field ? field->flags & DM_REPORT_FIELD_TYPE_MASK : 0;

	if (!*text || !strcmp(text, "-"))
		return NULL;
	if (type == DM_REPORT_FIELD_TYPE_NUMBER && strchr(text, '.'))
		return json_object_new_double_s(strtod(text, NULL), text);
	if (type == DM_REPORT_FIELD_TYPE_NUMBER || type == DM_REPORT_FIELD_TYPE_SIZE)
		return json_object_new_uint64(strtoull(text, NULL, 10));
	if (!strcmp(id, "suspended"))
		return json_object_new_boolean(!strcmp(text, "yes"));
	return json_object_new_string(text);
}

static struct json_object *real_row(struct json_object *from)
{
	struct json_object *to = json_object_new_object();

	json_object_object_foreach(from, id, value)
		json_object_object_add(to, id, real_value(id, json_object_get_string(value)));
	return to;
}

/* From the library's {"devices":[{...},...]} */
static struct json_object *real_report(struct json_object *from)
{
	struct json_object *to = json_object_new_object(), *rows = json_object_new_array();
	struct json_object *devices = NULL;
	size_t i;

	json_object_object_get_ex(from, "devices", &devices);
	for (i = 0; devices && i < json_object_array_length(devices); i++)
		json_object_array_add(rows, real_row(json_object_array_get_idx(devices, i)));
	json_object_object_add(to, "version", json_object_new_int(SCHEMA_VERSION));
	json_object_object_add(to, "devices", rows);
	return to;
}

static void append_line(void *context, const char *line)
{
	FILE *text = context;

	fputs(line, text);
}

static enum outcome print_json(const char *text)
{
	struct json_object *from = json_tokener_parse(text), *to;

	if (!from)
		return error(FAILED, "libdevmapper's JSON cannot be read");
	to = real_report(from);
	puts(json_object_to_json_string_ext(to, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(to);
	json_object_put(from);
	return DONE;
}

/*
 * Colour, which is put in when a line has its columns already
 */

static bool is_trouble(const char *word, size_t len)
{
	static const char * const words[] = { "failover-failed", "fail", "degraded" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == len && !strncmp(words[i], word, len))
			return true;
	return len > 3 && !strncmp(word + len - 3, "-io", 3);
}

/* The last column's padding is of no use. */
static void print_line(void *context, const char *line)
{
	const struct report_options *options = context;
	size_t word, space, end = strlen(line);

	while (!options->separator && end && line[end - 1] == ' ')
		end--;
	if (options->columns && end > options->columns)
		end = options->columns;
	while (end) {
		space = strspn(line, " ");
		space = space < end ? space : end;
		word = strcspn(line + space, " ");
		word = space + word < end ? word : end - space;
		printf(options->colour && is_trouble(line + space, word) ?
		       "%.*s\033[31m%.*s\033[m" : "%.*s%.*s",
		       (int)space, line, (int)word, line + space);
		line += space + word;
		end -= space + word;
	}
	putchar('\n');
}

/*
 * Reports
 */

static bool parse_units(const char *units, struct style *style)
{
	const char *end;

	style->factor = dm_units_to_factor(units, &style->unit, 0, &end);
	return style->factor && !*end;
}

static enum outcome bad_report(void)
{
	static const char prefix[] = "dm_report: ";
	const char *why = library_error()[0] ? library_error() : "the report cannot be made";

	if (!strncmp(why, prefix, strlen(prefix)))
		why += strlen(prefix);
	return error(WRONG_USAGE, "%s; dmrepctl status -o help tells the fields", why);
}

static struct dm_report *new_report(const struct report_options *options, struct style *style)
{
	u32 flags = DM_REPORT_OUTPUT_BUFFERED, type = 1;
	struct dm_report *report;
	char *select;

	if (!options->separator)
		flags |= DM_REPORT_OUTPUT_ALIGNED;
	if (options->headings)
		flags |= DM_REPORT_OUTPUT_HEADINGS;
	library_forget();
	/* The library writes to it. */
	select = strdup(options->select ? options->select : "");
	if (!select)
		return NULL;
	report = dm_report_init_with_selection(&type, types, fields, options->fields,
					       options->separator ? options->separator : " ",
					       flags, options->sort, select, NULL, style);
	free(select);
	return report;
}

static enum outcome add_rows(struct dm_report *report, const struct device_list *list,
			     const struct device_list *all)
{
	struct row row;
	unsigned int i;

	for (i = 0; i < list->n; i++) {
		fill_row(&row, &list->devices[i], all);
		if (!dm_report_object(report, &row))
			return bad_report();
	}
	return DONE;
}

static enum outcome output(const struct report_options *options, struct dm_report *report)
{
	struct dm_report_group *group;
	enum outcome outcome = DONE;
	char *text = NULL;
	FILE *stream;
	size_t len;

	if (!options->json) {
		if (options->compact && !dm_report_compact_fields(report))
			return bad_report();
		library_print_to(print_line, (void *)options);
		dm_report_output(report);
		library_print_to(NULL, NULL);
		return DONE;
	}
	stream = open_memstream(&text, &len);
	group = dm_report_group_create(DM_REPORT_GROUP_JSON, NULL);
	if (!stream || !group)
		return out_of_memory();
	library_print_to(append_line, stream);
	/* The end of the group puts it out. */
	if (!dm_report_group_push(group, report, (void *)"devices") ||
	    !dm_report_group_destroy(group))
		outcome = bad_report();
	library_print_to(NULL, NULL);
	fclose(stream);
	if (!outcome)
		outcome = print_json(text);
	free(text);
	return outcome;
}

enum outcome print_report(const struct report_options *options, const struct device_list *list,
			  const struct device_list *all)
{
	struct style style = {
		.suffix = options->suffix && !options->json,
		.json = options->json,
	};
	struct dm_report *report;
	enum outcome outcome;

	if (!parse_units(options->json ? "b" : options->units, &style))
		return error(WRONG_USAGE,
			     "--units %s: there are h, b, s, k, m, g, t, p and e; upper case for powers of 1000",
			     options->units);
	report = new_report(options, &style);
	if (!report)
		return bad_report();
	outcome = check_selection(options->select, all);
	if (!outcome)
		outcome = add_rows(report, list, all);
	if (!outcome)
		outcome = output(options, report);
	dm_report_free(report);
	return outcome;
}
