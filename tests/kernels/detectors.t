#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the debug kernel is to detect is committed by a module of its own, and
# tests/vm/run is seen to fail for it, and to say why: a detector that has been
# off all the time is as silent as a sound module. Run by tests/kernels/debug.

. tests/tap.sh

# vm CRIME [KERNEL-ARGUMENT]: a run in the background
vm() {
	{
		tests/vm/run --kernels "$KERNELS" --no-module --memory 1024 --log "$scratch/$1.log" \
			--append "${2:-}" insmod "$ALIVE" commit="$1" > "$scratch/$1" 2>&1
		echo $? > "$scratch/$1.status"
	} &
}

# detected CRIME REASON
detected() {
	like "$(cat "$scratch/$1")" "# harness: $2" "$1 is reported"
	is "$(cat "$scratch/$1.status")" 1 "and fails the run"
}

vm use-after-free kmemleak=off
vm lock-inversion kmemleak=off
wait
vm leak
vm sleep-in-atomic kmemleak=off
wait
vm list-corruption kmemleak=off
vm out-of-bounds kmemleak=off
wait
vm free-active-timer kmemleak=off
vm nothing
wait

complained='the kernel complained: .*'
detected use-after-free "${complained}BUG: KASAN: use-after-free in use_after_free"
detected lock-inversion "${complained}WARNING: possible circular locking dependency"
like "$(cat "$scratch/lock-inversion")" "# harness: lockdep has turned itself off" \
	"so is that lockdep looks no further"
detected leak "${complained}unreferenced object"
detected sleep-in-atomic "${complained}BUG: sleeping function called from invalid context"
detected list-corruption "${complained}list_del corruption"
detected out-of-bounds "${complained}UBSAN: array-index-out-of-bounds"
detected free-active-timer "${complained}ODEBUG: free active"
is "$(cat "$scratch/nothing" "$scratch/nothing.status")" 0 "where nothing is wrong nothing is reported"

done_testing
