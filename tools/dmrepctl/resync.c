// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands about a primary's replica that change no table: resync, which waits until it is in
 * sync, and resync-rate.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "interrupt.h"
#include "job.h"
#include "primary.h"
#include "progress.h"
#include "resync.h"
#include "units.h"

/* So long a replica that had failed may take to answer, and so often we look meanwhile. */
#define ANSWER_SECONDS		5
#define ANSWER_INTERVAL		250000	/* microseconds */

const struct option_spec resync_options[] = {
	{ "no-wait", 0, NULL, "wait for the replica's answer only" },
	{ 0 }
};

/*
 * Waiting
 */

struct waiting {
	struct device *device;
	struct progress progress;
	u64 region;		/* bytes */
	u64 most;		/* dirty regions, so far */
	bool answer;		/* nothing but the replica's answer is waited for */
	bool begun;		/* it has been seen to copy */
	bool gone;
};

/* In sync, or nothing that can be waited for. */
static bool has_ended(const struct waiting *waiting)
{
	const struct device *device = waiting->device;

	if (waiting->gone || device->status.stage != STAGE_RUNNING || sync_is(device, "insync"))
		return true;
	if (waiting->answer && !sync_is(device, "degraded"))
		return true;
	return sync_is(device, "degraded") &&
		(waiting->begun || progress_seconds(&waiting->progress) >= ANSWER_SECONDS);
}

static void show(struct waiting *waiting)
{
	u64 dirty = waiting->device->status.dirty_regions;

	if (dirty > waiting->most)
		waiting->most = dirty;
	progress_show(&waiting->progress, (waiting->most - dirty) * waiting->region,
		      waiting->most * waiting->region);
}

static void wait_for_sync(struct waiting *waiting)
{
	struct device *device = waiting->device;

	catch_signals(ANSWER_INTERVAL);
	while (!has_ended(waiting) && !is_interrupted()) {
		if (!waiting->begun && sync_is(device, "resync")) {
			waiting->begun = true;
			catch_signals(progress_interval(&waiting->progress));
		}
		if (waiting->begun)
			show(waiting);
		waiting->gone = wait_event(device) == WAIT_GONE || !refresh_device(device);
	}
	stop_timer();
	progress_end(&waiting->progress);
}

/* Whether it has come to what was waited for, or may still come to it. */
static enum outcome check_replicated(const struct waiting *waiting)
{
	const struct device *device = waiting->device;

	if (waiting->gone)
		return error(FAILED, "%s: it has been removed", device->name);
	if (device->status.stage != STAGE_RUNNING)
		return error(FAILED, "%s: stage %s: it is not replicated any more", device->name,
			     stage_name(device->status.stage));
	if (sync_is(device, "degraded") && !waiting->begun && is_interrupted())
		return error(FAILED, "%s: interrupted: the replica has not answered yet; dmrepctl resync %s tries again",
			     device->name, device->name);
	if (sync_is(device, "degraded"))
		return error(FAILED, "%s: the replica %s, with %llu of %llu regions dirty; dmrepctl resync %s tries again",
			     device->name, waiting->begun ? "has failed" : "does not answer",
			     device->status.dirty_regions, device->status.total_regions,
			     device->name);
	return DONE;
}

/* A degraded primary copies nothing: until the replica answers nothing has begun. */
static enum outcome follow_answer(struct device *device)
{
	struct waiting waiting = { .device = device, .answer = true };

	progress_begin(&waiting.progress, device->name, "copying");
	wait_for_sync(&waiting);
	return check_replicated(&waiting);
}

enum outcome follow_resync(struct device *device, u64 region)
{
	struct waiting waiting = { .device = device, .region = region };
	char size[SIZE_TEXT_BYTES], time[SIZE_TEXT_BYTES];
	enum outcome outcome;

	progress_begin(&waiting.progress, device->name, "copying");
	wait_for_sync(&waiting);
	outcome = check_replicated(&waiting);
	if (outcome)
		return outcome;
	if (!sync_is(device, "insync")) {
		warning("%s: the copying goes on; dmrepctl resync %s waits for its end, dmrepctl status %s shows how far it is",
			device->name, device->name, device->name);
		return FAILED;
	}
	if (!waiting.most) {
		printf("%s: in sync\n", device->name);
		return DONE;
	}
	printf("%s: in sync, %s copied in %s\n", device->name,
	       format_size(waiting.most * region, size),
	       format_duration(progress_seconds(&waiting.progress), time));
	return DONE;
}

enum outcome resync_command(const struct invocation *in)
{
	struct device device;
	struct primary_table table;
	enum outcome outcome = get_primary(in, &device);

	if (outcome || nothing_to_do(&device))
		return outcome;
	outcome = send_message(&device, "resync", NULL, 0);
	if (!outcome)
		outcome = get_primary_table(&device, &table);
	if (outcome)
		return outcome;
	if (!refresh_device(&device))
		return error(FAILED, "%s: it has been removed", device.name);
	if (has_option(in, "no-wait"))
		return follow_answer(&device);
	return follow_resync(&device, region_bytes(&table));
}

/*
 * The rate
 */

/* "10M", or "10M/s", in the target's unit: KiB a second. */
static bool parse_rate(const char *text, u32 *rate)
{
	char size[SIZE_TEXT_BYTES + 8];
	size_t len = strlen(text);
	u64 bytes;

	if (len >= sizeof(size))
		return false;
	memcpy(size, text, len + 1);
	if (len > 2 && !strcmp(size + len - 2, "/s"))
		size[len - 2] = '\0';
	if (!parse_size(size, &bytes) || bytes / 1024 >= ~0U)
		return false;
	/* Very slow is not without a limit. */
	*rate = bytes / 1024 + !!(bytes % 1024);
	return true;
}

enum outcome resync_rate_command(const struct invocation *in)
{
	struct device device;
	enum outcome outcome;
	char message[64];
	u32 rate;

	if (!parse_rate(in->argv[1], &rate))
		return error(WRONG_USAGE, "%s: this is no rate, such as 10M a second; 0 is no limit",
			     in->argv[1]);
	outcome = get_primary(in, &device);
	if (outcome || nothing_to_do(&device))
		return outcome;
	snprintf(message, sizeof(message), "resync_rate %u", rate);
	return send_message(&device, message, NULL, 0);
}
