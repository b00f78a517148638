// SPDX-License-Identifier: GPL-2.0-only
/*
 * damage - whatever the tests of metadata.c make, dmrepctl check says of it what the
 * target says: damage SEED
 *
 * tests/unit/metadata/unit-damage.c is run as it is; the linker has each call of
 * rig_refused() and rig_reopen() come here.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"
#include "wrap.h"

static unsigned long found, good;

/* The last thing that check has said. */
static char said[256];

static void note(void *context, const char *what)
{
	(void)context;
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

void __wrap_rig_refused(struct rig *rig, int error, const char *why)
{
	unsigned int number, told;

	__real_rig_refused(rig, error, why);
	check(check_disk(rig) == 1, "it has found nothing: %s", rig->why);
	if (strstr(rig->why, "has other content")) {
		check(strstr(said, "other content"), "%s", said);
	} else {
		check(!strcmp(reason(said), reason(rig->why)), "%s instead of %s", said, rig->why);
		if (sscanf(rig->why, "its map sector %u", &number) == 1)
			check(sscanf(said, "map sector %u,", &told) == 1 && told == number,
			      "%s instead of %s", said, rig->why);
	}
	found++;
}

void __wrap_rig_reopen(struct rig *rig)
{
	__real_rig_reopen(rig);
	check(!check_disk(rig), "%s", said);
	good++;
}

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	const struct unit_test *test;

	for (test = unit_damage; test->name; test++) {
		fake_seed(seed);
		test->run();
		printf("%s: so far %lu damaged, %lu good\n", test->name, found, good);
		fflush(stdout);
	}
	return 0;
}
