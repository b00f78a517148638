#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 500
# cpus: 2
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
ok "64 KiB, not aligned" churn $primary 3027 128 100
ok "512 bytes" churn $primary 20001 1 300
dm_linear replica /dev/ram1
ok "the legs are equal" equal /dev/ram0 /dev/ram1

diag "more writes than there are jobs, whose ends come in bursts"
nulldisks 2 32 irqmode=2 completion_nsec=2000000 hw_queue_depth=1024
META=- primary_create many /dev/nullb0 /dev/nullb1 $region insync
dm_log > /dev/null
ok "writes" fio --name=w --filename=/dev/mapper/many --rw=randwrite --bs=64k --iodepth=200 \
	--ioengine=libaio --direct=1 --time_based --runtime=10 --numjobs=3 --minimal \
	--output="$scratch/fio"
is "$(dm_log)" "" "none of them passes by the replica"
ok "the legs are equal" equal /dev/nullb0 /dev/nullb1
dmsetup remove many

diag "writes that overlap, on a replica that takes them in its own order"
# One at a time, and the lowest sector first.
modprobe -a sd_mod mq-deadline
modprobe scsi_debug dev_size_mb=16 max_queue=1 ndelay=100000
wait_for 20 [ -b /dev/sda ]
echo mq-deadline > /sys/block/sda/queue/scheduler
echo 128 > /sys/block/sda/queue/nr_requests
fill /dev/sda 0
fill /dev/ram3 0
META=- primary_create overlap /dev/ram3 /dev/sda $region insync
ok "many at once" fio --name=w --filename=/dev/mapper/overlap --rw=randwrite --bsrange=512-64k \
	--size=1m --iodepth=32 --ioengine=libaio --direct=1 --number_ios=1500 --numjobs=2 \
	--randrepeat=0 --randseed="$RANDOM" --minimal --output="$scratch/fio"
ok "the legs are equal" equal /dev/ram3 /dev/sda
dmsetup remove overlap
rmmod scsi_debug

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

diag "suspended, and reloaded, while regions are copied"
wait_for 60 sync_is primary insync
for i in {1..6}; do
	dm_table primary "$(primary_table /dev/ram2 /dev/ram0 /dev/ram$((1 + i % 2 * 2)) $region)"
	sleep 0.0$((RANDOM % 9))
	ok "suspend and resume" eval "timeout 60 dmsetup suspend primary && dmsetup resume primary"
done
message primary resync_rate 500
dm_table primary "$(primary_table /dev/ram2 /dev/ram0 /dev/ram3 $region)"
dm_table primary "$(primary_table /dev/ram2 /dev/ram0 /dev/ram1 $region)"
ok "it is being copied" wait_for 10 sync_is primary resync
for _ in {1..4}; do
	ok "suspend and resume" eval "timeout 60 dmsetup suspend primary && dmsetup resume primary"
done
message primary resync_rate 0
kill $hammer
ok "nothing is lost that was written" wait $hammer
diag "$(tail -n 1 "$scratch/hammer")"
message primary resync > /dev/null 2>&1
ok "in sync in the end" wait_for 90 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1

diag "stopped under load, while regions are copied"
message primary resync_rate 4000
dm_table primary "$(primary_table /dev/ram2 /dev/ram0 /dev/ram3 $region)"
hammer --view $primary --seconds 3 --threads 3 --seed "$RANDOM" > "$scratch/hammer" 2>&1 & hammer=$!
sleep 1
ok "stop" message primary stop
ok "nothing is lost that was written" wait $hammer
ok "done" [ "$(stage primary)" = "done" ]
done_testing
