#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every module is a mutant: it has to be noticed that it loses data. tests/mutants/run
# starts this: mutants.t LIVES ROUNDS POINTS MODULE...
. tests/lib.sh
. tests/crash/lib.sh

lives=$1 rounds=$2 points=$3
shift 3

# caught: the test fails, for what came back after a loss of power, or even a removal
caught() {
	local i
	for ((i = 0; i < lives; i++)); do
		life $i "$rounds" "$points" || break
	done
	[ $i -lt "$lives" ] && [[ $output =~ (^|$'\n')((point|record: the view shows) [^$'\n']*) ]]
}

crash_setup
# shellcheck disable=SC2046 # one word each
modprobe -a $(modinfo -F depends "$@" | tr , '\n' | sort -u)
for mutant; do
	name=$(basename "$mutant" .ko)
	SECONDS=0 tried=0
	if ! insmod "$mutant"; then
		fail "$name: it does not load"
		continue
	fi
	keeper_create
	if caught; then
		pass "$name: after $tried points, $SECONDS s"
		diag "${BASH_REMATCH[2]}"
	else
		fail "$name: not in $tried points, $SECONDS s"
		diag "$output"
	fi
	dm_remove_all
	rmmod dm_replication
done
crash_cleanup
done_testing
