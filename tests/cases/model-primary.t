#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# cpus: 2
#
# "The primary": random I/O, with a replica that fails again and again, against a model
# that knows every byte; at each checkpoint, and in the end, the replica has them all.
. tests/lib.sh

# fault: of the replica, in one way or another, and the end of it
fault() {
	case $((RANDOM % 3)) in
	0)	dm_error replica ;;
	1)	dm_error_writes replica /dev/nullb1 ;;
	2)	dmsetup suspend --nolockfs replica ;;
	esac
	wait_for 2 sync_is primary degraded && : > "$scratch/degraded"
	if [ $((RANDOM % 2)) = 0 ]; then
		dmsetup suspend primary && dmsetup resume primary
	fi
	sleep 0.$((RANDOM % 10))
	dm_linear replica /dev/nullb1
	# By itself it waits longer from time to time.
	message primary resync
	sleep 0.$((RANDOM % 10))
}

# model REGION METADATA|- OPERATIONS [OPTION...]
model() {
	local status stomp
	META=$2 primary_create primary /dev/nullb0 /dev/mapper/replica "$1" replica_timeout 1 \
		"${@:4}" || return
	stomp --ingress /dev/mapper/primary --view /dev/nullb1 --primary --name primary \
		--chunk "$1" --ops "$3" --seed "$RANDOM" --discard > "$scratch/stomp" 2>&1 &
	stomp=$!
	while kill -0 $stomp 2> /dev/null; do
		fault
	done > /dev/null 2>&1
	wait $stomp
	status=$?
	if [ $status -eq 0 ]; then tail -n 1 "$scratch/stomp"; else cat "$scratch/stomp"; fi
	dmsetup remove primary && return $status
}

nulldisks 3 16
dm_linear replica /dev/nullb1
for region in 128 512 2048; do
	rm -f "$scratch/degraded"
	[ "$region" = 128 ] && meta=/dev/nullb2 || meta=-
	ok "regions of $region sectors" model "$region" "$meta" $((6000 + 600000 / region))
	diag "$output"
	ok "the replica has failed meanwhile" [ -e "$scratch/degraded" ]
done
done_testing
