// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gate: every bio of both faces passes it. Closed, it quiesces them, for a
 * change of stage or epoch that no I/O may see half of.
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

/**
 * repl_gate_close - stop all I/O of both faces
 * @rs: the set
 *
 * New bios wait (repl_io_map()); returns when those inside are done. Their
 * completion depends on the underlying devices alone.
 *
 * Context: may sleep; rs->admin held, or nobody else left to take it.
 */
void repl_gate_close(struct repl_set *rs)
{
	struct repl_gate *gate = &rs->gate;

	WRITE_ONCE(gate->closed, true);
	/*
	 * After this every exit either is over, so that its count is seen
	 * below, or sees the gate closed, and wakes us.
	 */
	synchronize_rcu_expedited();
	wait_event(gate->drained, !inflight(gate));
	smp_mb();	/* what was done inside happened before what follows */
}

/**
 * repl_gate_open - let I/O go on, the held bios in their order
 * @rs: the set
 *
 * Context: as repl_gate_close().
 */
void repl_gate_open(struct repl_set *rs)
{
	/* Pairs with repl_gate_enter(): who sees it open sees the new stage. */
	smp_store_release(&rs->gate.closed, false);

	spin_lock_irq(&rs->wait_lock);
	list_splice_tail_init(&rs->at_gate, &rs->runnable);
	spin_unlock_irq(&rs->wait_lock);
	queue_work(rs->wq, &rs->run_work);
}
