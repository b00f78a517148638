#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
#
# "The primary" under load: nothing that was written is lost, and the legs are equal in
# the end, whatever fails meanwhile, whoever changes his buffer, whatever overlaps.
. tests/lib.sh

primary=/dev/mapper/primary region=128

ramdisks 4 16
dm_linear replica /dev/ram1
META=/dev/ram2 primary_create primary /dev/ram0 /dev/mapper/replica $region

diag "a buffer that changes in flight"
ok "in sync" wait_for 20 sync_is primary insync
dm_delay replica /dev/ram1 0 3
ok "4 KiB" churn $primary 64 8 300
ok "64 KiB, not aligned" churn $primary 1027 128 100
ok "512 bytes" churn $primary 4001 1 100
dm_linear replica /dev/ram1
ok "the legs are equal" equal /dev/ram0 /dev/ram1

diag "writes that overlap"
ok "many at once" fio --name=w --filename=$primary --rw=randwrite --bsrange=512-64k \
	--size=512k --iodepth=32 --ioengine=libaio --direct=1 --number_ios=6000 --numjobs=2 \
	--randrepeat=0 --randseed="$RANDOM" --minimal --output="$scratch/fio"
ok "the legs are equal" equal /dev/ram0 /dev/ram1

diag "a replica that fails in one way after the other"
# fault WHAT: until the primary has noticed, and for a while
fault() {
	case $1 in
	error)	dm_error replica ;;
	writes)	dm_error_writes replica /dev/ram1 ;;
	hang)	dmsetup suspend --nolockfs replica ;;
	esac
	wait_for 20 sync_is primary degraded || return
	sleep 0.$((RANDOM % 9))
	if [ $((RANDOM % 2)) = 1 ]; then
		dmsetup suspend primary && dmsetup resume primary || return
	fi
	dm_linear replica /dev/ram1
}

dm_table primary "$(primary_table /dev/ram2 /dev/ram0 /dev/mapper/replica $region replica_timeout 1)"
hammer --view $primary --seconds 0 --threads 3 --seed "$RANDOM" > "$scratch/hammer" 2>&1 & hammer=$!
for kind in error hang writes error hang hang writes error; do
	sleep 0.$((RANDOM % 9))
	ok "$kind" fault $kind
	# In sync again, or not yet when the next fault comes.
	wait_for $((RANDOM % 3 * 15)) sync_is primary insync
	wait_for 60 eval "! sync_is primary degraded || ! message primary resync"
done
kill $hammer
ok "nothing is lost that was written" wait $hammer
diag "$(tail -n 1 "$scratch/hammer")"
message primary resync > /dev/null 2>&1
ok "in sync in the end" wait_for 90 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
done_testing
