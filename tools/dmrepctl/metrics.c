// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command metrics: what Prometheus may want to know.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"

#define PREFIX	"dm_replication_"

const struct option_spec metrics_options[] = {
	{ "output", 'o', "FILE", "there, at once, instead of stdout" },
	{ 0 }
};

/*
 * One metric: of which modes' devices, and its value. Where there is another label there
 * is a value for each of its words, being 1 for the one that is true.
 */
struct metric {
	const char *name, *type, *help;
	unsigned int modes;
	u64 (*value)(const struct device *device);
	const char *label;
	const char *(*word)(const struct device *device, unsigned int nr);
};

#define SECONDARY	(1U << MODE_SECONDARY)
#define INGRESS		(1U << MODE_INGRESS)
#define PRIMARY		(1U << MODE_PRIMARY)
#define ALL_MODES	(SECONDARY | INGRESS | PRIMARY)

static u64 chunks(const struct device *device, u64 n)
{
	return n * device->status.chunk_sectors * SECTOR_BYTES;
}

static u64 size(const struct device *device)
{
	return device->len * SECTOR_BYTES;
}

static u64 open_count(const struct device *device)
{
	return device->open_count;
}

static u64 suspended(const struct device *device)
{
	return device->suspended;
}

static u64 events(const struct device *device)
{
	return device->event_nr;
}

static u64 epochs(const struct device *device)
{
	return device->status.epoch;
}

static u64 chunk_size(const struct device *device)
{
	return chunks(device, 1);
}

static u64 active(const struct device *device)
{
	return chunks(device, device->status.active_chunks);
}

static u64 hidden(const struct device *device)
{
	return chunks(device, device->status.hidden_chunks);
}

static u64 merged(const struct device *device)
{
	return chunks(device, device->status.merged);
}

static u64 to_merge(const struct device *device)
{
	return chunks(device, device->status.to_merge);
}

static u64 failed(const struct device *device)
{
	return strcmp(device->status.error, "-") != 0;
}

static u64 metadata_failed(const struct device *device)
{
	return strcmp(device->status.metadata, "rw") && strcmp(device->status.metadata, "-");
}

static u64 fenced(const struct device *device)
{
	return device->status.fenced;
}

static u64 insync(const struct device *device)
{
	return !strcmp(device->status.sync, "insync");
}

static u64 dirty(const struct device *device)
{
	return device->status.dirty_regions;
}

static u64 regions(const struct device *device)
{
	return device->status.total_regions;
}

static const char *stage(const struct device *device, unsigned int nr)
{
	(void)device;
	return nr <= STAGE_DONE ? stage_name(nr) : NULL;
}

static u64 stage_nr(const struct device *device)
{
	return device->status.stage;
}

static const struct metric metrics[] = {
	{ "stage", "gauge", "1 for the stage that the device is in.", ALL_MODES, stage_nr,
	  "stage", stage },
	{ "size_bytes", "gauge", "Size of the device.", ALL_MODES, size, NULL, NULL },
	{ "open", "gauge", "How often the device is open.", ALL_MODES, open_count, NULL, NULL },
	{ "suspended", "gauge", "Whether the device is suspended.", ALL_MODES, suspended,
	  NULL, NULL },
	{ "events_total", "counter", "Changes of stage and sync, errors, checkpoints.", ALL_MODES,
	  events, NULL, NULL },
	{ "epochs_total", "counter", "Checkpoints, the start being the first.", SECONDARY, epochs,
	  NULL, NULL },
	{ "chunk_size_bytes", "gauge", "Size of a chunk.", SECONDARY, chunk_size, NULL, NULL },
	{ "active_bytes", "gauge", "What active holds.", SECONDARY, active, NULL, NULL },
	{ "hidden_bytes", "gauge", "What hidden holds.", SECONDARY, hidden, NULL, NULL },
	{ "merged_bytes", "gauge", "What has been merged since the failover.", SECONDARY, merged,
	  NULL, NULL },
	{ "to_merge_bytes", "gauge", "What there was to merge at the failover.", SECONDARY,
	  to_merge, NULL, NULL },
	{ "error", "gauge", "Whether there was an I/O error.", SECONDARY | PRIMARY, failed,
	  NULL, NULL },
	{ "metadata_failed", "gauge", "Whether the metadata device has failed.",
	  SECONDARY | PRIMARY, metadata_failed, NULL, NULL },
	{ "fenced", "gauge", "Whether the ingress lets nothing through.", INGRESS, fenced,
	  NULL, NULL },
	{ "insync", "gauge", "Whether the replica equals the local disk.", PRIMARY, insync,
	  NULL, NULL },
	{ "dirty_regions", "gauge", "Regions that may differ.", PRIMARY, dirty, NULL, NULL },
	{ "regions", "gauge", "All regions.", PRIMARY, regions, NULL, NULL },
};

/* The value of a label, in which three characters have to be escaped. */
static void print_label(FILE *to, const char *name, const char *value)
{
	fprintf(to, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', to);
		if (*value == '\n')
			fputs("\\n", to);
		else
			fputc(*value, to);
	}
	fputc('"', to);
}

static void print_sample(FILE *to, const struct metric *metric, const struct device *device,
			 const char *word, u64 value)
{
	fprintf(to, PREFIX "%s{", metric->name);
	print_label(to, "name", device->name);
	fputc(',', to);
	print_label(to, "mode", mode_name(device->status.mode));
	if (word) {
		fputc(',', to);
		print_label(to, metric->label, word);
	}
	fprintf(to, "} %llu\n", value);
}

static void print_samples(FILE *to, const struct metric *metric, const struct device *device)
{
	u64 value = metric->value(device);
	const char *word;
	unsigned int nr;

	if (!metric->word) {
		print_sample(to, metric, device, NULL, value);
		return;
	}
	for (nr = 0; (word = metric->word(device, nr)); nr++)
		print_sample(to, metric, device, word, nr == value);
}

void print_metrics(FILE *to, const struct device_list *list)
{
	const struct metric *metric;
	unsigned int i;

	for (metric = metrics; metric < metrics + ARRAY_SIZE(metrics); metric++) {
		fprintf(to, "# HELP " PREFIX "%s %s\n", metric->name, metric->help);
		fprintf(to, "# TYPE " PREFIX "%s %s\n", metric->name, metric->type);
		for (i = 0; i < list->n; i++)
			if (metric->modes & 1U << list->devices[i].status.mode)
				print_samples(to, metric, &list->devices[i]);
	}
}

/* Who reads the file sees the old one or the new one, and never a part. */
static enum outcome write_file(const char *path, const struct device_list *list)
{
	char *temporary;
	FILE *file;
	bool good;

	if (asprintf(&temporary, "%s.%d", path, getpid()) < 0)
		return out_of_memory();
	file = fopen(temporary, "we");
	if (file)
		print_metrics(file, list);
	good = file && !fflush(file) && !ferror(file);
	if (file)
		good = !fclose(file) && good;
	if (good)
		good = !rename(temporary, path);
	if (!good) {
		error(FAILED, "%s: it cannot be written: %s", path, strerror(errno));
		unlink(temporary);
	}
	free(temporary);
	return good ? DONE : FAILED;
}

enum outcome metrics_command(const struct invocation *in)
{
	const char *path = option(in, "output");
	enum outcome outcome = devices_available();
	struct device_list list;

	if (!outcome)
		outcome = list_devices(&list);
	if (outcome)
		return outcome;
	if (path)
		outcome = write_file(path, &list);
	else
		print_metrics(stdout, &list);
	free_devices(&list);
	return outcome;
}
