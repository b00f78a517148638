// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each time that metadata.c opens or loads a disk, dmrepctl check looks at it too, and
 * has to say the same. The linker has the calls come here.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "wrap.h"

unsigned long nr_damaged, nr_good;

/* The first thing that check has said: the target ends there. */
static char said[256];

static void note(void *context, const char *what)
{
	(void)context;
	if (!said[0])
		snprintf(said, sizeof(said), "%s", what);
}

/* How much is wrong with a rig's disk, by its content alone. */
static u64 check_disk(struct rig *rig)
{
	size_t size = rig->disk->sectors * DISK_SECTOR;
	int fd = memfd_create("disk", 0);
	u64 n;

	check(fd >= 0 && write(fd, rig->disk->data, size) == (ssize_t)size, "%s", strerror(errno));
	said[0] = '\0';
	n = check_metadata_file(fd, rig->disk->sectors, note, NULL);
	close(fd);
	return n;
}

/* Of "its map sector 3 is damaged: the checksum is wrong" the reason. */
static const char *reason(const char *why)
{
	const char *colon = strrchr(why, ':');

	return colon ? colon + 2 : why;
}

static void check_good(struct rig *rig)
{
	check(!check_disk(rig), "%s", said);
	nr_good++;
}

/* At least so much is wrong, and this comes first. */
static void check_damaged(struct rig *rig)
{
	unsigned int number, told;

	check(check_disk(rig), "it has found nothing: %s", rig->why);
	nr_damaged++;
	if (strstr(rig->why, "has other content")) {
		check(strstr(said, "other content"), "%s", said);
		return;
	}
	check(!strcmp(reason(said), reason(rig->why)), "%s instead of %s", said, rig->why);
	if (sscanf(rig->why, "its map sector %u", &number) == 1)
		check(sscanf(said, "map sector %u,", &told) == 1 && told == number,
		      "%s instead of %s", said, rig->why);
}

/* What is refused for it belongs to another one may well be good. */
int __wrap_rig_open(struct rig *rig)
{
	int r = __real_rig_open(rig);

	if (r && !strstr(rig->why, "it belongs to"))
		check_damaged(rig);
	return r;
}

int __wrap_rig_load(struct rig *rig)
{
	int r = __real_rig_load(rig);

	if (r)
		check_damaged(rig);
	else
		check_good(rig);
	return r;
}

/* One thing is damaged in these tests, so one is found. */
void __wrap_rig_refused(struct rig *rig, int error, const char *why)
{
	__real_rig_refused(rig, error, why);
	check_damaged(rig);
	check(check_disk(rig) == 1, "more than one");
}

void __wrap_rig_reopen(struct rig *rig)
{
	__real_rig_reopen(rig);
	check_good(rig);
}
