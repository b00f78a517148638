// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel-log.h"

/* A record of /dev/kmsg is no longer. */
#define RECORD_BYTES	8192

static int log_fd = -1;

void kernel_log_begin(void)
{
	if (log_fd >= 0)
		close(log_fd);
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd >= 0)
		lseek(log_fd, 0, SEEK_END);
}

/* The errno behind a refused table's sentence, which the system call has returned too. */
static void cut_errno(char *reason)
{
	char *end = strrchr(reason, '(');

	if (end && end > reason && end[1] == '-' && end[-1] == ' ')
		end[-1] = '\0';
}

/*
 * Tables:   device-mapper: table: 254:3: replication: Missing the option mode (-EINVAL)
 * Messages: device-mapper: replication: 254:1: message 'stop' in stage none: Block ...
 */
char *reason_of_line(char *line)
{
	char *reason = strstr(line, "device-mapper: "), *message;
	bool table;

	if (!reason)
		return NULL;
	table = strstr(reason, "device-mapper: table: ");
	reason = strstr(reason, "replication: ");
	if (!reason)
		return NULL;
	reason += strlen("replication: ");
	message = strstr(reason, ": message '");
	if (message) {
		message = strstr(message, "': ");
		if (message)
			return message + strlen("': ");
		reason = strstr(reason, " in stage ");
		message = reason ? strstr(reason, ": ") : NULL;
		return message ? message + 2 : NULL;
	}
	/* All else is what has happened, which may be because of something else. */
	if (!table)
		return NULL;
	cut_errno(reason);
	return reason;
}

bool kernel_log_reason(char *reason, size_t len)
{
	char record[RECORD_BYTES + 1], *text, *sentence;
	ssize_t n;

	if (log_fd < 0)
		return false;
	for (;;) {
		n = read(log_fd, record, RECORD_BYTES);
		/* EPIPE: some have been overwritten; it goes on with the oldest. */
		if (n < 0 && errno != EPIPE)
			return false;
		if (n <= 0)
			continue;
		record[n] = '\0';
		text = strchr(record, ';');
		if (!text)
			continue;
		text[1 + strcspn(text + 1, "\n")] = '\0';
		sentence = reason_of_line(text + 1);
		if (sentence) {
			snprintf(reason, len, "%s", sentence);
			return true;
		}
	}
}
