// SPDX-License-Identifier: GPL-2.0-only
/*
 * seeds - write good devices for the fuzzer to begin with: seeds DIRECTORY
 */
#include "fuzz.h"
#include "rig.h"

static void write_file(const char *directory, u8 flags, struct rig *rig)
{
	char name[4096];
	FILE *file;

	snprintf(name, sizeof(name), "%s/seed-%02x", directory, flags);
	file = fopen(name, "w");
	check(file, "%s: %s", name, strerror(errno));
	fputc(flags, file);
	fwrite(rig_super(rig), DISK_SECTOR, 1, file);
	fwrite(rig_sector(rig, 0), DISK_SECTOR, rig->nr_sectors, file);
	check(!fclose(file), "%s: %s", name, strerror(errno));
}

static void make(const char *directory, u8 flags)
{
	static const u64 lengths[] = FUZZ_LENGTHS;
	struct repl_meta_state state = { .epoch = 3, .stage = REPL_RUNNING };
	struct repl_meta_maps maps;
	struct rig rig;
	u32 number;

	rig_create(&rig, lengths[flags & FUZZ_LEN], 8, true);
	check(!rig_open(&rig), "%s", rig.why);
	check(!repl_meta_format(rig.meta, &state), "failed");
	for (number = 0; number < rig.nr_sectors; number += 1 + fake_below(4)) {
		rig_random_maps(&rig, number, &maps);
		check(!repl_meta_replace(rig.meta, number, &maps, true), "failed");
	}
	check(!repl_meta_commit(rig.meta), "failed");
	if (flags & FUZZ_NO_VIEW)
		rig_state(&rig, REPL_FAILOVER, 4);
	write_file(directory, flags, &rig);
	rig_destroy(&rig);
}

int main(int argc, char **argv)
{
	u8 flags;

	if (argc != 2)
		return 2;
	for (flags = 0; flags < FUZZ_RAW; flags++)
		make(argv[1], flags);
	return 0;
}
