// SPDX-License-Identifier: GPL-2.0-only
/*
 * The target "replication": its first argument is the mode, which does the rest.
 */
#include <linux/blk-cgroup.h>
#include <linux/module.h>
#include <trace/events/block.h>

#include "compat.h"
#include "primary.h"
#include "replication.h"

static const struct repl_mode * const modes[] = {
	&repl_view_mode,
	&repl_ingress_mode,
	&repl_primary_mode,
};

/* ti->private is the mode's own struct; it begins with a pointer to the mode. */
static const struct repl_mode *mode_of(struct dm_target *ti)
{
	const struct repl_mode * const *mode = ti->private;

	return *mode;
}

static int replication_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	int i;

	if (!argc)
		return repl_refuse(ti, -EINVAL, "Missing the option mode");
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		if (!strcmp(argv[0], modes[i]->name))
			return modes[i]->ctr(ti, argc - 1, argv + 1);
	return repl_refuse(ti, -EINVAL,
			   "The option mode's value should be primary or secondary or ingress, not %s",
			   argv[0]);
}

static void replication_dtr(struct dm_target *ti)
{
	mode_of(ti)->dtr(ti);
}

/*
 * dm offers polling if all devices underneath do. But what polls would look for a bio
 * where it was sent at first, while it may wait here; and a claim would be kept for as
 * long as its owner does not poll. So it is not offered (see ->io_hints and ->resume),
 * and what has begun under an earlier table completes by interrupt.
 */
static int replication_map(struct dm_target *ti, struct bio *bio)
{
	bio->bi_opf &= ~REQ_POLLED;
	return mode_of(ti)->map(ti, bio);
}

static int replication_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	return mode_of(ti)->end_io(ti, bio, error);
}

/**
 * repl_submit - send a bio that others may wait for to the device that it has been given
 * @md: the dm device that it was sent to
 * @bio: the bio; not to be touched any more
 *
 * Others wait for it because it is counted at a gate or in a region, or has a claim. A
 * limit of its owner's cgroup must not hold it up, so it goes on the root's account.
 * dm_submit_bio_remap() would put it on its owner's again. A limit that is set on the dm
 * device itself has held the bio before it came here. For dm's accounting the target has
 * accepted the bio (DM_MAPIO_SUBMITTED), so it counts as in flight while it waits, too.
 *
 * Context: that of submit_bio(); it may be ->map.
 */
void repl_submit(struct mapped_device *md, struct bio *bio)
{
	bio_associate_blkg_from_css(bio, blkcg_root_css);
	if (trace_block_bio_remap_enabled())
		trace_block_bio_remap(bio, disk_devt(dm_disk(md)), bio->bi_iter.bi_sector);
	submit_bio_noacct(bio);
}

static void replication_presuspend(struct dm_target *ti)
{
	if (mode_of(ti)->presuspend)
		mode_of(ti)->presuspend(ti);
}

static void replication_presuspend_undo(struct dm_target *ti)
{
	if (mode_of(ti)->presuspend_undo)
		mode_of(ti)->presuspend_undo(ti);
}

static void replication_postsuspend(struct dm_target *ti)
{
	if (mode_of(ti)->postsuspend)
		mode_of(ti)->postsuspend(ti);
}

static void replication_resume(struct dm_target *ti)
{
	compat_queue_no_poll(dm_disk(dm_table_get_md(ti->table))->queue);
	if (mode_of(ti)->resume)
		mode_of(ti)->resume(ti);
}

static void replication_status(struct dm_target *ti, status_type_t type,
			       unsigned int flags, char *result, unsigned int maxlen)
{
	switch (type) {
	case STATUSTYPE_INFO:
		mode_of(ti)->status(ti, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		mode_of(ti)->table(ti, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int replication_message(struct dm_target *ti, unsigned int argc, char **argv,
			       char *result, unsigned int maxlen)
{
	return mode_of(ti)->message(ti, argc, argv, result, maxlen);
}

static int replication_iterate_devices(struct dm_target *ti,
				       iterate_devices_callout_fn fn, void *data)
{
	return mode_of(ti)->iterate_devices(ti, fn, data);
}

static void replication_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	compat_limits_no_poll(limits);
	mode_of(ti)->io_hints(ti, limits);
}

static struct target_type replication_target = {
	.name = "replication",
	.version = {1, 0, 0},
	.features = DM_TARGET_SINGLETON | DM_TARGET_ALWAYS_WRITEABLE | DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = replication_ctr,
	.dtr = replication_dtr,
	.map = replication_map,
	.end_io = replication_end_io,
	.presuspend = replication_presuspend,
	.presuspend_undo = replication_presuspend_undo,
	.postsuspend = replication_postsuspend,
	.resume = replication_resume,
	.status = replication_status,
	.message = replication_message,
	.iterate_devices = replication_iterate_devices,
	.io_hints = replication_io_hints,
};

static int __init replication_init(void)
{
	int r = dm_register_target(&replication_target);

	if (r)
		DMERR("cannot register: %d", r);
	return r;
}

static void __exit replication_exit(void)
{
	dm_unregister_target(&replication_target);
	rcu_barrier();
	repl_stale_forget();
}

module_init(replication_init);
module_exit(replication_exit);

MODULE_DESCRIPTION(DM_NAME " COLO-style block replication target");
MODULE_AUTHOR("The dm-replication developers");
MODULE_ALIAS("dm-replication");
MODULE_LICENSE("GPL");
