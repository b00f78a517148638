// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands check and dump: what is on a metadata device, or on a copy of one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"
#include "metadata-file.h"
#include "units.h"

/* Of the JSON that dump prints. */
#define DUMP_VERSION	1

/* How often the metadata of a set in use is read until nothing changes meanwhile. */
#define MAX_READINGS	5

const struct option_spec check_options[] = {
	{ "quiet", 'q', NULL, "say nothing but what is wrong" },
	{ 0 }
};

const struct option_spec dump_options[] = {
	{ "chunks", 0, NULL, "which chunks or regions, too" },
	{ "json", 'j', NULL, "as JSON" },
	{ 0 }
};

/*
 * Opening
 */

struct metadata_file {
	const char *path;
	int fd;
	u64 sectors;
};

static bool find_size(struct metadata_file *file)
{
	struct stat st;
	u64 bytes;

	if (fstat(file->fd, &st))
		return false;
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(file->fd, BLKGETSIZE64, &bytes))
			return false;
	} else if (S_ISREG(st.st_mode)) {
		bytes = st.st_size;
	} else {
		errno = S_ISDIR(st.st_mode) ? EISDIR : ENOTBLK;
		return false;
	}
	file->sectors = bytes / SECTOR_BYTES;
	return true;
}

/*
 * Direct I/O, for the page cache knows nothing of what the target writes; but for files
 * that do not have it.
 */
static enum outcome open_metadata(const char *path, struct metadata_file *file)
{
	file->path = path;
	file->fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (file->fd < 0 && errno == EINVAL)
		file->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0)
		return error(FAILED, "%s: it cannot be opened: %s", path, strerror(errno));
	if (find_size(file))
		return DONE;
	error(FAILED, "%s: it is neither a block device nor a file: %s", path, strerror(errno));
	close(file->fd);
	return FAILED;
}

/*
 * What the maps hold
 */

struct summary {
	u64 used, current;		/* map sectors */
	u64 active, hidden, both;	/* chunks */
	u64 nr_damaged;
	void (*tell)(void *context, const char *what);
	void *context;
};

static void tell_damage(struct summary *summary, const struct metadata_map *map)
{
	char what[160];

	summary->nr_damaged++;
	snprintf(what, sizeof(what), "map sector %u, of the chunks from %llu on, is damaged: %s",
		 map->number, (u64)map->number * MAP_CHUNKS, map->damage);
	if (summary->tell)
		summary->tell(summary->context, what);
}

static void sum_up(void *context, const struct metadata_map *map)
{
	struct summary *summary = context;
	unsigned int i;

	if (map->damage) {
		tell_damage(summary, map);
		return;
	}
	if (map->unused)
		return;
	summary->used++;
	if (!map->current)
		return;
	summary->current++;
	for (i = 0; i < MAP_WORDS; i++) {
		summary->active += __builtin_popcountll(map->active[i]);
		summary->hidden += __builtin_popcountll(map->hidden[i]);
		summary->both += __builtin_popcountll(map->active[i] & map->hidden[i]);
	}
}

/* The same bytes a moment later: nobody has written a superblock meanwhile. */
static bool is_same(int fd, u64 sectors, const struct metadata_super *super)
{
	struct metadata_super now;
	char why[256];

	return read_metadata_super(fd, sectors, &now, why, sizeof(why)) == METADATA_SET &&
		!memcmp(&now, super, sizeof(now));
}

static void count_damage(void *context, const struct metadata_map *map)
{
	u64 *n = context;

	*n += !!map->damage;
}

/*
 * In a set that is in use a checkpoint may come in between, and what belongs to it looks
 * like damage then: so read until the superblock is the same before and after.
 */
static void settle(int fd, u64 sectors, struct metadata_super *super)
{
	unsigned int i;
	char why[256];
	u64 damaged;

	for (i = 0; i < MAX_READINGS; i++) {
		damaged = 0;
		if (!read_metadata_maps(fd, super, count_damage, &damaged) || !damaged ||
		    is_same(fd, sectors, super) ||
		    read_metadata_super(fd, sectors, super, why, sizeof(why)) != METADATA_SET)
			return;
	}
}

u64 check_metadata_file(int fd, u64 sectors, void (*tell)(void *context, const char *what),
			void *context)
{
	struct summary summary = { .tell = tell, .context = context };
	struct metadata_super super;
	char why[256];

	switch (read_metadata_super(fd, sectors, &super, why, sizeof(why))) {
	case METADATA_BLANK:
		return 0;
	case METADATA_SET:
		settle(fd, sectors, &super);
		if (!read_metadata_maps(fd, &super, sum_up, &summary)) {
			tell(context, "out of memory");
			return 1;
		}
		return summary.nr_damaged;
	default:
		tell(context, why);
		return 1;
	}
}

static void print_damage(void *context, const char *what)
{
	const struct metadata_file *file = context;

	printf("%s: %s\n", file->path, what);
}

/* That there is metadata, damaged or not. */
static enum outcome check_there(const struct metadata_file *file)
{
	struct metadata_super super;
	char why[256];

	switch (read_metadata_super(file->fd, file->sectors, &super, why, sizeof(why))) {
	case METADATA_BLANK:
		return error(FAILED, "%s: there is no metadata on it: its first 4 KiB are zero, as dmrepctl format leaves a new metadata device, or as any unused device may be",
			     file->path);
	case METADATA_OTHER:
		return error(FAILED, "%s: there is no metadata on it: it has other content, which dmrepctl format would overwrite",
			     file->path);
	default:
		return DONE;
	}
}

static enum outcome check_one(const char *path, bool quiet)
{
	struct metadata_file file;
	enum outcome outcome = open_metadata(path, &file);
	u64 n;

	if (outcome)
		return outcome;
	outcome = check_there(&file);
	if (outcome) {
		close(file.fd);
		return outcome;
	}
	n = check_metadata_file(file.fd, file.sectors, print_damage, &file);
	close(file.fd);
	if (n)
		return error(FAILED, "%s: %s; the target cannot use it as it is, and nothing mends it: dmrepctl format makes it a new one, without what the view held, or the primary knew",
			     path, n > 1 ? "it is damaged in several places" : "it is no good");
	if (!quiet)
		printf("%s: it is good\n", path);
	return DONE;
}

enum outcome check_command(const struct invocation *in)
{
	enum outcome outcome = DONE;
	int i;

	for (i = 0; i < in->argc; i++)
		if (check_one(in->argv[i], has_option(in, "quiet")))
			outcome = FAILED;
	return outcome;
}

/*
 * Ranges of chunks
 */

struct ranges {
	const char *store;
	bool hidden;
	bool open;
	u64 first, next;
	void (*give)(void *context, const char *store, u64 first, u64 last);
	void *context;
};

static void end_range(struct ranges *ranges)
{
	if (ranges->open)
		ranges->give(ranges->context, ranges->store, ranges->first, ranges->next - 1);
	ranges->open = false;
}

static void add_chunk(struct ranges *ranges, u64 chunk)
{
	if (!ranges->open || ranges->next != chunk) {
		end_range(ranges);
		ranges->open = true;
		ranges->first = chunk;
	}
	ranges->next = chunk + 1;
}

static void add_map(void *context, const struct metadata_map *map)
{
	struct ranges *ranges = context;
	const u64 *words = ranges->hidden ? map->hidden : map->active;
	unsigned int i;

	if (map->damage || map->unused || !map->current)
		return;
	for (i = 0; i < MAP_CHUNKS; i++)
		if (words[i / 64] >> i % 64 & 1)
			add_chunk(ranges, (u64)map->number * MAP_CHUNKS + i);
}

/* First those of active, then those of hidden; of a primary, those that are clean. */
static void give_ranges(int fd, const struct metadata_super *super,
			void (*give)(void *context, const char *store, u64 first, u64 last),
			void *context)
{
	struct ranges ranges = {
		.store = super->primary ? "clean" : "active",
		.give = give,
		.context = context,
	};

	read_metadata_maps(fd, super, add_map, &ranges);
	end_range(&ranges);
	if (super->primary)
		return;
	ranges.store = "hidden";
	ranges.hidden = true;
	read_metadata_maps(fd, super, add_map, &ranges);
	end_range(&ranges);
}

/*
 * Text
 */

static void print_range(void *context, const char *store, u64 first, u64 last)
{
	(void)context;
	if (first == last)
		printf("%s %llu\n", store, first);
	else
		printf("%s %llu-%llu\n", store, first, last);
}

static void print_stored(const char *name, u64 chunks, const struct metadata_super *super)
{
	char size[SIZE_TEXT_BYTES];

	printf("%-16s %llu %s, %s\n", name, chunks, super->primary ? "regions" : "chunks",
	       format_size(chunks * super->chunk_sectors * SECTOR_BYTES, size));
}

static const char *kind_name(const struct metadata_super *super)
{
	return super->primary ? "primary" : "secondary";
}

static void print_text(const struct metadata_super *super, const struct summary *summary)
{
	char size[SIZE_TEXT_BYTES];

	printf("%-16s %u\n", "version", super->version);
	printf("%-16s %s\n", "uuid", super->uuid);
	printf("%-16s %s\n", "kind", kind_name(super));
	printf("%-16s %s\n", super->primary ? "primary" : "view",
	       super->view[0] ? super->view : "-");
	printf("%-16s %s\n", "stage", super->stage);
	printf("%-16s %llu\n", "epoch", super->epoch);
	printf("%-16s %s\n", "error", super->error);
	printf("%-16s %llu sectors, %s\n", super->primary ? "local" : "secondary", super->len,
	       format_size(super->len * SECTOR_BYTES, size));
	printf("%-16s %u sectors, %s\n", super->primary ? "region" : "chunk", super->chunk_sectors,
	       format_size(super->chunk_sectors * (u64)SECTOR_BYTES, size));
	printf("%-16s %llu\n", super->primary ? "regions" : "chunks", super->nr_chunks);
	printf("%-16s %u; %llu used, %llu of this epoch, %llu damaged\n", "map sectors",
	       super->nr_maps, summary->used, summary->current, summary->nr_damaged);
	if (super->primary) {
		print_stored("clean", summary->active, super);
		return;
	}
	print_stored("active", summary->active, super);
	print_stored("hidden", summary->hidden, super);
	print_stored("both", summary->both, super);
}

/*
 * JSON
 */

static void add_text(struct json_object *to, const char *name, const char *text)
{
	bool none = !text[0] || !strcmp(text, "-");

	json_object_object_add(to, name, none ? NULL : json_object_new_string(text));
}

static void add_number(struct json_object *to, const char *name, u64 number)
{
	json_object_object_add(to, name, json_object_new_uint64(number));
}

static void add_range(void *context, const char *store, u64 first, u64 last)
{
	struct json_object *ranges, *range = json_object_new_array();

	json_object_object_get_ex(context, store, &ranges);
	json_object_array_add(range, json_object_new_uint64(first));
	json_object_array_add(range, json_object_new_uint64(last));
	json_object_array_add(ranges, range);
}

static void add_stores(struct json_object *to, const struct summary *summary)
{
	add_number(to, "active_chunks", summary->active);
	add_number(to, "hidden_chunks", summary->hidden);
	add_number(to, "both_chunks", summary->both);
}

static void add_ranges(struct json_object *to, int fd, const struct metadata_super *super)
{
	struct json_object *ranges = json_object_new_object();

	if (super->primary) {
		json_object_object_add(ranges, "clean", json_object_new_array());
	} else {
		json_object_object_add(ranges, "active", json_object_new_array());
		json_object_object_add(ranges, "hidden", json_object_new_array());
	}
	give_ranges(fd, super, add_range, ranges);
	json_object_object_add(to, super->primary ? "regions" : "chunks", ranges);
}

static void print_json(int fd, const struct metadata_super *super, const struct summary *summary,
		       bool chunks)
{
	struct json_object *to = json_object_new_object();
	bool primary = super->primary;

	add_number(to, "version", DUMP_VERSION);
	add_number(to, "format_version", super->version);
	add_text(to, "uuid", super->uuid);
	add_text(to, "kind", kind_name(super));
	add_text(to, primary ? "primary" : "view", super->view);
	add_text(to, "stage", super->stage);
	add_number(to, "epoch", super->epoch);
	add_text(to, "error", super->error);
	add_number(to, "size", super->len * SECTOR_BYTES);
	add_number(to, primary ? "region_size" : "chunk_size",
		   super->chunk_sectors * (u64)SECTOR_BYTES);
	add_number(to, primary ? "total_regions" : "total_chunks", super->nr_chunks);
	add_number(to, "map_sectors", super->nr_maps);
	add_number(to, "used_map_sectors", summary->used);
	add_number(to, "current_map_sectors", summary->current);
	add_number(to, "damaged_map_sectors", summary->nr_damaged);
	if (primary)
		add_number(to, "clean_regions", summary->active);
	else
		add_stores(to, summary);
	if (chunks)
		add_ranges(to, fd, super);
	puts(json_object_to_json_string_ext(to, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(to);
}

static enum outcome dump(const struct metadata_file *file, const struct invocation *in)
{
	struct summary summary = { 0 };
	struct metadata_super super;
	char why[256];

	switch (read_metadata_super(file->fd, file->sectors, &super, why, sizeof(why))) {
	case METADATA_SET:
		break;
	case METADATA_BLANK:
		return error(FAILED, "%s: it is a new one: there is nothing to show", file->path);
	default:
		return error(FAILED, "%s: %s", file->path, why);
	}
	settle(file->fd, file->sectors, &super);
	if (!read_metadata_maps(file->fd, &super, sum_up, &summary))
		return out_of_memory();
	if (has_option(in, "json")) {
		print_json(file->fd, &super, &summary, has_option(in, "chunks"));
	} else {
		print_text(&super, &summary);
		if (has_option(in, "chunks"))
			give_ranges(file->fd, &super, print_range, NULL);
	}
	if (summary.nr_damaged)
		return error(FAILED, "%s: it is damaged, and this is not all of it; dmrepctl check %s tells where",
			     file->path, file->path);
	return DONE;
}

enum outcome dump_command(const struct invocation *in)
{
	struct metadata_file file;
	enum outcome outcome = open_metadata(in->argv[0], &file);

	if (outcome)
		return outcome;
	outcome = dump(&file, in);
	close(file.fd);
	return outcome;
}
