// SPDX-License-Identifier: GPL-2.0-only
/*
 * The view: the device of the mode "secondary".
 *
 * Reads go to active, else hidden, else the secondary. Writes go to active; a
 * chunk that a write covers in part is filled from below first. After a failover
 * what no store holds any more is the secondary's own.
 */
#include "replication.h"

struct view {
	struct repl_face face;
	struct dm_dev *dev[REPL_NR_DEVS];
	bool manual_start;
	bool no_discard;
};

/* What a write to active that sets bits waits for. */
#define WRITE_WAITS_FOR	(REPL_CLAIM_FILL | REPL_CLAIM_MERGE | REPL_CLAIM_TRIM_ACTIVE)

static int view_route(struct repl_io *io, struct bio *bio);

static void view_resume_io(struct repl_io *io)
{
	repl_io_continue(io, view_route);
}

/* Active has been flushed. */
static int view_flush_secondary(struct repl_io *io, struct bio *bio)
{
	bio->bi_opf |= REQ_PREFLUSH;	/* without a cache it was taken off */
	repl_io_send(io, bio, REPL_SECONDARY);
	return DM_MAPIO_REMAPPED;
}

static void view_resume_flush(struct repl_io *io)
{
	repl_io_continue(io, view_flush_secondary);
}

/* Once the merge has begun, data may be in active or the secondary. */
static int view_flush(struct repl_io *io, struct bio *bio)
{
	struct repl_set *rs = io->rs;
	/* Pairs with repl_set_stage(): if that could not be recorded, we know. */
	enum repl_stage stage = smp_load_acquire(&rs->stage);

	if (repl_commit_failed(rs) || repl_flush_tell_view(rs))
		return DM_MAPIO_KILL;
	if (rs->commit && stage != REPL_DONE) {
		repl_commit_flush(io, true);
		return DM_MAPIO_SUBMITTED;
	}
	io->flush_both = stage != REPL_RUNNING && stage != REPL_DONE;
	repl_io_send(io, bio, stage == REPL_DONE ? REPL_SECONDARY : REPL_ACTIVE);
	return DM_MAPIO_REMAPPED;
}

/*
 * A write with FUA is done; what tells that it is there has to be durable too.
 * False: it is.
 */
static bool view_commit_fua(struct repl_io *io, blk_status_t *error)
{
	struct repl_set *rs = io->rs;

	io->fua = false;
	if (*error)
		return false;
	/*
	 * In stage done there is nothing more to commit, if that is on the device. Pairs
	 * with repl_set_stage().
	 */
	if (smp_load_acquire(&rs->stage) == REPL_DONE && !repl_commit_failed(rs))
		return false;
	io->dev = REPL_NOWHERE;		/* what may fail now is not that device */
	repl_commit_flush(io, false);
	return true;
}

/*
 * Active is told to write zeroes, which gives its space back where it can: what
 * its discarded sectors would read, nobody knows. Where active holds nothing the
 * range is garbage, and nobody looks at it. To discard below would show a third
 * content, and while the merge goes on it is not worth a wait: a discard is a hint.
 */
static int view_discard(struct repl_io *io, struct bio *bio)
{
	struct repl_set *rs = io->rs;

	if (rs->stage != REPL_RUNNING ||
	    !bdev_write_zeroes_sectors(rs->bdev[REPL_ACTIVE])) {
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	io->discard = true;
	bio->bi_opf = (bio->bi_opf & ~REQ_OP_MASK) | REQ_OP_WRITE_ZEROES;
	repl_io_send(io, bio, REPL_ACTIVE);
	return DM_MAPIO_REMAPPED;
}

/* Whether a bio reads, of the run up to @end that is in @dev, what is lost. */
static bool reads_lost(struct repl_set *rs, struct bio *bio, enum repl_dev dev, sector_t end)
{
	end = min(end, bio_end_sector(bio));
	return repl_lost_find(rs, dev, bio->bi_iter.bi_sector, end) < end;
}

static int view_read(struct repl_io *io, struct bio *bio)
{
	struct repl_set *rs = io->rs;
	unsigned int first, end, run;
	struct repl_region *r;
	unsigned long flags;
	enum repl_dev dev;

	r = repl_bio_chunks(rs, bio, &first, &end);
	run = end;

	flags = repl_region_lock(rs, r);
	dev = repl_map_run(r, first, &run);
	if (repl_has_lost(rs) && reads_lost(rs, bio, dev, repl_chunk_sector(rs, r, run))) {
		spin_unlock_irqrestore(&r->lock, flags);
		return DM_MAPIO_KILL;
	}
	/*
	 * No ingress write comes after the failover. But the merge ends without waiting for
	 * reads, and then the stores are discarded.
	 */
	if (dev == REPL_SECONDARY && rs->stage == REPL_RUNNING)
		repl_io_claim(io, REPL_CLAIM_READ, r, first, run);
	else if (dev != REPL_SECONDARY && rs->stage != REPL_RUNNING)
		repl_io_claim(io, REPL_CLAIM_READ_STORE, r, first, run);
	spin_unlock_irqrestore(&r->lock, flags);

	if (run < end)
		repl_io_cut(io, bio, repl_chunk_sector(rs, r, run));
	repl_io_send(io, bio, dev);
	return DM_MAPIO_REMAPPED;
}

/* A chunk has been filled. */
static void view_filled(struct repl_io *io, blk_status_t read_error,
			blk_status_t write_error)
{
	struct bio *bio = repl_io_bio(io);
	struct repl_region *r = io->region;
	struct repl_set *rs = io->rs;
	sector_t first = repl_chunk_sector(rs, r, io->first);
	sector_t end = min(rs->len, repl_chunk_sector(rs, r, io->end));
	bool failed;

	if (io->dev == REPL_HIDDEN)
		repl_lost_inherit(rs, first, end);
	/* If nothing can be read it is no chunk with a bad sector, but a bad one. */
	if (!read_error && repl_lost_all(rs, REPL_ACTIVE, first, end))
		read_error = BLK_STS_IOERR;
	failed = read_error || write_error;
	if (failed && repl_has_lost(rs))
		repl_lost_clear(rs, REPL_ACTIVE, first, end);

	if (read_error)
		repl_fail_dev(rs, io->dev, BLK_STS_IOERR);
	else if (write_error)
		repl_fail_dev(rs, REPL_ACTIVE, write_error);
	io->dev = REPL_NOWHERE;

	spin_lock_irq(&r->lock);
	if (!failed)
		repl_map_set(rs, r, REPL_ACTIVE, io->first, io->end);
	repl_io_release_locked(io);
	spin_unlock_irq(&r->lock);

	if (!failed) {
		repl_io_continue(io, view_route);	/* maybe to fill another */
		return;
	}
	bio->bi_status = write_error == BLK_STS_NOSPC ? write_error : BLK_STS_IOERR;
	bio_endio(bio);
}

/*
 * Fill a chunk from below; then the write starts afresh and finds it in active.
 * Region lock held, dropped.
 */
static int view_fill(struct repl_io *io, struct repl_region *r, unsigned int chunk,
		     unsigned long flags)
	__releases(&r->lock)
{
	struct repl_copy *copy = NULL;
	unsigned int end = chunk + 1;
	struct repl_io *other;

	other = repl_claim_find(r, REPL_CLAIM_WRITE | WRITE_WAITS_FOR, chunk, end);
	if (other)
		repl_io_wait_for(io, other);
	else
		copy = repl_copy_get(io);
	if (copy) {
		io->mapping = false;
		io->dev = repl_map_run(r, chunk, &end);	/* for the error of a read */
		io->end_sector = 0;
		repl_io_claim(io, REPL_CLAIM_FILL, r, chunk, end);
	}
	spin_unlock_irqrestore(&r->lock, flags);
	if (copy)
		repl_copy_start(copy, io, REPL_ACTIVE, repl_map_next_run, view_filled);
	return DM_MAPIO_SUBMITTED;
}

/*
 * Region lock held. Whether the bio covers a chunk in part only that active does
 * not hold yet; @chunk says which.
 */
static bool view_part(struct repl_set *rs, struct bio *bio, struct repl_region *r,
		      unsigned int first, unsigned int end, unsigned int *chunk)
{
	sector_t in_chunk = rs->chunk_sectors - 1;
	sector_t stop = bio_end_sector(bio);

	*chunk = first;
	if (bio->bi_iter.bi_sector & in_chunk && !test_bit(first, r->active))
		return true;
	*chunk = end - 1;
	return stop & in_chunk && stop != rs->len && !test_bit(end - 1, r->active);
}

/*
 * Region lock held. After the failover a write is cut to chunks that are all
 * held by a store, or all not. One that will have to wait is cut to one chunk,
 * for the merge may meanwhile do a part of it. Returns whether they are held.
 */
static bool view_cut_held(struct repl_io *io, struct bio *bio, struct repl_region *r,
			  unsigned int first, unsigned int *end)
{
	struct repl_set *rs = io->rs;
	unsigned int part, run = *end;
	bool held = repl_map_held_run(r, first, &run);

	repl_io_cut(io, bio, repl_chunk_sector(rs, r, run));
	if (held && io->mapping &&
	    (repl_claim_find(r, WRITE_WAITS_FOR, first, run) ||
	     view_part(rs, bio, r, first, run, &part))) {
		run = first + 1;
		repl_io_cut(io, bio, repl_chunk_sector(rs, r, run));
	}
	*end = run;
	return held;
}

static int view_write(struct repl_io *io, struct bio *bio)
{
	struct repl_set *rs = io->rs;
	bool merging = rs->stage != REPL_RUNNING;
	unsigned int first, end, run, part;
	struct repl_io *other;
	struct repl_region *r;
	unsigned long flags;

	r = repl_bio_chunks(rs, bio, &first, &end);
	flags = repl_region_lock(rs, r);
	if (merging && !view_cut_held(io, bio, r, first, &end)) {
		spin_unlock_irqrestore(&r->lock, flags);
		repl_io_send(io, bio, REPL_SECONDARY);
		return DM_MAPIO_REMAPPED;
	}
	if (view_part(rs, bio, r, first, end, &part))
		return view_fill(io, r, part, flags);

	run = end;
	if (merging || repl_map_run(r, first, &run) != REPL_ACTIVE || run < end) {
		other = repl_claim_find(r, WRITE_WAITS_FOR, first, end);
		if (other) {
			repl_io_wait_for(io, other);
			spin_unlock_irqrestore(&r->lock, flags);
			return DM_MAPIO_SUBMITTED;
		}
		repl_io_claim(io, REPL_CLAIM_WRITE, r, first, end);
	}
	spin_unlock_irqrestore(&r->lock, flags);
	if (repl_has_lost(rs)) {
		io->sector = bio->bi_iter.bi_sector;
		io->end_sector = bio_end_sector(bio);
	}
	repl_io_send(io, bio, REPL_ACTIVE);
	return DM_MAPIO_REMAPPED;
}

static int view_route(struct repl_io *io, struct bio *bio)
{
	struct repl_set *rs = io->rs;

	if (unlikely(rs->stage == REPL_NONE))
		return DM_MAPIO_KILL;
	if (unlikely(bio->bi_opf & REQ_PREFLUSH))
		return view_flush(io, bio);
	if (rs->stage == REPL_DONE) {
		repl_io_send(io, bio, REPL_SECONDARY);
		return DM_MAPIO_REMAPPED;
	}
	repl_io_cut(io, bio, repl_region_end(rs, bio->bi_iter.bi_sector));
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return view_read(io, bio);
	case REQ_OP_DISCARD:
		return view_discard(io, bio);
	default:
		return view_write(io, bio);
	}
}

static int view_map(struct dm_target *ti, struct bio *bio)
{
	struct view *view = ti->private;
	struct repl_set *rs = view->face.rs;
	struct repl_io *io = repl_bio_io(bio);
	bool by_chunk = bio_op(bio) != REQ_OP_DISCARD;

	repl_io_init(io, &rs->lane[REPL_VIEW], ti, view_resume_io);
	/* Now, for a disk without a cache has it taken off the bio. */
	io->fua = rs->commit && bio->bi_opf & REQ_FUA;
	return repl_io_map(io, bio, view_route,
			   by_chunk ? rs->chunk_sectors : repl_region_sectors(rs));
}

static int view_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct repl_io *io = repl_bio_io(bio);
	struct repl_region *r = io->region;
	unsigned long flags;

	if (unlikely(io->end_sector) && !*error)
		repl_lost_clear(io->rs, REPL_ACTIVE, io->sector, io->end_sector);
	if (io->claim) {
		spin_lock_irqsave(&r->lock, flags);
		if (io->claim == REPL_CLAIM_WRITE && !*error)
			repl_map_set(io->rs, r, REPL_ACTIVE, io->first, io->end);
		repl_io_release_locked(io);
		spin_unlock_irqrestore(&r->lock, flags);
	}
	if (unlikely(io->fua) && view_commit_fua(io, error))
		return DM_ENDIO_INCOMPLETE;	/* and comes again */
	if (unlikely(io->flush_both) && !*error) {
		io->flush_both = false;
		io->resume = view_resume_flush;
		repl_io_resume(io);
		return DM_ENDIO_INCOMPLETE;	/* and comes again */
	}
	/* A disk that finds out only now that it cannot: then the hint is not taken. */
	if (io->discard && (*error == BLK_STS_NOTSUPP || *error == BLK_STS_TARGET))
		*error = BLK_STS_OK;
	repl_io_end(io, bio, *error);
	return DM_ENDIO_DONE;
}

static void view_presuspend(struct dm_target *ti)
{
	struct view *view = ti->private;

	repl_cache_suspend(view->face.rs);
	if (dm_noflush_suspending(ti))
		repl_io_requeue(&view->face);
}

static void view_presuspend_undo(struct dm_target *ti)
{
	struct view *view = ti->private;

	WRITE_ONCE(view->face.requeue, false);
	repl_cache_resume(view->face.rs);
}

static void view_postsuspend(struct dm_target *ti)
{
	struct view *view = ti->private;

	repl_merge_pause(view->face.rs);
	repl_reclaim_pause(view->face.rs);
	repl_commit_suspend(view->face.rs);
}

static void view_resume(struct dm_target *ti)
{
	struct view *view = ti->private;
	struct repl_set *rs = view->face.rs;

	repl_set_bind(rs);
	repl_commit_resume(rs);
	if (!view->manual_start)
		repl_autostart(rs);
	repl_merge_resume(rs);
	repl_reclaim_resume(rs, !view->no_discard);
	WRITE_ONCE(view->face.requeue, false);
	repl_cache_resume(rs);
}

static void view_put_devices(struct view *view)
{
	int i;

	for (i = 0; i < REPL_NR_DEVS; i++)
		if (view->dev[i])
			dm_put_device(view->face.ti, view->dev[i]);
}

static int view_get_devices(struct view *view, char **argv)
{
	static const char * const names[] = {
		[REPL_SECONDARY] = "secondary",
		[REPL_HIDDEN] = "hidden",
		[REPL_ACTIVE] = "active",
		[REPL_METADATA] = "metadata",
	};
	static const u8 order[] = {
		REPL_METADATA, REPL_ACTIVE, REPL_HIDDEN, REPL_SECONDARY
	};
	struct dm_target *ti = view->face.ti;
	dev_t self = disk_devt(dm_disk(dm_table_get_md(ti->table)));
	dev_t dev;
	int i, r;

	for (i = strcmp(argv[0], "-") ? 0 : 1; i < REPL_NR_DEVS; i++) {
		/* Newer kernels do not open it either, but do not say why. */
		if (!repl_parse_dev(argv[i], &dev) && dev == self)
			return repl_refuse(ti, -EINVAL, "Device %u:%u is the view itself",
					   MAJOR(dev), MINOR(dev));
		r = repl_get_device(ti, names[order[i]], argv[i], &view->dev[order[i]]);
		if (r)
			return r;
	}
	return 0;
}

/*
 * What is promised for the view and the ingress is what the disk itself takes: an idle
 * store must not raise it.
 */
static int view_check_blocks(struct view *view, u32 chunk_sectors)
{
	struct block_device *disk = view->dev[REPL_SECONDARY]->bdev;
	unsigned int size = bdev_logical_block_size(disk);
	struct dm_target *ti = view->face.ti;
	int r;

	r = repl_check_blocks(ti, "active device", view->dev[REPL_ACTIVE]->bdev,
			      "secondary", size);
	if (!r)
		r = repl_check_blocks(ti, "hidden device", view->dev[REPL_HIDDEN]->bdev,
				      "secondary", size);
	if (!r)
		r = repl_check_blocks(ti, "secondary device", disk, "chunk",
				      chunk_sectors << SECTOR_SHIFT);
	if (!r && view->dev[REPL_METADATA])
		r = repl_check_blocks(ti, "metadata device", view->dev[REPL_METADATA]->bdev,
				      "format", REPL_META_BLOCK_BYTES);
	return r;
}

/* The lengths of the devices, and none twice. */
static int view_check_devices(struct view *view)
{
	struct dm_target *ti = view->face.ti;
	sector_t size[REPL_NR_DEVS];
	int i, j;

	for (i = 0; i < REPL_NR_DEVS && view->dev[i]; i++) {
		dev_t dev = view->dev[i]->bdev->bd_dev;

		size[i] = bdev_nr_sectors(view->dev[i]->bdev);
		for (j = 0; j < i; j++)
			if (dev == view->dev[j]->bdev->bd_dev)
				return repl_refuse(ti, -EINVAL,
						   "Device %s is given twice; metadata, active, hidden and secondary are different devices",
						   view->dev[i]->name);
	}
	/* What is beyond the table is left alone: devices may have grown. */
	if (ti->len > size[REPL_SECONDARY])
		return repl_refuse(ti, -EINVAL,
				   "Table length %llu is more than the secondary's %llu sectors",
				   (u64)ti->len, (u64)size[REPL_SECONDARY]);
	if (size[REPL_ACTIVE] < ti->len || size[REPL_HIDDEN] < ti->len)
		return repl_refuse(ti, -EINVAL,
				   "Active disk, hidden disk, secondary disk's length are not the same: %llu, %llu, %llu sectors; active and hidden may be longer, not shorter",
				   (u64)size[REPL_ACTIVE], (u64)size[REPL_HIDDEN],
				   (u64)size[REPL_SECONDARY]);
	return 0;
}

static int view_parse_options(struct view *view, struct dm_arg_set *as)
{
	struct dm_target *ti = view->face.ti;
	unsigned int nr;
	int r;

	if (!as->argc)
		return 0;
	r = repl_parse_nr_options(ti, as, &nr);
	if (r)
		return r;
	while (nr--) {
		const char *opt = dm_shift_arg(as);
		bool *flag;

		if (!strcmp(opt, "manual_start"))
			flag = &view->manual_start;
		else if (!strcmp(opt, "no_discard"))
			flag = &view->no_discard;
		else
			return repl_refuse(ti, -EINVAL,
					   "Unknown option %s; a secondary has manual_start and no_discard",
					   opt);
		if (*flag)
			return repl_refuse(ti, -EINVAL, "Option %s is given twice", opt);
		*flag = true;
	}
	return 0;
}

static void view_free(struct view *view)
{
	view_put_devices(view);
	kfree(view);
}

/* <metadata|-> <active> <hidden> <secondary> <chunk sectors> [<#opts> <opt>...] */
static int view_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_arg_set as = { .argc = argc, .argv = argv };
	struct view *view;
	u32 chunk_sectors;
	int r;

	if (argc < 5)
		return repl_refuse(ti, -EINVAL,
				   "%u arguments after secondary; it takes <metadata dev|-> <active dev> <hidden dev> <secondary dev> <chunk sectors> [<#opts> <opt>...]",
				   argc);
	r = repl_parse_chunk(ti, argv[4], &chunk_sectors);
	if (r)
		return r;

	view = kzalloc(sizeof(*view), GFP_KERNEL);
	if (!view)
		return repl_refuse(ti, -ENOMEM, "Out of memory for the view");
	view->face.mode = &repl_view_mode;
	view->face.ti = ti;

	dm_consume_args(&as, 5);
	r = view_parse_options(view, &as);
	if (!r)
		r = view_get_devices(view, argv);
	if (!r)
		r = view_check_devices(view);
	if (!r)
		r = view_check_blocks(view, chunk_sectors);
	if (r)
		goto bad;

	view->face.rs = repl_set_get(ti, view->dev, chunk_sectors);
	if (IS_ERR(view->face.rs)) {
		r = PTR_ERR(view->face.rs);
		goto bad;
	}
	repl_face_add(&view->face);

	ti->private = view;
	ti->num_flush_bios = 1;
	/* Whatever the devices do: maps have to be committed. */
	ti->flush_supported = !!view->dev[REPL_METADATA];
	ti->num_discard_bios = 1;
	ti->num_write_zeroes_bios = 1;
	/* Whatever the stores can do, to which no discard of the user's goes. */
	ti->discards_supported =
		bdev_max_discard_sectors(view->dev[REPL_SECONDARY]->bdev);
	ti->per_io_data_size = sizeof(struct repl_io);
	return 0;
bad:
	view_free(view);
	return r;
}

static void view_dtr(struct dm_target *ti)
{
	struct view *view = ti->private;

	repl_face_del(&view->face);
	repl_set_put_view(view->face.rs);
	view_free(view);
}

static void view_status(struct dm_target *ti, char *result, unsigned int maxlen)
{
	struct view *view = ti->private;
	struct repl_set *rs = view->face.rs;
	u64 total = READ_ONCE(rs->merge.total);
	u64 left = atomic64_read(&rs->nr_held);
	unsigned int sz = 0;

	DMEMIT("secondary %s %llu %u %llu/%llu %llu/%llu %llu/%llu %s %s",
	       repl_stage_name(READ_ONCE(rs->shown_stage)), READ_ONCE(rs->shown_epoch),
	       rs->chunk_sectors,
	       (u64)atomic64_read(&rs->nr_active), rs->nr_chunks,
	       (u64)atomic64_read(&rs->nr_hidden), rs->nr_chunks,
	       total ? total - min(left, total) : 0, total, repl_commit_mode(rs),
	       repl_error_name(repl_error(rs)));
}

static void view_table(struct dm_target *ti, char *result, unsigned int maxlen)
{
	struct view *view = ti->private;
	unsigned int sz = 0;

	DMEMIT("secondary %s %s %s %s %u",
	       view->dev[REPL_METADATA] ? view->dev[REPL_METADATA]->name : "-",
	       view->dev[REPL_ACTIVE]->name, view->dev[REPL_HIDDEN]->name,
	       view->dev[REPL_SECONDARY]->name, view->face.rs->chunk_sectors);
	if (view->manual_start || view->no_discard)
		DMEMIT(" %d", view->manual_start + view->no_discard);
	if (view->manual_start)
		DMEMIT(" manual_start");
	if (view->no_discard)
		DMEMIT(" no_discard");
}

static int view_message(struct dm_target *ti, unsigned int argc, char **argv,
			char *result, unsigned int maxlen)
{
	struct view *view = ti->private;

	return repl_view_message(&view->face, argc, argv, result, maxlen);
}

static int view_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn,
				void *data)
{
	struct view *view = ti->private;
	int i, r = 0;

	/* Not the metadata device, which is shorter and has limits of its own. */
	for (i = 0; !r && i < REPL_METADATA; i++)
		r = fn(ti, view->dev[i], 0, ti->len, data);
	return r;
}

/* A smaller write makes a copy of the rest of its chunk. */
static void view_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct view *view = ti->private;
	u32 chunk = view->face.rs->chunk_sectors << SECTOR_SHIFT;

	limits->io_min = max(limits->io_min, chunk);
}

const struct repl_mode repl_view_mode = {
	.name = "secondary",
	.ctr = view_ctr,
	.dtr = view_dtr,
	.map = view_map,
	.end_io = view_end_io,
	.presuspend = view_presuspend,
	.presuspend_undo = view_presuspend_undo,
	.postsuspend = view_postsuspend,
	.resume = view_resume,
	.status = view_status,
	.table = view_table,
	.message = view_message,
	.iterate_devices = view_iterate_devices,
	.io_hints = view_io_hints,
};
