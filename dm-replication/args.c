// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arguments of tables: parsing, and refusing with a sentence.
 */
#include <linux/log2.h>

#include "replication.h"

/**
 * repl_refuse - refuse a table, and say why
 * @ti: the target under construction
 * @error: negative errno, returned
 * @fmt: one sentence, without a newline
 *
 * dm core logs ti->error right after the constructor and never frees it, so the
 * sentences live in a few buffers that are used in turn.
 *
 * Context: may sleep.
 * Return: @error.
 */
int repl_refuse(struct dm_target *ti, int error, const char *fmt, ...)
{
	static char text[8][224];
	static atomic_t turn;
	char *buf = text[atomic_inc_return(&turn) & 7];
	va_list args;

	va_start(args, fmt);
	vscnprintf(buf, sizeof(text[0]), fmt, args);
	va_end(args);
	ti->error = buf;
	return error;
}

/**
 * repl_parse_nr_options - parse "<#opts>", and check that so many follow
 * @ti: the target under construction
 * @as: what is left of the arguments; moved to the first option
 * @nr: how many
 *
 * Context: may sleep.
 * Return: 0 or -EINVAL.
 */
int repl_parse_nr_options(struct dm_target *ti, struct dm_arg_set *as, unsigned int *nr)
{
	const char *arg = dm_shift_arg(as);

	if (kstrtouint(arg, 10, nr))
		return repl_refuse(ti, -EINVAL, "Number of options %s is no number", arg);
	if (*nr != as->argc)
		return repl_refuse(ti, -EINVAL,
				   "Number of options is %s, but %u arguments follow it",
				   arg, as->argc);
	return 0;
}

/**
 * repl_parse_chunk - parse a chunk size, and check that it will do for the length
 * @ti: the target under construction
 * @arg: the argument
 * @sectors: the chunk size, sectors
 *
 * Context: may sleep.
 * Return: 0 or -EINVAL.
 */
int repl_parse_chunk(struct dm_target *ti, const char *arg, u32 *sectors)
{
	u64 need;

	if (kstrtou32(arg, 10, sectors) || !is_power_of_2(*sectors) ||
	    *sectors < REPL_MIN_CHUNK_SECTORS || *sectors > REPL_MAX_CHUNK_SECTORS)
		return repl_refuse(ti, -EINVAL,
				   "Chunk size %s is not a power of two from %u to %u sectors",
				   arg, REPL_MIN_CHUNK_SECTORS, REPL_MAX_CHUNK_SECTORS);

	need = ((u64)ti->len + REPL_MAX_CHUNKS - 1) >> ilog2(REPL_MAX_CHUNKS);
	if (need > REPL_MAX_CHUNK_SECTORS)
		return repl_refuse(ti, -EINVAL,
				   "Length %llu is more than the largest chunk size, %u sectors, can do",
				   (u64)ti->len, REPL_MAX_CHUNK_SECTORS);
	if (need > *sectors)
		return repl_refuse(ti, -EINVAL,
				   "Chunk size %s is too small for %llu sectors; take %lu or more",
				   arg, (u64)ti->len, roundup_pow_of_two(need));
	return 0;
}

/**
 * repl_get_device - open a device of a table, which is going to be written
 * @ti: the target under construction
 * @role: what it is to the table
 * @arg: the device, as the table names it
 * @result: the device; to be put, if it is set, also after an error
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int repl_get_device(struct dm_target *ti, const char *role, const char *arg,
		    struct dm_dev **result)
{
	int r = dm_get_device(ti, arg, dm_table_get_mode(ti->table), result);

	/* Some kernels open it nevertheless. */
	if (r == -EACCES || r == -EROFS || (!r && bdev_read_only((*result)->bdev)))
		return repl_refuse(ti, -EROFS,
				   "The %s device %s is read-only; make it writable first: blockdev --setrw",
				   role, arg);
	if (r)
		return repl_refuse(ti, r, "Cannot open the %s device %s", role, arg);
	return 0;
}

/**
 * repl_check_blocks - refuse a device that cannot write as little as it would be sent
 * @ti: the target under construction
 * @what: the device
 * @bdev: the same
 * @whose: what may send it blocks of @most bytes
 * @most: how large its logical blocks may be
 *
 * Context: may sleep.
 * Return: 0 or -EINVAL.
 */
int repl_check_blocks(struct dm_target *ti, const char *what, struct block_device *bdev,
		      const char *whose, unsigned int most)
{
	unsigned int size = bdev_logical_block_size(bdev);

	if (size <= most)
		return 0;
	return repl_refuse(ti, -EINVAL,
			   "The %s has logical blocks of %u bytes, more than the %s's %u; take a device with %u or less",
			   what, size, whose, most, most);
}

/**
 * repl_parse_dev - parse a block device, "major:minor" or a path
 * @arg: the argument
 * @dev: its number
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int repl_parse_dev(const char *arg, dev_t *dev)
{
	unsigned int major, minor;
	char rest;

	if (sscanf(arg, "%u:%u%c", &major, &minor, &rest) == 2) {
		*dev = MKDEV(major, minor);
		return MAJOR(*dev) == major && MINOR(*dev) == minor ? 0 : -EOVERFLOW;
	}
	return lookup_bdev(arg, dev);
}
