// SPDX-License-Identifier: GPL-2.0-only
/*
 * fail-nth - one call of device-mapper in which the Nth allocation fails. The
 * kernel counts those of this thread (/proc/thread-self/fail-nth), so nothing but
 * the call is hit.
 *
 * Prints two words: "hit", or "through" if the call has fewer allocations, and
 * what came of it, "ok" or the errno. Exit status: 2 if it could not be tried.
 */
#include "common.h"

static const char usage[] =
	"Usage: fail-nth N load NAME SECTORS \"PARAMETERS\"\n"
	"       fail-nth N resume NAME\n"
	"       fail-nth N message NAME TEXT\n";

static char buf[DM_BUFFER] __attribute__((__aligned__(8)));

/* Fills the buffer. Returns the ioctl, 0 if the arguments are wrong. */
static unsigned long prepare(int argc, char **argv)
{
	struct dm_ioctl *hdr = (void *)buf;
	struct dm_target_spec *spec = (void *)(hdr + 1);
	struct dm_target_msg *msg = (void *)(hdr + 1);

	hdr->version[0] = DM_VERSION_MAJOR;
	hdr->data_size = sizeof(buf);
	hdr->data_start = sizeof(*hdr);
	if (argc < 4 || strlen(argv[argc - 1]) > 1000)
		return 0;
	snprintf(hdr->name, sizeof(hdr->name), "%s", argv[3]);
	if (!strcmp(argv[2], "load") && argc == 6) {
		hdr->target_count = 1;
		spec->length = parse_number("sectors", argv[4]);
		strcpy(spec->target_type, "replication");
		strcpy((char *)(spec + 1), argv[5]);
		return DM_TABLE_LOAD;
	}
	if (!strcmp(argv[2], "message") && argc == 5) {
		strcpy(msg->message, argv[4]);
		return DM_TARGET_MSG;
	}
	return !strcmp(argv[2], "resume") && argc == 4 ? DM_DEV_SUSPEND : 0;
}

int main(int argc, char **argv)
{
	unsigned long cmd = prepare(argc, argv);
	char left[32] = "";
	int control, nth, err;

	prog = "fail-nth";
	if (!cmd) {
		fputs(usage, stderr);
		return EXIT_TROUBLE;
	}
	control = open("/dev/mapper/control", O_RDWR);
	nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (control < 0 || nth < 0)
		trouble("cannot open: %s", strerror(errno));

	if (write(nth, argv[1], strlen(argv[1])) < 0)
		trouble("%s: %s", argv[1], strerror(errno));
	err = ioctl(control, cmd, buf) ? errno : 0;
	if (pread(nth, left, sizeof(left) - 1, 0) < 0 || write(nth, "0", 1) < 0)
		trouble("cannot read back: %s", strerror(errno));

	printf("%s %s\n", atoi(left) ? "through" : "hit", err ? strerrorname_np(err) : "ok");
	return EXIT_OK;
}
