// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ingress: the device that the primary's writes land on.
 *
 * Before the first write of an epoch to a chunk, its old content is copied to
 * hidden. Then the write waits for those reads of the view that are still under
 * way on the secondary, and goes there.
 */
#include "compat.h"
#include "replication.h"

struct ingress {
	struct repl_face face;
	void *top;			/* held open, so that it cannot go first */
	struct dm_dev *secondary;
	struct dm_dev *hidden;
	bool resumed;			/* at least once */
};

static int ingress_route(struct repl_io *io, struct bio *bio);

static void ingress_resume_io(struct repl_io *io)
{
	repl_io_continue(io, ingress_route);
}

/* The next run of chunks that hidden lacks; they are in the secondary, all. */
static bool ingress_next_run(struct repl_region *r, unsigned int *first,
			     unsigned int *run_end, unsigned int end,
			     enum repl_dev *from)
{
	*from = REPL_SECONDARY;
	*first = find_next_zero_bit(r->hidden, end, *first);
	if (*first >= end)
		return false;
	*run_end = find_next_bit(r->hidden, end, *first);
	return true;
}

/* Region lock held. Chunks are not saved: what was noted of them meanwhile is not lost. */
static void forget_lost(struct repl_io *io)
{
	struct repl_region *r = io->region;
	struct repl_set *rs = io->rs;
	unsigned int run, run_end;
	enum repl_dev from;

	for (run = io->first; ingress_next_run(r, &run, &run_end, io->end, &from); run = run_end)
		repl_lost_clear(rs, REPL_HIDDEN, repl_chunk_sector(rs, r, run),
				min(rs->len, repl_chunk_sector(rs, r, run_end)));
}

/**
 * repl_ingress_saved - the claimed chunks are in hidden, durably if there is metadata
 * @io: the write that they were saved for
 * @error: or could not be: a negative errno
 *
 * Context: may sleep; with metadata, the worker that commits.
 */
void repl_ingress_saved(struct repl_io *io, int error)
{
	struct repl_region *r = io->region;

	spin_lock_irq(&r->lock);
	if (!error)
		repl_map_set(io->rs, r, REPL_HIDDEN, io->first, io->end);
	else if (repl_has_lost(io->rs))
		forget_lost(io);
	repl_io_release_locked(io);
	spin_unlock_irq(&r->lock);

	if (error) {
		repl_io_bio(io)->bi_status = errno_to_blk_status(error);
		bio_endio(repl_io_bio(io));
	} else if (io->rs->commit) {
		/* Not from here: the secondary may make its writers wait. */
		repl_io_resume(io);
	} else {
		repl_io_continue(io, ingress_route);
	}
}

static void ingress_copied(struct repl_io *io, blk_status_t read_error,
			   blk_status_t write_error)
{
	bool failed = read_error || write_error;
	bool no_space = write_error == BLK_STS_NOSPC;

	if (failed)
		repl_fail(io->rs, no_space ? REPL_COW_NOSPC : REPL_COW_IO);
	if (!failed && io->rs->commit)
		repl_commit_saved(io);
	else if (no_space)
		repl_ingress_saved(io, -ENOSPC);	/* the caller is to know */
	else
		repl_ingress_saved(io, failed ? -EIO : 0);
}

/*
 * Save the chunks from @first, which hidden lacks, up to @end; then the write
 * starts afresh. Region lock held, dropped.
 */
static int ingress_copy(struct repl_io *io, struct repl_region *r, unsigned int first,
			unsigned int end, unsigned long flags)
	__releases(&r->lock)
{
	struct repl_copy *copy = NULL;
	unsigned int run, run_end;
	struct repl_io *other;
	enum repl_dev from;

	for (run = first; ingress_next_run(r, &run, &run_end, end, &from); run = run_end) {
		other = repl_claim_find(r, REPL_CLAIM_COPY | REPL_CLAIM_TRIM_HIDDEN, run, run_end);
		if (other) {
			repl_io_wait_for(io, other);
			goto out;
		}
	}
	copy = repl_copy_get(io);
	if (copy) {
		io->mapping = false;
		repl_io_claim(io, REPL_CLAIM_COPY, r, first, end);
	}
out:
	spin_unlock_irqrestore(&r->lock, flags);
	if (copy)
		repl_copy_start(copy, io, REPL_HIDDEN, ingress_next_run, ingress_copied);
	return DM_MAPIO_SUBMITTED;
}

static int ingress_write(struct repl_io *io, struct bio *bio)
{
	struct repl_set *rs = io->rs;
	unsigned int first, end, missing;
	struct repl_io *other;
	struct repl_region *r;
	unsigned long flags;

	r = repl_bio_chunks(rs, bio, &first, &end);
	flags = repl_region_lock(rs, r);
	missing = find_next_zero_bit(r->hidden, end, first);
	if (missing < end)
		return ingress_copy(io, r, missing, end, flags);

	other = repl_claim_find(r, REPL_CLAIM_READ | REPL_CLAIM_FILL, first, end);
	if (other)
		repl_io_wait_for(io, other);
	spin_unlock_irqrestore(&r->lock, flags);
	if (other)
		return DM_MAPIO_SUBMITTED;
	repl_io_send(io, bio, REPL_SECONDARY);
	return DM_MAPIO_REMAPPED;
}

static int ingress_route(struct repl_io *io, struct bio *bio)
{
	struct repl_set *rs = io->rs;

	if (unlikely(rs->stage != REPL_RUNNING || READ_ONCE(rs->fenced)))
		return DM_MAPIO_KILL;
	if (unlikely(bio->bi_opf & REQ_PREFLUSH) && repl_flush_tell_ingress(rs))
		return DM_MAPIO_KILL;
	if (unlikely(bio->bi_opf & REQ_PREFLUSH) || bio_op(bio) == REQ_OP_READ) {
		repl_io_send(io, bio, REPL_SECONDARY);
		return DM_MAPIO_REMAPPED;
	}
	/* Which epoch the device has is not known for sure then. */
	if (unlikely(repl_commit_failed(rs)))
		return DM_MAPIO_KILL;
	repl_io_cut(io, bio, repl_region_end(rs, bio->bi_iter.bi_sector));
	return ingress_write(io, bio);
}

static int ingress_map(struct dm_target *ti, struct bio *bio)
{
	struct ingress *in = ti->private;
	struct repl_set *rs = in->face.rs;
	struct repl_io *io = repl_bio_io(bio);

	repl_io_init(io, &rs->lane[REPL_INGRESS], ti, ingress_resume_io);
	return repl_io_map(io, bio, ingress_route, repl_region_sectors(rs));
}

static int ingress_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	repl_io_end(repl_bio_io(bio), bio, *error);
	return DM_ENDIO_DONE;
}

static void ingress_presuspend(struct dm_target *ti)
{
	if (dm_noflush_suspending(ti))
		repl_io_requeue(ti->private);
}

static void ingress_resume(struct dm_target *ti)
{
	struct ingress *in = ti->private;

	WRITE_ONCE(in->face.requeue, false);
	/* What is in the page cache is of the table before. */
	if (!in->resumed)
		repl_cache_forget(dm_table_get_md(ti->table));
	in->resumed = true;
}

static int ingress_get_device(struct dm_target *ti, const char *role, dev_t dev,
			      struct dm_dev **result)
{
	char name[24];

	snprintf(name, sizeof(name), "%u:%u", MAJOR(dev), MINOR(dev));
	return repl_get_device(ti, role, name, result);
}

static int ingress_open(struct ingress *in, const char *top)
{
	struct dm_target *ti = in->face.ti;
	struct repl_set *rs;
	dev_t dev;
	int r;

	r = repl_parse_dev(top, &dev);
	if (r == -ENOMEM)
		return repl_refuse(ti, r, "Cannot open the top device %s", top);
	if (r)
		return repl_refuse(ti, r, "No top_bs or it is invalid: %s is no block device",
				   top);
	if (dev == disk_devt(dm_disk(dm_table_get_md(ti->table))))
		return repl_refuse(ti, -EINVAL,
				   "No top_bs or it is invalid: %s is its own top", top);
	rs = repl_set_find(dev);
	if (!rs)
		return repl_refuse(ti, -EINVAL,
				   "No top_bs or it is invalid: %s is no active device of the mode secondary",
				   top);
	in->face.rs = rs;
	if (ti->len != rs->len)
		return repl_refuse(ti, -EINVAL,
				   "Table length %llu is not the top's %llu sectors",
				   (u64)ti->len, (u64)rs->len);
	in->top = compat_open_shared(dev);
	if (IS_ERR(in->top)) {
		r = PTR_ERR(in->top);
		in->top = NULL;
		return repl_refuse(ti, r, "Cannot open the top %s", top);
	}
	r = ingress_get_device(ti, "top's secondary", rs->dev_nr[REPL_SECONDARY],
			       &in->secondary);
	if (!r)
		r = ingress_get_device(ti, "top's hidden", rs->dev_nr[REPL_HIDDEN],
				       &in->hidden);
	return r;
}

static void ingress_free(struct ingress *in)
{
	if (in->hidden)
		dm_put_device(in->face.ti, in->hidden);
	if (in->secondary)
		dm_put_device(in->face.ti, in->secondary);
	if (in->top)
		compat_close_shared(in->top);
	if (in->face.rs)
		repl_set_put(in->face.rs);
	kfree(in);
}

/* <top dev> */
static int ingress_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct ingress *in;
	int r;

	if (!argc)
		return repl_refuse(ti, -EINVAL,
				   "Missing the option top-id: an ingress takes <top dev>");
	if (argc > 1)
		return repl_refuse(ti, -EINVAL,
				   "%u arguments after ingress; it takes <top dev> alone",
				   argc);
	in = kzalloc(sizeof(*in), GFP_KERNEL);
	if (!in)
		return repl_refuse(ti, -ENOMEM, "Out of memory for the ingress");
	in->face.mode = &repl_ingress_mode;
	in->face.ti = ti;
	r = ingress_open(in, argv[0]);
	if (r) {
		ingress_free(in);
		return r;
	}
	repl_face_add(&in->face);

	ti->private = in;
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->num_write_zeroes_bios = 1;
	/* Whatever hidden can do, to which no discard of the user's goes. */
	ti->discards_supported = bdev_max_discard_sectors(in->secondary->bdev);
	ti->per_io_data_size = sizeof(struct repl_io);
	return 0;
}

static void ingress_dtr(struct dm_target *ti)
{
	struct ingress *in = ti->private;

	repl_face_del(&in->face);
	ingress_free(in);
}

static void ingress_status(struct dm_target *ti, char *result, unsigned int maxlen)
{
	struct ingress *in = ti->private;
	struct repl_set *rs = in->face.rs;
	enum repl_stage stage = READ_ONCE(rs->shown_stage);
	unsigned int sz = 0;

	DMEMIT("ingress %s %s %u:%u", repl_stage_name(stage),
	       stage == REPL_RUNNING && !READ_ONCE(rs->fenced) ? "open" : "fenced",
	       MAJOR(rs->devt), MINOR(rs->devt));
}

static void ingress_table(struct dm_target *ti, char *result, unsigned int maxlen)
{
	struct ingress *in = ti->private;
	unsigned int sz = 0;

	DMEMIT("ingress %u:%u", MAJOR(in->face.rs->devt), MINOR(in->face.rs->devt));
}

static int ingress_message(struct dm_target *ti, unsigned int argc, char **argv,
			   char *result, unsigned int maxlen)
{
	struct ingress *in = ti->private;
	dev_t top = in->face.rs->devt;

	DMERR("%s: message '%s': an ingress takes none; send it to its top %u:%u",
	      dm_table_device_name(ti->table), argv[0], MAJOR(top), MINOR(top));
	return -EINVAL;
}

static int ingress_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn,
				   void *data)
{
	struct ingress *in = ti->private;
	int r;

	r = fn(ti, in->secondary, 0, ti->len, data);
	if (!r)
		r = fn(ti, in->hidden, 0, ti->len, data);
	return r;
}

/* A smaller write saves the whole of its chunk. */
static void ingress_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct ingress *in = ti->private;
	u32 chunk = in->face.rs->chunk_sectors << SECTOR_SHIFT;

	limits->io_min = max(limits->io_min, chunk);
}

const struct repl_mode repl_ingress_mode = {
	.name = "ingress",
	.ctr = ingress_ctr,
	.dtr = ingress_dtr,
	.map = ingress_map,
	.end_io = ingress_end_io,
	.presuspend = ingress_presuspend,
	.presuspend_undo = ingress_resume,
	.resume = ingress_resume,
	.status = ingress_status,
	.table = ingress_table,
	.message = ingress_message,
	.iterate_devices = ingress_iterate_devices,
	.io_hints = ingress_io_hints,
};
