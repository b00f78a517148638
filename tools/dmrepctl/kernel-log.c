// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel-log.h"

/* A record of /dev/kmsg is no longer. */
#define RECORD_BYTES	8192

/* Of the kernel's levels: what is above is less. */
#define LEVEL_ERROR	3

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

/* "254:3: ", where a sentence has it. */
static char *skip_number(char *text)
{
	size_t major = strspn(text, "0123456789"), minor;

	if (!major || text[major] != ':')
		return text;
	minor = strspn(text + major + 1, "0123456789");
	if (!minor || strncmp(text + major + 1 + minor, ": ", 2))
		return text;
	return text + major + 1 + minor + 2;
}

/*
 * Tables:   device-mapper: table: 254:3: zoned model is not consistent across all devices
 * ioctls:   device-mapper: ioctl: unable to set up device queue for new table.
 */
char *core_reason_of_line(char *line)
{
	static const char * const parts[] = { "table: ", "ioctl: ", "core: ", "zone: " };
	char *reason = strstr(line, "device-mapper: "), *colon;
	unsigned int i;

	if (!reason)
		return NULL;
	reason += strlen("device-mapper: ");
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strncmp(reason, parts[i], strlen(parts[i])))
			break;
	if (i == ARRAY_SIZE(parts))
		return NULL;
	reason = skip_number(reason + strlen(parts[i]));
	/* One word before a colon is another target, which says this of a table of its own. */
	colon = strstr(reason, ": ");
	if (colon && !memchr(reason, ' ', colon - reason))
		return NULL;
	/* Only that something was wrong, which is said in the line before. */
	return strstr(reason, "error adding target to table") ? NULL : reason;
}

/* The text of a record, and its level; NULL: it has none. */
static char *parse_record(char *record, unsigned int *level)
{
	char *text = strchr(record, ';');

	/* The facility is above the level. */
	*level = strtoul(record, NULL, 10) & 7;
	if (!text)
		return NULL;
	text++;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

bool kernel_log_reason(char *reason, size_t len)
{
	char record[RECORD_BYTES + 1], *text, *sentence;
	unsigned int level;
	ssize_t n;

	reason[0] = '\0';
	if (log_fd < 0)
		return false;
	for (;;) {
		n = read(log_fd, record, RECORD_BYTES);
		/* EPIPE: some have been overwritten; it goes on with the oldest. */
		if (n < 0 && errno != EPIPE)
			return reason[0];
		if (n <= 0)
			continue;
		record[n] = '\0';
		text = parse_record(record, &level);
		sentence = text ? reason_of_line(text) : NULL;
		if (sentence) {
			snprintf(reason, len, "%s", sentence);
			return true;
		}
		/* A warning of the core's is no reason for anything to fail. */
		sentence = text && level <= LEVEL_ERROR ? core_reason_of_line(text) : NULL;
		if (sentence && !reason[0])
			snprintf(reason, len, "%s", sentence);
	}
}
