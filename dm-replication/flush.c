// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flushes that a set makes for itself.
 *
 * A device that fails a flush may have lost what it had taken before. It says so once, to
 * who flushes; the next flush may succeed. So a failure is passed on to the face whose data
 * that was: its next FLUSH fails, too, as fsync() tells each who has a file open that its
 * writeback has failed.
 */
#include <linux/blkdev.h>

#include "replication.h"

/* What a face has not been told yet: bits of rs->untold. */
#define UNTOLD_VIEW		0
#define UNTOLD_INGRESS		1

/**
 * repl_flush_failed - a device of the set has failed a flush
 * @rs: the set
 * @dev: the device
 *
 * During a merge what was merged since the flush before may be lost.
 *
 * Context: any.
 */
void repl_flush_failed(struct repl_set *rs, enum repl_dev dev)
{
	enum repl_stage stage = READ_ONCE(rs->stage);

	if (dev != REPL_SECONDARY || (stage != REPL_FAILOVER && stage != REPL_FAILOVER_FAILED))
		return;
	DMERR_LIMIT("%s: the secondary has failed a flush: it may have lost what was merged before",
		    repl_set_name(rs));
	repl_fail(rs, REPL_MERGE_LOST);
}

/**
 * repl_flush_dev - flush a device of the set, not for a bio
 * @rs: the set
 * @dev: active or the secondary
 *
 * Context: may sleep.
 * Return: 0, or a negative errno, which is recorded.
 */
int repl_flush_dev(struct repl_set *rs, enum repl_dev dev)
{
	bool ingress = dev == REPL_SECONDARY && READ_ONCE(rs->stage) == REPL_RUNNING;
	int r = blkdev_issue_flush(rs->bdev[dev]);

	if (!r)
		return 0;
	repl_flush_failed(rs, dev);
	set_bit(ingress ? UNTOLD_INGRESS : UNTOLD_VIEW, &rs->untold);
	repl_fail_dev(rs, dev, errno_to_blk_status(r));
	return r;
}

static bool tell(struct repl_set *rs, unsigned int face)
{
	return unlikely(test_bit(face, &rs->untold)) && test_and_clear_bit(face, &rs->untold);
}

/**
 * repl_flush_tell_view - has a FLUSH of the view to fail for an earlier one?
 * @rs: the set
 *
 * Context: any. Once it has been told, or what it had written has been dropped, it is not
 * told again.
 */
bool repl_flush_tell_view(struct repl_set *rs)
{
	return tell(rs, UNTOLD_VIEW);
}

/**
 * repl_flush_tell_ingress - has a FLUSH of the ingress to fail for an earlier one?
 * @rs: the set
 *
 * Context: any. It is told once.
 */
bool repl_flush_tell_ingress(struct repl_set *rs)
{
	return tell(rs, UNTOLD_INGRESS);
}
