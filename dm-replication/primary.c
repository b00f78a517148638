// SPDX-License-Identifier: GPL-2.0-only
/*
 * The primary: the device that the writing host works on, and where its bios go.
 *
 * Reads go to the local device. A write is counted in its regions, and waits until
 * the metadata device has them; then it goes to both legs, or to the local device
 * alone where the replica is not what it was. All of that is decided in route().
 *
 * Without a local device it is the filter of QEMU's driver: writes are forwarded,
 * and errors are recorded and hidden.
 */
#include "primary.h"

static struct repl_pair *pair_of(struct dm_target *ti)
{
	struct repl_primary *table = ti->private;

	return table->p;
}

/*
 * A bio waits on a list. But in a noflush suspend it goes back to dm at once, for
 * primary_presuspend() has been through the lists. p->lock held.
 */
static void park(struct repl_pair *p, struct bio *bio, struct bio_list *where, bool first)
{
	lockdep_assert_held(&p->lock);
	if (unlikely(p->requeue) && dm_noflush_suspending(p->requeue)) {
		where = &p->runnable;
		queue_work(p->wq, &p->run_work);
	}
	if (first)
		bio_list_add_head(where, bio);
	else
		bio_list_add(where, bio);
}

/*
 * Where a bio goes, which changes what is on the local device. p->lock held, dropped.
 * @first: it is the one of its kind that has waited longest for a job.
 */
static int route(struct repl_pair *p, struct bio *bio, bool first, unsigned long flags)
	__releases(&p->lock)
{
	struct repl_primary_io *io = repl_primary_io(bio);
	bool flush = bio->bi_opf & REQ_PREFLUSH, forward;
	struct repl_job *job;
	int r = DM_MAPIO_SUBMITTED;

	/* Stopped while it waited. */
	if (unlikely(p->stage != REPL_RUNNING))
		goto local;
	if (!flush && !io->counted) {
		if (unlikely(p->trial)) {
			repl_resync_pass(p, io->first, io->last);
		} else if (repl_resync_holds(p, io->first, io->last)) {
			park(p, bio, &p->held, false);
			goto out;
		}
		repl_regions_enter(p, bio);
	}
	if (!flush && p->logging && !repl_regions_all_set(p->logged, io->first, io->last)) {
		repl_log_wait(p, bio);
		goto out;
	}

	forward = p->sync == REPL_INSYNC || (p->sync == REPL_RESYNC && !p->trial);
	if (forward && !flush && repl_regions_any(p->dirty, io->first, io->last))
		forward = false;
	if (!forward) {
		if (!flush)
			repl_regions_mark_dirty(p, io->first, io->last);
		goto local;
	}

	if (!flush && repl_forward_overlaps(p, bio)) {
		bio_list_add(&p->blocked, bio);
		goto out;
	}
	first = first || bio_list_empty(repl_throttled(p, bio));
	job = first ? repl_forward_get(p, bio) : NULL;
	if (!job && first && list_empty(&p->jobs)) {
		/* A replica before this one has them all, and may keep them. */
		if (flush)
			repl_regions_dirty_written(p);
		else
			repl_regions_mark_dirty(p, io->first, io->last);
		repl_pair_set_sync(p, REPL_RESYNC);
		repl_resync_kick(p);
		goto local;
	}
	if (!job) {
		park(p, bio, repl_throttled(p, bio), first);
		goto out;
	}
	spin_unlock_irqrestore(&p->lock, flags);
	repl_forward_start(job);
	return DM_MAPIO_SUBMITTED;
local:
	io->alone = true;
	bio_set_dev(bio, p->local);
	r = DM_MAPIO_REMAPPED;
out:
	spin_unlock_irqrestore(&p->lock, flags);
	return r;
}

/* Cut a bio to what one job can have; the rest comes as another one. */
static void cut(struct repl_pair *p, struct bio *bio)
{
	sector_t max = REPL_JOB_PAGES << PAGE_SECTORS_SHIFT;

	if (bio_op(bio) != REQ_OP_WRITE) {
		max = REPL_ZERO_SECTORS;
		/* It waits till none of its regions is being copied. */
		if (READ_ONCE(p->sync) == REPL_RESYNC)
			max = min(max, (sector_t)REPL_RESYNC_SLOTS << p->region_shift);
		/* Regions that are discarded as a whole stay so. */
		max -= bio->bi_iter.bi_sector & (p->region_sectors - 1);
	}
	if (bio_sectors(bio) > max)
		dm_accept_partial_bio(bio, max);
}

/* Whether the local device can do that no more: disks may find out late what they cannot. */
static bool local_rejects(struct repl_pair *p, struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_DISCARD:
		return !bdev_max_discard_sectors(p->local);
	case REQ_OP_WRITE_ZEROES:
		return !bdev_write_zeroes_sectors(p->local);
	default:
		return false;
	}
}

static int primary_write(struct repl_pair *p, struct bio *bio)
{
	struct repl_primary_io *io = repl_primary_io(bio);
	unsigned long flags;

	if (unlikely(local_rejects(p, bio))) {
		/* Else the legs differ for a while each time. dm is told, by the device. */
		bio_set_dev(bio, p->local);
		bio->bi_status = BLK_STS_TARGET;
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	if (!(bio->bi_opf & REQ_PREFLUSH)) {
		cut(p, bio);
		io->first = bio->bi_iter.bi_sector >> p->region_shift;
		io->last = (bio_end_sector(bio) - 1) >> p->region_shift;
	}
	spin_lock_irqsave(&p->lock, flags);
	if (route(p, bio, false, flags) == DM_MAPIO_REMAPPED)
		repl_submit(p->md, bio);
	return DM_MAPIO_SUBMITTED;
}

static int filter_map(struct repl_pair *p, struct bio *bio)
{
	if (READ_ONCE(p->stage) != REPL_RUNNING || bio_op(bio) == REQ_OP_READ)
		return DM_MAPIO_KILL;
	bio_set_dev(bio, READ_ONCE(p->replica)->bdev);
	return DM_MAPIO_REMAPPED;
}

static int primary_map(struct dm_target *ti, struct bio *bio)
{
	struct repl_pair *p = pair_of(ti);
	enum repl_stage stage = READ_ONCE(p->stage);

	repl_primary_io(bio)->counted = false;
	repl_primary_io(bio)->waited = false;
	repl_primary_io(bio)->alone = false;
	/*
	 * A write that has to wait here holds up nobody, but it may wait for a request of
	 * the local device. If that turned it away instead, the legs would differ.
	 */
	if (op_is_write(bio_op(bio)))
		bio->bi_opf &= ~REQ_NOWAIT;
	if (!p->local)
		return filter_map(p, bio);
	if (unlikely(stage == REPL_NONE))
		return DM_MAPIO_KILL;
	if (stage == REPL_RUNNING && op_is_write(bio_op(bio)))
		return primary_write(p, bio);
	bio_set_dev(bio, p->local);
	return DM_MAPIO_REMAPPED;
}

/* A device failed a write, discard or flush; the filter hides it. */
static void write_failed(struct repl_pair *p, struct bio *bio, blk_status_t *error)
{
	unsigned long flags;

	spin_lock_irqsave(&p->lock, flags);
	if (!p->local)
		repl_pair_error(p, REPL_REPLICA_IO);
	/* Else the local device's own bio has said so, if it was that which failed. */
	if (repl_primary_io(bio)->alone)
		repl_local_error(p, repl_primary_io(bio)->counted);
	if (repl_primary_io(bio)->alone && (bio->bi_opf & (REQ_PREFLUSH | REQ_FUA)))
		repl_local_flush_failed(p);
	spin_unlock_irqrestore(&p->lock, flags);
	if (!p->local)
		*error = BLK_STS_OK;
}

static int primary_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct repl_primary_io *io = repl_primary_io(bio);
	struct repl_pair *p = pair_of(ti);
	unsigned long flags;

	if (unlikely(*error) && op_is_write(bio_op(bio))) {
		if (repl_not_supported(bio, *error))
			*error = BLK_STS_NOTSUPP;	/* what callers look for; dm knows */
		else if (*error != BLK_STS_DM_REQUEUE && READ_ONCE(p->stage) == REPL_RUNNING)
			write_failed(p, bio, error);
	}
	if (io->counted) {
		spin_lock_irqsave(&p->lock, flags);
		if (unlikely(*error))
			repl_regions_not_discarded(p, io->first, io->last);
		repl_regions_exit(p, io->first, io->last);
		spin_unlock_irqrestore(&p->lock, flags);
	}
	return DM_ENDIO_DONE;
}

/*
 * The next bio that need not wait any more, and whether it has waited for a job.
 * @stuck: the bios that have just found that they have to go on waiting. p->lock held.
 */
static struct bio *next_runnable(struct repl_pair *p, bool *first, struct bio *const *stuck)
{
	struct bio_list *lists[] = { &p->throttled, &p->throttled_zeroes };
	struct bio *bio = bio_list_pop(&p->runnable);
	unsigned int i;

	*first = !bio;
	/* Without any there may be nobody who will give one back; see route(). */
	if (bio || (list_empty(&p->free_jobs) && !list_empty(&p->jobs)))
		return bio;
	for (i = 0; i < ARRAY_SIZE(lists); i++)
		if (!bio_list_empty(lists[i]) && bio_list_peek(lists[i]) != stuck[i])
			return bio_list_pop(lists[i]);
	return NULL;
}

/**
 * repl_primary_run_work - go on with the bios that need not wait any more
 * @work: run_work of the pair
 *
 * Context: may sleep; not for calling, but for queue_work() from any context.
 */
void repl_primary_run_work(struct work_struct *work)
{
	struct repl_pair *p = container_of(work, struct repl_pair, run_work);
	struct bio *bio, *stuck[2] = {};
	struct bio_list *list;
	unsigned long flags;
	bool first, zeroes;

	for (;;) {
		spin_lock_irqsave(&p->lock, flags);
		bio = next_runnable(p, &first, stuck);
		if (!bio)
			break;
		repl_primary_io(bio)->waited = true;
		list = repl_throttled(p, bio);
		zeroes = repl_zeroes(bio);
		if (p->requeue && dm_noflush_suspending(p->requeue)) {
			spin_unlock_irqrestore(&p->lock, flags);
			bio->bi_status = BLK_STS_DM_REQUEUE;
			bio_endio(bio);
		} else if (route(p, bio, first, flags) == DM_MAPIO_REMAPPED) {
			repl_submit(p->md, bio);
		} else if (first) {
			/* Who gives pages or sectors back calls again. */
			stuck[zeroes] = bio == READ_ONCE(list->head) ? bio : NULL;
		}
		cond_resched();
	}
	spin_unlock_irqrestore(&p->lock, flags);
}

/*
 * Suspending
 */

static void primary_presuspend(struct dm_target *ti)
{
	struct repl_pair *p = pair_of(ti);

	spin_lock_irq(&p->lock);
	p->suspended = true;
	repl_resync_unhold(p);
	if (dm_noflush_suspending(ti)) {
		p->requeue = ti;
		bio_list_merge(&p->runnable, &p->held);
		bio_list_init(&p->held);
		bio_list_merge(&p->runnable, &p->throttled);
		bio_list_init(&p->throttled);
		bio_list_merge(&p->runnable, &p->throttled_zeroes);
		bio_list_init(&p->throttled_zeroes);
	}
	spin_unlock_irq(&p->lock);
	queue_work(p->wq, &p->run_work);
}

static void primary_presuspend_undo(struct dm_target *ti)
{
	repl_pair_resume(pair_of(ti));
}

static void primary_postsuspend(struct dm_target *ti)
{
	repl_pair_suspend(pair_of(ti));
}

static void primary_resume(struct dm_target *ti)
{
	struct repl_primary *table = ti->private;

	repl_pair_bind(table);
	repl_pair_resume(table->p);
}

/*
 * Tables
 */

static int parse_region(struct dm_target *ti, const char *arg, u32 *sectors)
{
	u64 need = roundup_pow_of_two(DIV_ROUND_UP_ULL(ti->len, REPL_MAX_REGIONS));

	if (kstrtou32(arg, 10, sectors) || !is_power_of_2(*sectors) ||
	    *sectors < REPL_MIN_REGION_SECTORS || *sectors > REPL_MAX_REGION_SECTORS)
		return repl_refuse(ti, -EINVAL,
				   "Region size %s is not a power of two from %u to %u sectors",
				   arg, REPL_MIN_REGION_SECTORS, REPL_MAX_REGION_SECTORS);
	if (need > *sectors)
		return repl_refuse(ti, -EINVAL,
				   "Region size %s is too small for %llu sectors; it would take %llu",
				   arg, (u64)ti->len, need);
	return 0;
}

static int parse_timeout(struct repl_primary *table, struct dm_arg_set *as, unsigned int *nr)
{
	const char *arg;

	if (!*nr)
		return repl_refuse(table->ti, -EINVAL,
				   "Option replica_timeout takes a number of seconds");
	--*nr;
	arg = dm_shift_arg(as);
	if (table->timeout)
		return repl_refuse(table->ti, -EINVAL, "Option replica_timeout is given twice");
	if (kstrtouint(arg, 10, &table->timeout) || !table->timeout || table->timeout > 3600)
		return repl_refuse(table->ti, -EINVAL,
				   "Option replica_timeout: %s is not from 1 to 3600 seconds", arg);
	return 0;
}

static int parse_options(struct repl_primary *table, struct dm_arg_set *as)
{
	struct dm_target *ti = table->ti;
	const struct {
		const char *name;
		bool *value;
	} flags[] = {
		{ "manual_start", &table->manual_start },
		{ "insync", &table->insync },
		{ "manual_resync", &table->manual_resync },
	};
	unsigned int nr, i;
	const char *opt;
	int r;

	if (!as->argc)
		return 0;
	r = repl_parse_nr_options(ti, as, &nr);
	while (!r && nr) {
		nr--;
		opt = dm_shift_arg(as);
		if (!strcmp(opt, "replica_timeout")) {
			r = parse_timeout(table, as, &nr);
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(flags); i++)
			if (!strcmp(opt, flags[i].name))
				break;
		if (!strncmp(opt, "top", 3))
			return repl_refuse(ti, -EINVAL,
					   "The primary side does not support option top-id: %s",
					   opt);
		if (i == ARRAY_SIZE(flags))
			return repl_refuse(ti, -EINVAL,
					   "Unknown option %s; a primary has manual_start, insync, manual_resync and replica_timeout",
					   opt);
		if (*flags[i].value)
			return repl_refuse(ti, -EINVAL, "Option %s is given twice", opt);
		*flags[i].value = true;
	}
	return r;
}

static int open_leg(struct repl_primary *table, const char *what, const char *arg,
		    struct dm_dev **result)
{
	struct dm_target *ti = table->ti;
	dev_t dev;

	if (!repl_parse_dev(arg, &dev) && dev == disk_devt(dm_disk(dm_table_get_md(ti->table))))
		return repl_refuse(ti, -EINVAL, "Device %u:%u is the primary itself",
				   MAJOR(dev), MINOR(dev));
	return repl_get_device(ti, what, arg, result);
}

static int get_devices(struct repl_primary *table, char **argv)
{
	int r = 0;

	if (strcmp(argv[0], "-"))
		r = open_leg(table, "metadata", argv[0], &table->metadata);
	if (!r && strcmp(argv[1], "-"))
		r = open_leg(table, "local", argv[1], &table->local);
	if (!r)
		r = open_leg(table, "replica", argv[2], &table->replica_dev);
	return r;
}

static bool same(const struct dm_dev *a, const struct dm_dev *b)
{
	return a && b && a->bdev->bd_dev == b->bdev->bd_dev;
}

/* What a live primary promises may be less than what its devices take now: see pair.c. */
static int check_blocks(struct repl_primary *table)
{
	struct dm_target *ti = table->ti;
	int r = 0;

	if (table->local)
		r = repl_check_blocks(ti, "replica", table->replica_dev->bdev, "local device",
				      bdev_logical_block_size(table->local->bdev));
	if (!r && table->metadata)
		r = repl_check_blocks(ti, "metadata device", table->metadata->bdev, "format",
				      REPL_META_BLOCK_BYTES);
	return r;
}

static int check_devices(struct repl_primary *table)
{
	struct dm_dev *first = table->local ?: table->replica_dev;
	u64 replica = bdev_nr_sectors(table->replica_dev->bdev);
	u64 size = bdev_nr_sectors(first->bdev);
	struct dm_target *ti = table->ti;

	if (table->metadata && !table->local)
		return repl_refuse(ti, -EINVAL,
				   "Without a local device there is nothing for metadata device %s to keep; take -",
				   table->metadata->name);
	if (same(table->metadata, table->local) || same(table->metadata, table->replica_dev) ||
	    same(table->local, table->replica_dev))
		return repl_refuse(ti, -EINVAL,
				   "A device is given twice; metadata, local and replica are different devices");
	/* What is beyond the table is left alone: devices may have grown. */
	if (ti->len > size)
		return repl_refuse(ti, -EINVAL,
				   "Table length %llu is more than the %s device's %llu sectors",
				   (u64)ti->len, table->local ? "local" : "replica", size);
	if (replica < ti->len)
		return repl_refuse(ti, -EINVAL,
				   "The replica has %llu sectors, the table %llu; it may be longer, not shorter",
				   replica, (u64)ti->len);
	return check_blocks(table);
}

static void table_free(struct repl_primary *table)
{
	if (table->replica_dev)
		dm_put_device(table->ti, table->replica_dev);
	if (table->local)
		dm_put_device(table->ti, table->local);
	if (table->metadata)
		dm_put_device(table->ti, table->metadata);
	kfree(table);
}

static int table_make(struct repl_primary *table, struct dm_arg_set *as, char **argv)
{
	u32 region_sectors;
	int r;

	r = parse_region(table->ti, argv[3], &region_sectors);
	if (r)
		return r;
	dm_consume_args(as, 4);
	r = parse_options(table, as);
	if (!r)
		r = get_devices(table, argv);
	if (!r)
		r = check_devices(table);
	if (r)
		return r;
	return repl_pair_get(table, region_sectors);
}

/* <metadata|-> <local|-> <replica> <region sectors> [<#opts> <opt>...] */
static int primary_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_arg_set as = { .argc = argc, .argv = argv };
	struct repl_primary *table;
	int r;

	if (argc < 4)
		return repl_refuse(ti, -EINVAL,
				   "%u arguments after primary; it takes <metadata dev|-> <local dev|-> <replica dev> <region sectors> [<#opts> <opt>...]",
				   argc);
	table = kzalloc(sizeof(*table), GFP_KERNEL);
	if (!table)
		return repl_refuse(ti, -ENOMEM, "Out of memory for the primary");
	table->mode = &repl_primary_mode;
	table->ti = ti;
	r = table_make(table, &as, argv);
	if (r) {
		table_free(table);
		return r;
	}

	ti->private = table;
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->num_write_zeroes_bios = 1;
	ti->per_io_data_size = sizeof(struct repl_primary_io);
	return 0;
}

static void primary_dtr(struct dm_target *ti)
{
	struct repl_primary *table = ti->private;

	repl_pair_put(table);
	table_free(table);
}

static void primary_status(struct dm_target *ti, char *result, unsigned int maxlen)
{
	struct repl_pair *p = pair_of(ti);
	unsigned int sz = 0;

	DMEMIT("primary %s %s %u/%u %s %s", repl_stage_name(READ_ONCE(p->stage)),
	       READ_ONCE(p->stage) == REPL_RUNNING ? repl_sync_name(READ_ONCE(p->sync)) : "-",
	       READ_ONCE(p->nr_dirty), p->nr_regions, repl_log_mode(p),
	       repl_error_name(READ_ONCE(p->error)));
}

static void primary_table(struct dm_target *ti, char *result, unsigned int maxlen)
{
	struct repl_primary *table = ti->private;
	unsigned int sz = 0, nr;

	DMEMIT("primary %s %s %s %u", table->metadata ? table->metadata->name : "-",
	       table->local ? table->local->name : "-", table->replica_dev->name,
	       table->p->region_sectors);
	nr = table->manual_start + table->insync + table->manual_resync +
		(table->timeout ? 2 : 0);
	if (nr)
		DMEMIT(" %u", nr);
	if (table->manual_start)
		DMEMIT(" manual_start");
	if (table->insync)
		DMEMIT(" insync");
	if (table->manual_resync)
		DMEMIT(" manual_resync");
	if (table->timeout)
		DMEMIT(" replica_timeout %u", table->timeout);
}

static int primary_message(struct dm_target *ti, unsigned int argc, char **argv,
			   char *result, unsigned int maxlen)
{
	return repl_primary_message(ti->private, argc, argv, result, maxlen);
}

static int primary_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn,
				   void *data)
{
	struct repl_primary *table = ti->private;
	int r = 0;

	if (table->local)
		r = fn(ti, table->local, 0, ti->len, data);
	if (!r)
		r = fn(ti, table->replica_dev, 0, ti->len, data);
	return r;
}

static void primary_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
}

const struct repl_mode repl_primary_mode = {
	.name = "primary",
	.ctr = primary_ctr,
	.dtr = primary_dtr,
	.map = primary_map,
	.end_io = primary_end_io,
	.presuspend = primary_presuspend,
	.presuspend_undo = primary_presuspend_undo,
	.postsuspend = primary_postsuspend,
	.resume = primary_resume,
	.status = primary_status,
	.table = primary_table,
	.message = primary_message,
	.iterate_devices = primary_iterate_devices,
	.io_hints = primary_io_hints,
};
