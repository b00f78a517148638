// SPDX-License-Identifier: GPL-2.0-only
#include "events.h"
#include "test.h"

static struct device before[3], now[3];

static void set(struct device *device, const char *name, const char *line)
{
	char why[100];

	memset(device, 0, sizeof(*device));
	snprintf(device->name, sizeof(device->name), "%s", name);
	device->major = 254;
	device->minor = name[0];
	device->len = 8192;
	check(parse_status_line(line, &device->status, why, sizeof(why)), "%s", why);
}

/* What is printed of so many devices before and now. */
static void is(const struct event_format *format, unsigned int nr_before, unsigned int nr_now,
	       const char *expected)
{
	struct device_list from = { .devices = before, .n = nr_before };
	struct device_list to = { .devices = now, .n = nr_now };
	FILE *terminal = stdout;
	size_t len;
	char *text;

	stdout = open_memstream(&text, &len);
	print_changes(format, &from, &to);
	print_complete(format);
	fclose(stdout);
	stdout = terminal;
	check(!strcmp(text, expected), "\n     got: %s\nexpected: %s", text, expected);
	free(text);
}

void test_events(void)
{
	struct event_format format = { 0 };

	set(&now[0], "b", "secondary running 1 8 0/1024 0/1024 0/0 rw -");
	set(&now[1], "c", "ingress running open 254:98");
	is(&format, 0, 0, "complete\n");
	is(&format, 0, 2,
	   "exists b mode=secondary stage=running size=4194304 device=254:98 epoch=1 chunk_size=4096 to_merge_chunks=0 metadata=rw error=-\n"
	   "exists c mode=ingress stage=running size=4194304 device=254:99 fence=open top=b\n"
	   "complete\n");
	memcpy(before, now, sizeof(now));
	is(&format, 2, 2, "complete\n");

	/* What the stores hold changes with each write, and is no event. */
	set(&now[0], "b", "secondary running 1 8 7/1024 9/1024 0/0 rw -");
	is(&format, 2, 2, "complete\n");
	set(&now[0], "b", "secondary failover 1 8 7/1024 9/1024 0/12 rw cow-io");
	set(&now[1], "c", "ingress failover fenced 254:98");
	is(&format, 2, 2,
	   "change b stage=failover to_merge_chunks=12 error=cow-io\n"
	   "change c stage=failover fence=fenced\n"
	   "complete\n");
	set(&now[0], "b", "secondary failover 1 8 7/1024 9/1024 5/12 rw cow-io");
	memcpy(before, now, sizeof(now));
	now[1].suspended = true;
	is(&format, 2, 2, "complete\n");

	is(&format, 2, 1, "gone c\ncomplete\n");
	/* It is another one, of the same name. */
	snprintf(now[0].uuid, sizeof(now[0].uuid), "DMREPL-2");
	is(&format, 1, 1,
	   "gone b\n"
	   "exists b mode=secondary stage=failover size=4194304 device=254:98 epoch=1 chunk_size=4096 to_merge_chunks=12 metadata=rw error=cow-io\n"
	   "complete\n");
	set(&now[0], "b", "primary running insync 0/16 - -");
	is(&format, 1, 1,
	   "gone b\n"
	   "exists b mode=primary stage=running size=4194304 device=254:98 sync=insync metadata=- error=-\n"
	   "complete\n");
	memcpy(before, now, sizeof(now));
	set(&now[0], "b", "primary running degraded 3/16 - replica-io");
	is(&format, 1, 1, "change b sync=degraded error=replica-io\ncomplete\n");
}
