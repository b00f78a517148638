// SPDX-License-Identifier: GPL-2.0-only
/*
 * fail-nth - one call of device-mapper again and again, in which first the first
 * allocation fails, then the second and so on, until it has no more. The kernel
 * counts those of this thread (/proc/thread-self/fail-nth), so nothing but the call
 * is hit. A table that was loaded nevertheless is cleared.
 *
 * Prints a line for each call: which allocation failed, "through" for the last call,
 * in which none did, and what came of it, "ok" or the errno. After it, each behind a
 * tab, come the lines that the kernel logged. Exit status: 2 if it could not be tried.
 */
#include "common.h"

#define MAX_ALLOCATIONS	2000	/* no call has so many */

static const char usage[] =
	"Usage: fail-nth load NAME SECTORS \"PARAMETERS\"\n"
	"       fail-nth resume NAME\n"
	"       fail-nth message NAME TEXT\n";

static char buf[DM_BUFFER] __attribute__((__aligned__(8)));

/* Fills the buffer. Returns the ioctl, 0 if the arguments are wrong. */
static unsigned long prepare(int argc, char **argv)
{
	struct dm_ioctl *hdr = (void *)buf;
	struct dm_target_spec *spec = (void *)(hdr + 1);
	struct dm_target_msg *msg = (void *)(hdr + 1);

	memset(buf, 0, sizeof(buf));
	hdr->version[0] = DM_VERSION_MAJOR;
	hdr->data_size = sizeof(buf);
	hdr->data_start = sizeof(*hdr);
	if (argc < 3 || strlen(argv[argc - 1]) > 1000)
		return 0;
	snprintf(hdr->name, sizeof(hdr->name), "%s", argv[2]);
	if (!strcmp(argv[1], "load") && argc == 5) {
		hdr->target_count = 1;
		spec->length = parse_number("sectors", argv[3]);
		strcpy(spec->target_type, "replication");
		strcpy((char *)(spec + 1), argv[4]);
		return DM_TABLE_LOAD;
	}
	if (!strcmp(argv[1], "message") && argc == 4) {
		strcpy(msg->message, argv[3]);
		return DM_TARGET_MSG;
	}
	return !strcmp(argv[1], "resume") && argc == 3 ? DM_DEV_SUSPEND : 0;
}

/* The lines that the kernel has logged since the last call, a record each. */
static void print_log(int kmsg)
{
	char record[8192], *text, *end;
	ssize_t len;

	/* EPIPE: some were overwritten before they were read. */
	while ((len = read(kmsg, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (len <= 0)
			continue;
		record[len] = '\0';
		text = strchr(record, ';');
		end = strchr(record, '\n');
		if (text && end && text < end)
			printf("\t%.*s\n", (int)(end - text - 1), text + 1);
	}
}

/* The errno of the call, 0 if it succeeds; *hit says whether there was an Nth allocation. */
static int call(int control, unsigned long cmd, int nth, int n, bool *hit)
{
	char count[16], left[16] = "";
	int err;

	snprintf(count, sizeof(count), "%d", n);
	if (write(nth, count, strlen(count)) < 0)
		trouble("%d: %s", n, strerror(errno));
	err = ioctl(control, cmd, buf) ? errno : 0;
	if (pread(nth, left, sizeof(left) - 1, 0) < 0 || write(nth, "0", 1) < 0)
		trouble("cannot read back: %s", strerror(errno));
	*hit = !atoi(left);
	return err;
}

int main(int argc, char **argv)
{
	unsigned long cmd = prepare(argc, argv);
	int control, nth, kmsg, n, err;
	bool hit = true;

	prog = "fail-nth";
	if (!cmd) {
		fputs(usage, stderr);
		return EXIT_TROUBLE;
	}
	control = open("/dev/mapper/control", O_RDWR);
	nth = open("/proc/thread-self/fail-nth", O_RDWR);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (control < 0 || nth < 0 || kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0)
		trouble("cannot open: %s", strerror(errno));

	for (n = 1; hit; n++) {
		if (n > MAX_ALLOCATIONS)
			trouble("the call has more than %d allocations", MAX_ALLOCATIONS);
		prepare(argc, argv);
		err = call(control, cmd, nth, n, &hit);
		if (hit)
			printf("%d ", n);
		else
			printf("through ");
		printf("%s\n", err ? strerrorname_np(err) : "ok");
		print_log(kmsg);
		prepare(argc, argv);
		if (cmd == DM_TABLE_LOAD && !err && ioctl(control, DM_TABLE_CLEAR, buf))
			trouble("cannot clear the table: %s", strerror(errno));
	}
	return EXIT_OK;
}
