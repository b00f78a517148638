// SPDX-License-Identifier: GPL-2.0-only
#include "kernel-log.h"
#include "test.h"

/* What the target logs, and the sentence in it; NULL: no reason for anything. */
static const struct {
	const char *line, *reason;
} lines[] = {
	{ "device-mapper: table: 254:3: replication: Missing the option mode (-EINVAL)",
	  "Missing the option mode" },
	{ "device-mapper: table: 254:3: replication: Cannot open the top /dev/x (y) (-EBUSY)",
	  "Cannot open the top /dev/x (y)" },
	{ "device-mapper: table: 254:3: replication: (-EINVAL)", "(-EINVAL)" },
	{ "device-mapper: table: 254:3: replication: No errno (here)", "No errno (here)" },
	{ "device-mapper: replication: 254:1: message 'stop' in stage none: Block replication is not running",
	  "Block replication is not running" },
	{ "device-mapper: replication: 254:2: message 'stop': an ingress takes none; send it to its top 254:1",
	  "an ingress takes none; send it to its top 254:1" },
	{ "device-mapper: replication: 254:2: message 'x", NULL },
	{ "device-mapper: replication: 254:1: stage failover, was running", NULL },
	{ "device-mapper: replication: 254:1: I/O error: cow-io", NULL },
	{ "device-mapper: replication: 254:1: degraded, was insync; 3 of 16 regions are dirty",
	  NULL },
	{ "device-mapper: replication: 254:1: the replica has not answered for 30 s", NULL },
	{ "device-mapper: replication: 254:1: message 'checkpoint' in stage running: the replica is not in sync",
	  "the replica is not in sync" },
	{ "device-mapper: ioctl: error adding target to table", NULL },
	{ "device-mapper: table: 254:3: linear: Device lookup failed", NULL },
	{ "EXT4-fs (dm-1): mounted filesystem", NULL },
	{ "replication: of something else", NULL },
	{ "", NULL },
};

/* What device-mapper's core logs. */
static const struct {
	const char *line, *reason;
} core_lines[] = {
	{ "device-mapper: table: 254:3: zoned model is not consistent across all devices",
	  "zoned model is not consistent across all devices" },
	{ "device-mapper: table: 254:3: len=8190 not aligned to h/w logical block size 4096 of sdb",
	  "len=8190 not aligned to h/w logical block size 4096 of sdb" },
	{ "device-mapper: table: 254:3: ram0 too small for target: start=0, len=16, dev_size=8",
	  "ram0 too small for target: start=0, len=16, dev_size=8" },
	{ "device-mapper: table: unable to determine table type",
	  "unable to determine table type" },
	{ "device-mapper: core: Cannot calculate initial queue limits",
	  "Cannot calculate initial queue limits" },
	{ "device-mapper: ioctl: unable to set up device queue for new table.",
	  "unable to set up device queue for new table." },
	{ "device-mapper: ioctl: error adding target to table", NULL },
	{ "device-mapper: table: 254:3: linear: Device lookup failed (-EINVAL)", NULL },
	{ "device-mapper: crypt: unable to allocate", NULL },
	{ "device-mapper: replication: 254:1: I/O error: cow-io", NULL },
	{ "EXT4-fs (dm-1): mounted filesystem", NULL },
	{ "", NULL },
};

static void core(void)
{
	const char *reason;
	unsigned int i;
	char line[200];

	for (i = 0; i < ARRAY_SIZE(core_lines); i++) {
		snprintf(line, sizeof(line), "%s", core_lines[i].line);
		reason = core_reason_of_line(line);
		check(!reason == !core_lines[i].reason, "%s", core_lines[i].line);
		check(!reason || !strcmp(reason, core_lines[i].reason), "%s", reason);
	}
}

void test_kernel_log(void)
{
	const char *reason;
	unsigned int i;
	char line[200];

	core();

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		snprintf(line, sizeof(line), "%s", lines[i].line);
		reason = reason_of_line(line);
		check(!reason == !lines[i].reason, "%s", lines[i].line);
		check(!reason || !strcmp(reason, lines[i].reason), "%s", reason);
	}
}
