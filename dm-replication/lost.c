// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sectors of the stores whose content is lost: the secondary could not be read there
 * when it was about to be overwritten, or when a chunk of active was filled.
 *
 * The stores hold their chunks as if nothing had happened, with zeroes in these
 * sectors; but the view fails to read them, and the merge leaves them out. A write of
 * the view to such a sector of active ends that, a checkpoint ends all of it.
 *
 * The list has an entry for each 4 KiB, at a place that stays the same for the epoch;
 * so a metadata device keeps it in a few sectors that are each written as a whole.
 */
#include "replication.h"

#define UNIT_SHIFT	3		/* sectors of an entry */
#define UNIT_SECTORS	BIT(UNIT_SHIFT)

/* An entry: one bit a sector for each store, and which unit it is. 0: there is none. */
#define SHIFT_OF(dev)	((dev) == REPL_ACTIVE ? 8 : 0)
#define UNIT_OF(entry)	((entry) >> 16)
#define HIDDEN_BITS	((u64)GENMASK(UNIT_SECTORS - 1, 0))

/* The bits of an entry's unit that are in a range, for a store. */
static u64 bits_of(u64 unit, enum repl_dev dev, sector_t first, sector_t end)
{
	sector_t start = unit << UNIT_SHIFT;
	unsigned int from, to;

	if (end <= start || first >= start + UNIT_SECTORS)
		return 0;
	from = first > start ? first - start : 0;
	to = min_t(sector_t, end - start, UNIT_SECTORS);
	return (u64)GENMASK(to - 1, from) << SHIFT_OF(dev);
}

/* lost->lock held. The entry of a unit, a new one if it has none; NULL: no room. */
static u64 *get_entry(struct repl_lost *lost, u64 unit)
{
	unsigned int i;

	for (i = 0; i < lost->nr; i++)
		if (UNIT_OF(lost->entry[i]) == unit)
			return &lost->entry[i];
	if (lost->nr == REPL_META_LOST)
		return NULL;
	lost->entry[lost->nr] = unit << 16;
	WRITE_ONCE(lost->nr, lost->nr + 1);
	return &lost->entry[i];
}

/**
 * repl_lost_add - sectors of a store are lost
 * @rs: the set
 * @dev: the store
 * @first: the first sector
 * @end: behind the last one
 *
 * Context: any.
 * Return: false if the list is full.
 */
bool repl_lost_add(struct repl_set *rs, enum repl_dev dev, sector_t first, sector_t end)
{
	struct repl_lost *lost = &rs->lost;
	u64 unit, *entry = NULL;
	unsigned long flags;

	spin_lock_irqsave(&lost->lock, flags);
	for (unit = first >> UNIT_SHIFT; unit << UNIT_SHIFT < end; unit++) {
		entry = get_entry(lost, unit);
		if (!entry)
			break;
		*entry |= bits_of(unit, dev, first, end);
	}
	spin_unlock_irqrestore(&lost->lock, flags);
	return entry;
}

/**
 * repl_lost_clear - sectors of a store are written
 * @rs: the set
 * @dev: the store
 * @first: the first sector
 * @end: behind the last one
 *
 * Context: any.
 */
void repl_lost_clear(struct repl_set *rs, enum repl_dev dev, sector_t first, sector_t end)
{
	struct repl_lost *lost = &rs->lost;
	unsigned long flags;
	unsigned int i;

	if (likely(!READ_ONCE(lost->nr)))
		return;
	spin_lock_irqsave(&lost->lock, flags);
	for (i = 0; i < lost->nr; i++)
		lost->entry[i] &= ~bits_of(UNIT_OF(lost->entry[i]), dev, first, end);
	spin_unlock_irqrestore(&lost->lock, flags);
}

/**
 * repl_lost_inherit - active's sectors were copied from hidden
 * @rs: the set
 * @first: the first sector
 * @end: behind the last one
 *
 * Context: any.
 */
void repl_lost_inherit(struct repl_set *rs, sector_t first, sector_t end)
{
	struct repl_lost *lost = &rs->lost;
	unsigned long flags;
	unsigned int i;
	u64 bits;

	if (likely(!READ_ONCE(lost->nr)))
		return;
	spin_lock_irqsave(&lost->lock, flags);
	for (i = 0; i < lost->nr; i++) {
		bits = bits_of(UNIT_OF(lost->entry[i]), REPL_HIDDEN, first, end);
		lost->entry[i] |= (lost->entry[i] & bits) << SHIFT_OF(REPL_ACTIVE);
	}
	spin_unlock_irqrestore(&lost->lock, flags);
}

/**
 * repl_lost_find - the first sector of a range that is lost
 * @rs: the set
 * @dev: where the view has it; the secondary has lost nothing
 * @first: the first sector
 * @end: behind the last one
 *
 * Context: any.
 * Return: @end if none is.
 */
sector_t repl_lost_find(struct repl_set *rs, enum repl_dev dev, sector_t first, sector_t end)
{
	struct repl_lost *lost = &rs->lost;
	unsigned long flags;
	sector_t found = end;
	unsigned int i;
	u64 unit, bits;

	if (likely(!READ_ONCE(lost->nr)) || dev == REPL_SECONDARY)
		return end;
	spin_lock_irqsave(&lost->lock, flags);
	for (i = 0; i < lost->nr; i++) {
		unit = UNIT_OF(lost->entry[i]);
		bits = lost->entry[i] & bits_of(unit, dev, first, end);
		if (bits)
			found = min_t(sector_t, found, (unit << UNIT_SHIFT) +
				      __ffs64(bits >> SHIFT_OF(dev)));
	}
	spin_unlock_irqrestore(&lost->lock, flags);
	return found;
}

/**
 * repl_lost_all - is a range lost as a whole?
 * @rs: the set
 * @dev: the store
 * @first: the first sector
 * @end: behind the last one
 *
 * Context: any.
 */
bool repl_lost_all(struct repl_set *rs, enum repl_dev dev, sector_t first, sector_t end)
{
	struct repl_lost *lost = &rs->lost;
	unsigned long flags;
	sector_t left = end - first;
	unsigned int i;

	if (likely(!READ_ONCE(lost->nr)))
		return false;
	spin_lock_irqsave(&lost->lock, flags);
	for (i = 0; i < lost->nr; i++)
		left -= hweight64(lost->entry[i] &
				  bits_of(UNIT_OF(lost->entry[i]), dev, first, end));
	spin_unlock_irqrestore(&lost->lock, flags);
	return !left;
}

/**
 * repl_lost_merge - bring a copy of the list up to date
 * @rs: the set
 * @entry: the copy, of REPL_META_LOST entries: an earlier state of this epoch, or zeroes
 *
 * What it has of active stays, and that of hidden is as it is now: its entries are taken
 * off only while their chunk is not hidden's.
 *
 * Context: any.
 */
void repl_lost_merge(struct repl_set *rs, u64 *entry)
{
	struct repl_lost *lost = &rs->lost;
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&lost->lock, flags);
	for (i = 0; i < lost->nr; i++)
		entry[i] = (entry[i] & ~HIDDEN_BITS) | lost->entry[i];
	spin_unlock_irqrestore(&lost->lock, flags);
}

/**
 * repl_lost_forget - the stores are empty
 * @rs: the set
 *
 * Context: the gates are closed.
 */
void repl_lost_forget(struct repl_set *rs)
{
	memset(rs->lost.entry, 0, sizeof(rs->lost.entry));
	WRITE_ONCE(rs->lost.nr, 0);
}

/**
 * repl_lost_load - take over the list of a metadata device
 * @rs: the set, which nobody else knows yet
 * @entry: REPL_META_LOST entries
 *
 * Context: any.
 */
void repl_lost_load(struct repl_set *rs, const u64 *entry)
{
	memcpy(rs->lost.entry, entry, sizeof(rs->lost.entry));
	/* Those of earlier slots may be missing, if power was lost between two sectors. */
	rs->lost.nr = REPL_META_LOST;
	while (rs->lost.nr && !entry[rs->lost.nr - 1])
		rs->lost.nr--;
}
