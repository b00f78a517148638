// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that are not as metadata.c has left them: refused, and left alone.
 */
#include "unit.h"

#define SECTORS		12
#define CHUNKS		(11 * REPL_META_CHUNKS + 100)

/* With bits in some map sectors; not open. */
static void prepare(struct rig *rig)
{
	struct repl_meta_maps maps;
	u32 number;

	rig_format(rig, CHUNKS);
	rig_state(rig, REPL_RUNNING, 5);
	for (number = 0; number < SECTORS; number += 1 + fake_below(2)) {
		rig_random_maps(rig, number, &maps);
		rig_set(maps.hidden, 7);
		check(!repl_meta_replace(rig->meta, number, &maps, true), "failed");
	}
	check(!repl_meta_commit(rig->meta), "failed");
	rig_reopen(rig);
	rig_close(rig);
}

/* One that is in use. */
static u32 used_sector(struct rig *rig)
{
	u32 number;

	do {
		number = fake_below(SECTORS);
	} while (!memchr_inv(rig_sector(rig, number), 0, DISK_SECTOR));
	return number;
}

/* Refused, and the same with all the rest of the disk as it is. */
static void refused(struct rig *rig, int error, const char *why)
{
	size_t size = rig->disk->sectors * DISK_SECTOR;
	u8 *before = fake_alloc(size);

	memcpy(before, rig->disk->data, size);
	rig_refused(rig, error, why);
	check(!memcmp(before, rig->disk->data, size), "the device has changed");
	kfree(before);
}

static void sector_refused(struct rig *rig, u32 number, const char *damage)
{
	char why[100];

	snprintf(why, sizeof(why), "its map sector %u is damaged: %s", number, damage);
	refused(rig, -EILSEQ, why);
}

/* Anything but zeroes in the first 4 KiB, be it a single bit. */
static void other_content(void)
{
	unsigned int i;
	struct rig rig;

	rig_create(&rig, CHUNKS * 8, 8, true);
	for (i = 0; i < 4096; i++) {
		rig.disk->data[i] = 1 << fake_below(8);
		refused(&rig, -EINVAL,
			"it has other content; to have it formatted, zero its first 4 KiB");
		rig.disk->data[i] = 0;
	}
	rig_destroy(&rig);
}

static void super_bytes(void)
{
	unsigned int i, bit;
	struct rig rig;

	prepare(&rig);
	for (i = 0; i < DISK_SECTOR; i++) {
		for (bit = 0; bit < 8; bit++) {
			rig.disk->data[i] ^= 1 << bit;
			if (i >= SUPER_MAGIC && i < SUPER_UUID)
				refused(&rig, -EINVAL, "it has other content");
			else
				refused(&rig, -EILSEQ, "its superblock is damaged");
			rig.disk->data[i] ^= 1 << bit;
		}
	}
	rig_reopen(&rig);
	rig_destroy(&rig);
}

static void map_bytes(void)
{
	unsigned int i, bit;
	struct rig rig;
	u32 number;
	u8 *sector;

	prepare(&rig);
	for (i = 0; i < DISK_SECTOR; i++) {
		for (bit = 0; bit < 8; bit++) {
			number = used_sector(&rig);
			sector = rig_sector(&rig, number);
			sector[i] ^= 1 << bit;
			sector_refused(&rig, number, "the checksum is wrong");
			sector[i] ^= 1 << bit;
		}
	}
	rig_reopen(&rig);
	rig_destroy(&rig);
}

/* A sector of nothing but zeroes is one that was never used; all but zeroes is not. */
static void nearly_unused(void)
{
	struct rig rig;
	u8 *sector;
	unsigned int i;

	prepare(&rig);
	sector = rig_sector(&rig, 3);
	memset(sector, 0, DISK_SECTOR);
	for (i = 0; i < DISK_SECTOR; i++) {
		sector[i] = 0x80;
		sector_refused(&rig, 3, "the checksum is wrong");
		sector[i] = 0;
	}
	rig_reopen(&rig);
	rig_destroy(&rig);
}

/* A write that went to another place. */
static void wrong_place(void)
{
	struct rig rig;
	u32 from, to;

	for (to = 0; to < SECTORS; to++) {
		prepare(&rig);
		do {
			from = used_sector(&rig);
		} while (from == to);
		memcpy(rig_sector(&rig, to), rig_sector(&rig, from), DISK_SECTOR);
		sector_refused(&rig, to, "it is another one");
		rig_destroy(&rig);
	}
}

static void other_uuid(void)
{
	struct rig rig, other;
	u32 number;

	prepare(&rig);
	prepare(&other);
	number = used_sector(&other);
	memcpy(rig_sector(&rig, number), rig_sector(&other, number), DISK_SECTOR);
	sector_refused(&rig, number, "the checksum is wrong");
	rig_destroy(&other);
	rig_destroy(&rig);
}

/* Where the superblock is older than the maps, something has been lost. */
static void future_epoch(void)
{
	struct rig rig;
	u32 number;

	prepare(&rig);
	number = used_sector(&rig);
	put64(rig_sector(&rig, number), MAP_EPOCH, 6);
	rig_seal_sector(&rig, number);
	sector_refused(&rig, number, "its epoch is yet to come");
	put64(rig_super(&rig), SUPER_EPOCH, 6);
	rig_seal_super(&rig);
	rig_reopen(&rig);
	check(rig.nr_loaded == 1 && rig.last_loaded == number, "others are not empty");
	rig_destroy(&rig);
}

/* Where the last map sector ends at each possible place. */
static void behind_the_end(void)
{
	unsigned int chunks, bit;
	struct rig rig;
	u8 *sector;

	for (chunks = 1; chunks <= REPL_META_CHUNKS; chunks += 1 + fake_below(7)) {
		rig_format(&rig, 8 * REPL_META_CHUNKS + chunks);
		check(!repl_meta_add_hidden(rig.meta, rig.nr_chunks - 1, rig.nr_chunks), "failed");
		check(!repl_meta_commit(rig.meta), "failed");
		rig_reopen(&rig);
		rig_close(&rig);
		sector = rig_sector(&rig, 8);
		for (bit = chunks; bit < REPL_META_CHUNKS; bit += 1 + fake_below(200)) {
			u8 *byte = sector + (fake_one_in(2) ? MAP_ACTIVE : MAP_HIDDEN) + bit / 8;

			*byte ^= 1 << bit % 8;
			rig_seal_sector(&rig, 8);
			sector_refused(&rig, 8, "it has chunks that are not");
			*byte ^= 1 << bit % 8;
		}
		rig_seal_sector(&rig, 8);
		rig_reopen(&rig);
		check(rig_hidden(&rig, rig.nr_chunks - 1), "the last chunk is lost");
		rig_destroy(&rig);
	}
}

/* What has become bad since it was loaded is not given a new checksum. */
static void bad_later(void)
{
	struct repl_meta_maps maps = { 0 };
	struct rig rig;
	u32 number;
	u64 chunk;
	u8 *sector;
	u8 before[DISK_SECTOR];

	prepare(&rig);
	number = used_sector(&rig);
	sector = rig_sector(&rig, number);
	chunk = (u64)number * REPL_META_CHUNKS;
	rig_reopen(&rig);
	sector[100] ^= 1;
	memcpy(before, sector, DISK_SECTOR);
	check(repl_meta_add_hidden(rig.meta, chunk, chunk + 1) == -EILSEQ, "not refused");
	rig_close(&rig);
	check(!memcmp(before, sector, DISK_SECTOR), "it has changed");
	sector_refused(&rig, number, "the checksum is wrong");

	sector[100] ^= 1;
	rig_reopen(&rig);
	put32(sector, MAP_NUMBER, number ^ 1);
	rig_seal_sector(&rig, number);
	check(repl_meta_replace(rig.meta, number, &maps, true) == -EILSEQ, "not refused");
	rig_close(&rig);
	sector_refused(&rig, number, "it is another one");
	rig_destroy(&rig);
}

const struct unit_test unit_damage[] = {
	{ "other-content", other_content },
	{ "super-bytes", super_bytes },
	{ "map-bytes", map_bytes },
	{ "nearly-unused", nearly_unused },
	{ "wrong-place", wrong_place },
	{ "other-uuid", other_uuid },
	{ "future-epoch", future_epoch },
	{ "behind-the-end", behind_the_end },
	{ "bad-later", bad_later },
	{ NULL, NULL }
};
