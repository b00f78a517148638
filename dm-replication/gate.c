// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gates: every bio of a face passes its gate. Closed, they quiesce the faces,
 * for a change of stage or epoch that no I/O may see half of.
 */
#include "replication.h"

/**
 * repl_gate_init - make a gate, open
 * @gate: the gate
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int repl_gate_init(struct repl_gate *gate)
{
	gate->inflight = alloc_percpu(int);
	if (!gate->inflight)
		return -ENOMEM;
	gate->closed = false;
	init_waitqueue_head(&gate->drained);
	INIT_LIST_HEAD(&gate->held);
	return 0;
}

/**
 * repl_gate_destroy - free a gate that nothing passes any more
 * @gate: the gate
 *
 * Context: may sleep.
 */
void repl_gate_destroy(struct repl_gate *gate)
{
	synchronize_rcu();	/* the last repl_gate_exit() may still be waking */
	free_percpu(gate->inflight);
}

/*
 * Only decreases while the gate is closed, on whatever CPU: so the sum that is
 * read is never below the true one, and a zero is true.
 */
static int inflight(struct repl_gate *gate)
{
	int cpu, sum = 0;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(gate->inflight, cpu));
	return sum;
}

/*
 * New bios wait (repl_io_map()); returns when those inside are done. Their
 * completion depends on the underlying devices alone, and on the other face's.
 * -ERESTARTSYS if a kill has ended the wait: the gate is closed nevertheless.
 */
static int gate_close(struct repl_gate *gate, bool killable)
{
	int r = 0;

	gate->closed_at = jiffies;
	smp_store_release(&gate->closed, true);	/* pairs with closed_since() */
	/*
	 * After this every exit either is over, so that its count is seen
	 * below, or sees the gate closed, and wakes us.
	 */
	synchronize_rcu_expedited();
	if (killable)
		r = wait_event_killable(gate->drained, !inflight(gate));
	else
		wait_event(gate->drained, !inflight(gate));
	smp_mb();	/* what was done inside happened before what follows */
	return r;
}

static bool closed_since(struct repl_gate *gate, unsigned long time)
{
	/* Pairs with gate_close() */
	return smp_load_acquire(&gate->closed) && time_after(jiffies, gate->closed_at + time);
}

/**
 * repl_gate_presses - has a change waited long for what is inside a gate?
 * @rs: the set
 * @time: jiffies
 *
 * Either gate: what is inside one may wait for what is inside the other.
 *
 * Context: any.
 */
bool repl_gate_presses(struct repl_set *rs, unsigned long time)
{
	return closed_since(&rs->ingress_gate, time) || closed_since(&rs->view_gate, time);
}

static void gate_open(struct repl_lane *lane)
{
	struct repl_gate *gate = lane->gate;
	struct repl_set *rs = lane->rs;

	/* Pairs with repl_gate_enter(): who sees it open sees the new stage. */
	smp_store_release(&gate->closed, false);

	spin_lock_irq(&rs->wait_lock);
	list_splice_tail_init(&gate->held, &lane->runnable);
	queue_work(rs->wq, &lane->run_work);
	spin_unlock_irq(&rs->wait_lock);
}

/**
 * repl_gate_drop - complete ios that wait at a closed gate, as if they were done
 * @rs: the set
 * @gate: the gate
 * @which: picks them; must not sleep
 * @data: for it
 *
 * Context: may sleep; rs->admin held.
 */
void repl_gate_drop(struct repl_set *rs, struct repl_gate *gate,
		    bool (*which)(struct repl_io *io, void *data), void *data)
{
	struct repl_io *io, *next;
	LIST_HEAD(dropped);

	spin_lock_irq(&rs->wait_lock);
	list_for_each_entry_safe(io, next, &gate->held, wait) {
		if (!which(io, data))
			continue;
		list_move_tail(&io->wait, &dropped);
		list_del(&io->held);
	}
	spin_unlock_irq(&rs->wait_lock);

	list_for_each_entry_safe(io, next, &dropped, wait)
		bio_endio(repl_io_bio(io));
}

/**
 * repl_gate_holds - does an io wait at a closed gate that @which picks?
 * @rs: the set
 * @gate: the gate
 * @which: picks one; must not sleep
 * @data: for it
 *
 * Context: may sleep; rs->admin held.
 */
bool repl_gate_holds(struct repl_set *rs, struct repl_gate *gate,
		     bool (*which)(struct repl_io *io, void *data), void *data)
{
	struct repl_io *io;
	bool found = false;

	spin_lock_irq(&rs->wait_lock);
	list_for_each_entry(io, &gate->held, wait) {
		found = which(io, data);
		if (found)
			break;
	}
	spin_unlock_irq(&rs->wait_lock);
	return found;
}

/**
 * repl_quiesce - stop all I/O of both faces
 * @rs: the set
 *
 * First the ingress, which may have much under way to a slow disk, and may have to
 * wait for readers of the view; so the view stands still only for its own I/O.
 *
 * Context: may sleep; rs->admin held, or nobody else left to take it.
 */
void repl_quiesce(struct repl_set *rs)
{
	gate_close(&rs->ingress_gate, false);
	gate_close(&rs->view_gate, false);
}

/**
 * repl_quiesce_killable - as repl_quiesce(), until somebody kills who waits
 * @rs: the set
 *
 * Context: as repl_quiesce().
 * Return: 0, or -EINTR; then I/O goes on.
 */
int repl_quiesce_killable(struct repl_set *rs)
{
	if (!gate_close(&rs->ingress_gate, true) && !gate_close(&rs->view_gate, true))
		return 0;
	repl_unquiesce(rs);
	return -EINTR;
}

/* Close one more gate; if that is interrupted, open both. */
static int quiesce_face(struct repl_set *rs, struct repl_gate *gate)
{
	if (!gate_close(gate, true))
		return 0;
	repl_unquiesce(rs);
	return -EINTR;
}

/**
 * repl_quiesce_view - stop all I/O of the view, until somebody kills who waits
 * @rs: the set
 *
 * The ingress goes on. repl_quiesce_ingress() may follow, then repl_unquiesce().
 *
 * Context: as repl_quiesce().
 * Return: 0, or -EINTR; then I/O goes on.
 */
int repl_quiesce_view(struct repl_set *rs)
{
	return quiesce_face(rs, &rs->view_gate);
}

/**
 * repl_quiesce_ingress - stop the ingress too, until somebody kills who waits
 * @rs: the set, whose view stands still
 *
 * Context: as repl_quiesce().
 * Return: 0, or -EINTR; then I/O of both goes on.
 */
int repl_quiesce_ingress(struct repl_set *rs)
{
	return quiesce_face(rs, &rs->ingress_gate);
}

/**
 * repl_unquiesce_ingress - let the I/O of the ingress go on
 * @rs: the set
 *
 * The view stands still until repl_unquiesce().
 *
 * Context: as repl_quiesce().
 */
void repl_unquiesce_ingress(struct repl_set *rs)
{
	gate_open(&rs->lane[REPL_INGRESS]);
}

/**
 * repl_unquiesce - let I/O go on, the bios of a face that wait in their order
 * @rs: the set
 *
 * Context: as repl_quiesce().
 */
void repl_unquiesce(struct repl_set *rs)
{
	gate_open(&rs->lane[REPL_VIEW]);
	gate_open(&rs->lane[REPL_INGRESS]);
}
