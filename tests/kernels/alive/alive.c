// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commits what the debug kernel is there to detect, on request: insmod alive.ko
 * commit=CRIME. A detector that is off says nothing, just as a sound module does.
 *
 * Never load it anywhere but in a VM that is thrown away.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

static char *commit = "nothing";
module_param(commit, charp, 0);
MODULE_PARM_DESC(commit, "what to do wrong");

static void nothing(void)
{
}

/* KASAN */
static void use_after_free(void)
{
	int *p = kmalloc(sizeof(*p), GFP_KERNEL);

	kfree(p);
	if (p)
		WRITE_ONCE(*p, 1);
}

/* PROVE_LOCKING: nobody waits here, but two tasks might. */
static void lock_inversion(void)
{
	static DEFINE_MUTEX(a);
	static DEFINE_MUTEX(b);

	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);

	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
}

/* DEBUG_KMEMLEAK: several, for what is left of a pointer may hide one. */
static void leak(void)
{
	int i;

	for (i = 0; i < 16; i++)
		if (!kmalloc(100, GFP_KERNEL))
			return;
}

/* DEBUG_ATOMIC_SLEEP */
static void sleep_in_atomic(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	might_sleep();
	spin_unlock(&lock);
}

/* DEBUG_LIST */
static void list_corruption(void)
{
	LIST_HEAD(head);
	LIST_HEAD(entry);

	list_add(&entry, &head);
	list_del(&entry);
	list_del(&entry);
}

/* UBSAN_BOUNDS: what follows the array is ours, so that KASAN has no say. */
static void out_of_bounds(void)
{
	static struct {
		int array[4];
		int more[4];
	} data;
	int i = ARRAY_SIZE(data.array) + 1;	/* one behind may be pointed at */

	OPTIMIZER_HIDE_VAR(i);
	WRITE_ONCE(data.array[i], 1);
}

/* DEBUG_OBJECTS_FREE, which stops the timer */
static void never(struct timer_list *timer)
{
}

static void free_active_timer(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return;
	timer_setup(timer, never, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	kfree(timer);
}

static const struct {
	const char *name;
	void (*commit)(void);
} crimes[] = {
	{ "nothing", nothing },
	{ "use-after-free", use_after_free },
	{ "lock-inversion", lock_inversion },
	{ "leak", leak },
	{ "sleep-in-atomic", sleep_in_atomic },
	{ "list-corruption", list_corruption },
	{ "out-of-bounds", out_of_bounds },
	{ "free-active-timer", free_active_timer },
};

static int __init alive_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(crimes); i++) {
		if (!strcmp(commit, crimes[i].name)) {
			pr_info("commits %s\n", commit);
			crimes[i].commit();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit alive_exit(void)
{
}

module_init(alive_init);
module_exit(alive_exit);

MODULE_DESCRIPTION("Proves that the debug kernel's detectors are on");
MODULE_LICENSE("GPL");
