#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Metadata: a standby whose machine dies at a random moment, under load, comes up again
# with all that was acknowledged, on either face; and so after a death in a failover.
#
# power-loss.t [KILLS]: QEMU is killed so often, and its disks lose what they had not been
# told to flush. What a life is like is in tests/crash/life.

. tests/tap.sh
. tests/crash/power.sh

kills=${1:-2}
killed=0	# so far
sectors=0	# lost in all of that
mkdir -p build/vm && run=$(mktemp -d build/vm/power-loss.XXXXXX) || exit

in_failover() {
	grep -qs '^failover' "$run/history"
}

# Sets $kind, what the next life is for, and $mark, behind which it ends.
choose() {
	local more=$((kills - killed)) marks=(load)
	kind=load
	if ! [ -e "$run/history" ]; then
		:
	elif in_failover && [ $more -gt 0 ] && [ $((RANDOM % 3)) = 0 ]; then
		kind=failover marks=(merge tables)
	elif in_failover; then
		kind=finish
	elif [ $more -lt 2 ] || [ $((RANDOM % 3)) = 0 ]; then
		kind=failover marks=(merge)
	else
		marks=(load load load checkpoint checkpoint tables)
	fi
	mark=${marks[RANDOM % ${#marks[@]}]}
}

# Cuts the power, some time after the $mark has been reached. Sets $doing.
declare -A most_ms=([load]=4000 [checkpoint]=800 [merge]=2000 [tables]=3000)
kill_it() {
	local ms=$((RANDOM % most_ms[$mark]))
	until [ -e "$run/at.$mark" ] || ! power_is_on; do
		sleep 0.02
	done
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
	doing="$ms ms after $mark, at \"$(tail -n 1 "$run/history" 2> /dev/null)\""
	power_cut
}

# One of that $kind, to its death, unless it ends by itself. Sets $status, $lost and $doing.
life() {
	status=1 doing=''
	rm -rf "$run"/at.* "$run/before"
	# The disks as they are now, should it fail.
	cp -r --sparse=always "$run/disks" "$run/before"
	# shellcheck disable=SC2086 # one word each
	SEED=$RANDOM power_on "$run/disks" ${DM_REPL_VM:-} --share "$run" tests/crash/life "$kind" \
		> "$run/said" 2>&1 || return
	if [ "$kind" = finish ]; then power_end; else kill_it; fi
}

# What was lost in all, of $lost.
sum() {
	local word n=0
	for word in $lost; do
		[[ $word != */* ]] || ((n += ${word%/*}))
	done
	echo $n
}

trap 'power_off; rm -rf "$scratch"' EXIT

diag "SEED=$SEED"
# Some more, if by chance nothing was lost in any.
enough() {
	[ $killed -ge "$kills" ] && { [ $sectors -gt 0 ] || [ $killed -ge $((kills + 3)) ]; }
}

until enough && ! [ -e "$run/history" ]; do
	[ -e "$run/history" ] || power_disks "$run/disks" 64
	choose
	life
	checks="$(grep -c '^ok' "$run/said") checks"
	! grep -q '^not ok' "$run/said" || status=1
	if [ "$status" = 0 ]; then
		pass "$kind: $checks; ended by itself"
		rm "$run/history"
	elif [ "$status" = 137 ] && [ -n "$doing" ]; then
		pass "$kind: $checks; killed $doing"
		diag "lost of what was not flushed: $lost"
		((++killed, sectors += $(sum)))
		[ "$(sum)" -gt 0 ] || diag "that is nothing: this proves little"
	else
		fail "$kind: status $status"
		diag "$(cat "$run/said")"
		diag "$run has the history, and the disks as they were before"
		break
	fi
done
ok "sectors were lost: $sectors" [ $sectors -gt 0 ]
done_testing
[ $failures -ne 0 ] || rm -rf "$run"
[ $failures -eq 0 ]
