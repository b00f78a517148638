// SPDX-License-Identifier: GPL-2.0-only
/*
 * How big it is, formatting, the superblock and what it says, and for whom it is.
 */
#include "unit.h"

#define CHUNKS	20000

static void crc32c_known(void)
{
	check((crc32c(~0, "123456789", 9) ^ ~0U) == 0xe3069283, "not Castagnoli's");
}

/* At most 2 bits a chunk, 5 % more, and 8 KiB: the superblock, and rounding up. */
static void check_size(u64 len, u32 chunk_sectors)
{
	u64 sectors = repl_meta_size(len, chunk_sectors);
	u64 chunks = DIV_ROUND_UP(len, chunk_sectors);
	u64 bits = sectors * DISK_SECTOR * 8;

	check(bits >= 2 * chunks + 8 * DISK_SECTOR, "%llu for %llu", sectors, len);
	check(bits <= 2 * chunks + chunks / 10 + 8 * 8192, "%llu for %llu", sectors, len);
	check(sectors % 8 == 0, "%llu for %llu: not blocks", sectors, len);
	check(sectors >= repl_meta_size(len - 1, chunk_sectors), "%llu: less than before", len);
}

static void size(void)
{
	const u64 longest = 1ULL << 35;	/* 16 TiB */
	u32 chunk_sectors;
	unsigned int i;
	u64 len;

	for (chunk_sectors = 8; chunk_sectors <= 2048; chunk_sectors *= 2) {
		for (len = 1; len <= longest; len *= 2) {
			check_size(len, chunk_sectors);
			check_size(len + 1, chunk_sectors);
			for (i = 0; i < 50; i++)
				check_size(1 + fake_below(len), chunk_sectors);
		}
		len = (u64)REPL_META_CHUNKS * chunk_sectors * 8;
		check(repl_meta_size(len, chunk_sectors) == 16, "a block is not filled");
		check(repl_meta_size(len + 1, chunk_sectors) == 24, "a block is too full");
	}
}

/* What others have written is gone as far as the maps go, and only there. */
static void format(void)
{
	struct block_device *disk;
	struct rig rig;
	u8 after[DISK_SECTOR];

	rig_format(&rig, CHUNKS);
	check(!rig.disk->nr_pending, "not durable");
	rig_reopen(&rig);
	check(!rig.nr_loaded, "maps of %u sectors", rig.nr_loaded);
	rig_destroy(&rig);

	rig_create(&rig, CHUNKS * 8, 8, true);
	disk = disk_create(rig.disk->sectors + 1, true);
	disk_destroy(rig.disk);
	rig.disk = disk;
	disk_fill_random(disk, RIG_FIRST);
	memcpy(after, disk->data + (disk->sectors - 1) * DISK_SECTOR, DISK_SECTOR);
	check(!rig_open(&rig), "%s", rig.why);
	rig.state.stage = REPL_RUNNING;
	check(!repl_meta_format(rig.meta, &rig.state), "failed");
	check(!memcmp(after, disk->data + (disk->sectors - 1) * DISK_SECTOR, DISK_SECTOR),
	      "something behind the maps was written");
	check(!disk->unmapped, "a thin device may give the space of the maps back");
	rig_destroy(&rig);
}

/* Every field is where it belongs. */
static void superblock(void)
{
	u8 expected[DISK_SECTOR] = { 0 };
	struct rig rig, other;
	u8 *super;

	rig_format(&rig, CHUNKS);
	rig_format(&other, CHUNKS);
	super = rig_super(&rig);
	check(memchr_inv(super + SUPER_UUID, 0, 16), "no UUID");
	check(memcmp(super + SUPER_UUID, rig_super(&other) + SUPER_UUID, 16), "the same UUID");

	rig.state.error = REPL_MERGE_IO;
	rig_state(&rig, REPL_FAILOVER_FAILED, 0x123456789abcULL);
	put32(expected, SUPER_VERSION, 1);
	memcpy(expected + SUPER_MAGIC, "DmReplMd", 8);
	memcpy(expected + SUPER_UUID, super + SUPER_UUID, 16);
	put64(expected, SUPER_LEN, CHUNKS * 8);
	put64(expected, SUPER_EPOCH, 0x123456789abcULL);
	put32(expected, SUPER_CHUNK_SECTORS, 8);
	put32(expected, SUPER_STAGE, 3);
	put32(expected, SUPER_ERROR, 5);
	memcpy(expected + SUPER_VIEW, "view", 4);
	put32(expected, SUPER_CRC, crc32c(~0, expected + 4, DISK_SECTOR - 4));
	check(!memcmp(expected, super, DISK_SECTOR), "other content");
	check(!memchr_inv(super + DISK_SECTOR, 0, 7 * DISK_SECTOR), "not zeroes behind it");
	rig_destroy(&other);
	rig_destroy(&rig);
}

/* Open writes nothing, and says that the device is to be formatted. */
static void unformatted(void)
{
	struct rig rig;

	rig_create(&rig, CHUNKS * 8, 8, true);
	disk_fill_random(rig.disk, RIG_FIRST);
	check(!rig_open(&rig), "%s", rig.why);
	check(rig.state.stage == REPL_NONE && !rig.state.epoch && !rig.state.error, "not new");
	rig_close(&rig);
	check(!rig.disk->nr_writes && !rig.disk->nr_flushes, "something was written");
	rig_destroy(&rig);
}

/* What is read is durable then: whoever wrote it may have died before his flush. */
static void durable(void)
{
	struct rig rig;

	rig_format(&rig, CHUNKS);
	rig_close(&rig);
	check(!disk_write(rig.disk, 0, 1, rig_super(&rig)), "failed");
	check(rig.disk->nr_pending == 1, "not in the cache");
	check(!rig_open(&rig), "%s", rig.why);
	check(!rig.disk->nr_pending, "not durable");
	rig_destroy(&rig);
}

/* All that the superblock can say is read again; what makes no sense is refused. */
static void stages(void)
{
	struct repl_meta_state state = { 0 };
	char why[64];
	struct rig rig;

	rig_format(&rig, CHUNKS);
	for (state.stage = REPL_RUNNING; state.stage <= REPL_DONE; state.stage++) {
		for (state.error = 0; state.error < REPL_NR_ERRORS; state.error++) {
			rig.state.error = state.error;
			state.epoch = fake_random();
			rig_state(&rig, state.stage, state.epoch);
			check(!rig.disk->nr_pending, "not durable");
			rig_reopen(&rig);
			check(rig.state.stage == state.stage && rig.state.error == state.error &&
			      rig.state.epoch == state.epoch, "another state");
			check(repl_meta_epoch(rig.meta) == state.epoch, "another epoch");
		}
	}
	rig_close(&rig);
	put32(rig_super(&rig), SUPER_ERROR, REPL_NR_ERRORS);
	rig_seal_super(&rig);
	snprintf(why, sizeof(why), "makes no sense: stage 4, error %u", REPL_NR_ERRORS);
	rig_refused(&rig, -EILSEQ, why);
	put32(rig_super(&rig), SUPER_ERROR, 0);
	put32(rig_super(&rig), SUPER_STAGE, 5);
	rig_seal_super(&rig);
	rig_refused(&rig, -EILSEQ, "makes no sense: stage 5, error 0");
	put32(rig_super(&rig), SUPER_STAGE, 0);
	rig_seal_super(&rig);
	rig_refused(&rig, -EILSEQ, "makes no sense: stage 0, error 0");
	rig_destroy(&rig);
}

static void too_small(void)
{
	struct repl_meta *meta;
	struct rig rig;

	rig_format(&rig, CHUNKS);
	rig_close(&rig);
	disk_settle(rig.disk);
	check(repl_meta_open(rig.disk, rig.disk->sectors - 1, &rig.geometry, &meta, &rig.state,
			     rig.why, sizeof(rig.why)) == -ENOSPC, "%s", rig.why);
	check(!strcmp(rig.why, "it has 23 sectors; 24 are needed"), "%s", rig.why);
	check(!rig.disk->nr_reads && !rig.disk->nr_writes, "it was touched");
	rig_reopen(&rig);
	rig_destroy(&rig);
}

/* A set that is another one in some way, with a device that is big enough. */
static void other_set(void)
{
	struct rig rig;

	rig_format(&rig, CHUNKS);
	rig_close(&rig);
	rig.geometry.len--;
	rig_refused(&rig, -EINVAL, "it belongs to a secondary of 160000 sectors, the table has 159999; make the table with 160000, its devices may be longer");
	rig.geometry.len++;
	rig.geometry.chunk_sectors = 16;
	rig_refused(&rig, -EINVAL, "it belongs to a set with chunks of 8 sectors, not 16");
	rig.geometry.chunk_sectors = 8;
	rig.geometry.view = "v";
	rig_refused(&rig, -EINVAL, "it belongs to the view with UUID view");
	rig.geometry.view = "views";
	rig_refused(&rig, -EINVAL, "it belongs to the view with UUID view");
	rig.geometry.view = "";
	rig_reopen(&rig);
	rig_destroy(&rig);
}

/* UUIDs of every length, dm's longest being 128 characters. */
static void view_uuid(void)
{
	char name[140] = { 0 }, other[140];
	unsigned int len;
	struct rig rig;

	for (len = 0; len < 129; len++) {
		memset(name, 'a', len);
		rig_create(&rig, 8, 8, true);
		rig.geometry.view = name;
		check(!rig_open(&rig), "%s", rig.why);
		rig.state.stage = REPL_RUNNING;
		check(!repl_meta_format(rig.meta, &rig.state), "failed");
		rig_reopen(&rig);
		rig_close(&rig);
		check(!memcmp(rig_super(&rig) + SUPER_VIEW, name, 128), "another name");
		memcpy(other, name, sizeof(name));
		other[len ? len - 1 : 0] = 'b';
		rig.geometry.view = other;
		if (len)
			rig_refused(&rig, -EINVAL, name);
		else
			rig_reopen(&rig);
		rig_destroy(&rig);
	}
}

/* Whose it is; and a primary has no failover. */
static void kind(void)
{
	struct rig rig;

	rig_format(&rig, 100);
	rig_close(&rig);
	put32(rig_super(&rig), SUPER_KIND, REPL_META_PRIMARY);
	rig_seal_super(&rig);
	rig_refused(&rig, -EINVAL, "it belongs to a primary");
	rig.geometry.kind = REPL_META_PRIMARY;
	rig_reopen(&rig);
	rig_close(&rig);
	put32(rig_super(&rig), SUPER_STAGE, REPL_FAILOVER);
	rig_seal_super(&rig);
	rig_refused(&rig, -EILSEQ, "its superblock makes no sense: stage 2, error 0");
	put32(rig_super(&rig), SUPER_STAGE, REPL_RUNNING);
	put32(rig_super(&rig), SUPER_KIND, REPL_META_SECONDARY);
	rig_seal_super(&rig);
	rig_refused(&rig, -EINVAL, "it belongs to a secondary");
	put32(rig_super(&rig), SUPER_KIND, REPL_META_PRIMARY + 1);
	rig_seal_super(&rig);
	rig_refused(&rig, -EILSEQ, "its superblock makes no sense: kind 2");
	rig_destroy(&rig);
}

static void version(void)
{
	struct rig rig;

	rig_format(&rig, CHUNKS);
	rig_close(&rig);
	put32(rig_super(&rig), SUPER_VERSION, 2);
	rig_seal_super(&rig);
	rig_refused(&rig, -EINVAL, "it has version 2 of the format, this module knows 1");
	put32(rig_super(&rig), SUPER_VERSION, 0);
	rig_seal_super(&rig);
	rig_refused(&rig, -EINVAL, "it has version 0 of the format, this module knows 1");
	rig_destroy(&rig);
}

/* The list of lost sectors is durable, of its epoch, and refused if it is damaged. */
static void lost(void)
{
	static const u64 none[REPL_META_LOST];
	u64 list[REPL_META_LOST] = { 0 };
	struct rig rig;

	list[0] = 0x1234560102;
	list[REPL_META_LOST_ENTRIES] = ~0ULL;
	list[REPL_META_LOST - 1] = 0x10080;
	rig_format(&rig, CHUNKS);
	check(!memcmp(repl_meta_lost(rig.meta), none, sizeof(none)), "a new one has losses");
	check(!repl_meta_set_lost(rig.meta, list), "failed");
	check(!rig.disk->nr_pending, "not durable");
	rig_reopen(&rig);
	check(!memcmp(repl_meta_lost(rig.meta), list, sizeof(list)), "another list");
	rig_state(&rig, REPL_FAILOVER, 1);
	rig_reopen(&rig);
	check(!memcmp(repl_meta_lost(rig.meta), list, sizeof(list)), "the stage changed it");
	check(rig.disk->data[DISK_SECTOR + 16] == 0x02 &&
	      rig.disk->data[DISK_SECTOR + 17] == 0x01 &&
	      rig.disk->data[2 * DISK_SECTOR + 4] == 1, "it is not where it belongs");
	rig_close(&rig);
	rig.disk->data[7 * DISK_SECTOR + 100] ^= 1;
	rig_refused(&rig, -EILSEQ, "its list of lost sectors is damaged");
	rig.disk->data[7 * DISK_SECTOR + 100] ^= 1;
	rig_reopen(&rig);
	rig_state(&rig, REPL_RUNNING, 2);
	rig_reopen(&rig);
	check(!memcmp(repl_meta_lost(rig.meta), none, sizeof(none)), "the epoch did not end it");
	rig_destroy(&rig);
}

/* Power is lost while the block of the superblock is written: some sectors are old. */
static void lost_torn(void)
{
	u64 list[REPL_META_LOST] = { 0 };
	u8 super[DISK_SECTOR];
	struct rig rig;

	list[0] = 0x1234560002;
	rig_format(&rig, CHUNKS);
	check(!repl_meta_set_lost(rig.meta, list), "failed");
	memcpy(super, rig.disk->data, DISK_SECTOR);
	rig_state(&rig, REPL_RUNNING, 2);
	rig_close(&rig);
	memcpy(rig.disk->data, super, DISK_SECTOR);
	rig_reopen(&rig);
	check(rig.state.epoch == 1, "epoch %llu", rig.state.epoch);
	check(!memcmp(rig.lost, list, sizeof(list)),
	      "the epoch is the old one, and its list is gone");
	rig_destroy(&rig);
}

/* A new epoch could not be written; so the failover that follows is one of the old. */
static void lost_failed_epoch(void)
{
	static const enum disk_io io[] = { DISK_WRITE, DISK_FLUSH };
	struct repl_meta_state state = { 2, REPL_RUNNING, REPL_NO_ERROR };
	u64 list[REPL_META_LOST] = { 0 };
	struct rig rig;
	unsigned int i;

	list[0] = 0x1234560002;
	for (i = 0; i < ARRAY_SIZE(io); i++) {
		rig_format(&rig, CHUNKS);
		check(!repl_meta_set_lost(rig.meta, list), "failed");
		disk_fail(rig.disk, io[i], 1);
		check(repl_meta_set_state(rig.meta, &state), "it did not fail");
		check(!memcmp(repl_meta_lost(rig.meta), list, sizeof(list)), "another list");
		rig_state(&rig, REPL_FAILOVER, 1);
		rig_reopen(&rig);
		check(rig.state.epoch == 1, "epoch %llu", rig.state.epoch);
		check(!memcmp(rig.lost, list, sizeof(list)), "its list is gone");
		rig_destroy(&rig);
	}
}

/* So it is if another list is written after it. */
static void lost_failed_epoch_then_list(void)
{
	struct repl_meta_state state = { 2, REPL_RUNNING, REPL_NO_ERROR };
	u64 list[REPL_META_LOST] = { 0x1234560002 };
	struct rig rig;

	rig_format(&rig, CHUNKS);
	disk_fail(rig.disk, DISK_WRITE, 1);
	check(repl_meta_set_state(rig.meta, &state), "it did not fail");
	check(!repl_meta_set_lost(rig.meta, list), "failed");
	rig_reopen(&rig);
	check(rig.state.epoch == 1, "epoch %llu", rig.state.epoch);
	check(!memcmp(rig.lost, list, sizeof(list)), "the list is not that epoch's");
	rig_destroy(&rig);
}

/* A list is of its epoch alone, also if the next one has lost other sectors. */
static void lost_next_epoch(void)
{
	u64 list[REPL_META_LOST] = { 0 };
	struct rig rig;

	list[0] = 0x1234560002;
	list[REPL_META_LOST - 1] = 0x10080;
	rig_format(&rig, CHUNKS);
	check(!repl_meta_set_lost(rig.meta, list), "failed");
	rig_state(&rig, REPL_RUNNING, 2);
	check(!memchr_inv(repl_meta_lost(rig.meta), 0, sizeof(list)), "the epoch did not end it");
	list[0] = 0;
	check(!repl_meta_set_lost(rig.meta, list), "failed");
	rig_reopen(&rig);
	check(!memcmp(rig.lost, list, sizeof(list)), "another list");
	rig_destroy(&rig);
}

/* Somebody else has written to the device meanwhile. */
static void reopened(void)
{
	struct repl_meta_maps maps = { .active = { 1 } }, damaged;
	struct repl_meta_state state;
	u8 uuid[16];
	struct rig rig;

	rig_format(&rig, CHUNKS);
	rig.disk->shared = true;
	memcpy(uuid, repl_meta_uuid(rig.meta), sizeof(uuid));
	check(!repl_meta_replace(rig.meta, 3, &maps, true), "failed");
	check(!repl_meta_commit(rig.meta), "failed");
	disk_settle(rig.disk);
	/* A change that is not to be; and the superblock of another owner. */
	memset(&damaged, 0xff, sizeof(damaged));
	check(!repl_meta_replace(rig.meta, 4, &damaged, true), "failed");
	put32(rig_super(&rig), SUPER_KIND, REPL_META_PRIMARY);
	rig_super(&rig)[SUPER_UUID] ^= 1;
	rig_seal_super(&rig);
	rig.why[0] = 0;
	check(repl_meta_reopen(rig.meta, &rig.geometry, &state, rig.why,
			       sizeof(rig.why)) == -EINVAL, "%s", rig.why);
	check(!strcmp(rig.why, "it belongs to a primary"), "%s", rig.why);
	check(!memcmp(repl_meta_uuid(rig.meta), uuid, sizeof(uuid)), "another UUID");
	/* It is our own again, with another epoch. */
	rig_super(&rig)[SUPER_UUID] ^= 1;
	put32(rig_super(&rig), SUPER_KIND, REPL_META_SECONDARY);
	put64(rig_super(&rig), SUPER_EPOCH, 7);
	put32(rig_super(&rig), SUPER_STAGE, REPL_FAILOVER);
	rig_seal_super(&rig);
	check(!repl_meta_reopen(rig.meta, &rig.geometry, &state, rig.why, sizeof(rig.why)),
	      "%s", rig.why);
	check(state.epoch == 7 && state.stage == REPL_FAILOVER, "epoch %llu, stage %d",
	      state.epoch, state.stage);
	check(repl_meta_epoch(rig.meta) == 7, "%llu", repl_meta_epoch(rig.meta));
	check(!repl_meta_replace(rig.meta, 3, &maps, true), "failed");
	check(!repl_meta_commit(rig.meta), "failed");
	rig_reopen(&rig);
	check(rig.nr_loaded == 1 && rig.last_loaded == 3, "%u map sectors, the last is %u",
	      rig.nr_loaded, rig.last_loaded);
	rig_destroy(&rig);
}

/* Of a sentence that is longer than its place there is as much as fits. */
static void short_sentence(void)
{
	struct repl_meta *meta;
	char why[11];
	struct rig rig;

	rig_format(&rig, CHUNKS);
	rig_close(&rig);
	memset(why, '#', sizeof(why));
	check(repl_meta_open(rig.disk, 1, &rig.geometry, &meta, &rig.state, why, 10) == -ENOSPC,
	      "not refused");
	check(!strcmp(why, "it has 1 ") && why[10] == '#', "%s", why);
	rig_destroy(&rig);
}

const struct unit_test unit_state[] = {
	{ "crc32c", crc32c_known },
	{ "size", size },
	{ "format", format },
	{ "superblock", superblock },
	{ "unformatted", unformatted },
	{ "durable", durable },
	{ "stages", stages },
	{ "too-small", too_small },
	{ "other-set", other_set },
	{ "view-uuid", view_uuid },
	{ "version", version },
	{ "kind", kind },
	{ "lost", lost },
	{ "lost-failed-epoch", lost_failed_epoch },
	{ "lost-failed-epoch-then-list", lost_failed_epoch_then_list },
	{ "lost-next-epoch", lost_next_epoch },
	{ "lost-torn", lost_torn },
	{ "reopened", reopened },
	{ "short-sentence", short_sentence },
	{ NULL, NULL }
};
