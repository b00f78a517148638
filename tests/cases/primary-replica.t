#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# waits: yes
#
# "The primary": a replica that fails, or does not answer, is never the writer's
# problem but for that delay, once; what differs is known, and copied when the replica
# answers again, and nothing else is.
. tests/lib.sh

primary=/dev/mapper/primary region=2048

# status_is EXPECTED DESCRIPTION
status_is() {
	is "$(dmsetup status primary)" "0 65536 replication primary $1" "$2"
}

# begin [OPTION...]: in sync, with 0x11 all over, the replica being /dev/mapper/replica
begin() {
	fill /dev/ram0 0x11
	fill /dev/ram1 0x11
	dm_linear replica /dev/ram1
	primary_create primary /dev/ram0 /dev/mapper/replica $region insync "$@"
}

# copied DEVICE: how many MiB have been written to it since bios_begin
copied() {
	bios "$1" | awk '$2 ~ /W/ { split($3, at, "+"); n += at[2] } END { print n / 2048 }'
}

# Bios sent to a suspended device wait there: a replica that hangs.
hang() {
	dmsetup suspend --nolockfs replica
}

# swap_to DEVICE [OPTION...]: in the background, for it may have to wait; $swap is its process
swap_to() {
	dmsetup load primary --table "$(primary_table - /dev/ram0 "$1" $region "${@:2}")"
	dmsetup suspend --noflush primary
	dmsetup resume primary &
	swap=$!
}

# swap_ends: once the replica before has given back what it had
swap_ends() {
	ok "the old table waits for its replica" kill -0 $swap
	dmsetup resume replica
	ok "and goes" wait $swap
}

ramdisks 3 32

diag "an error"
begin
fill $primary 0x22 0 1M
dm_error replica
dmsetup wait primary 2> /dev/null & waiter=$!
sleep 0.3
ok "the writer does not see it" fill $primary 0x33 4M 1M
status_is "running degraded 2/32 - replica-io" "degraded; what was written since the last flush is dirty"
# shellcheck disable=SC2016 # for eval
ok "an event" wait_for 5 eval "! kill -0 $waiter"
ok "a write" fill $primary 0x44 8M 2M
status_is "running degraded 4/32 - replica-io" "is dirty too"
ok "reads are the local device's" verify $primary 0x44 8M 2M
ok "a flush" sync $primary
dm_log > /dev/null
fails "a checkpoint fails" message primary checkpoint
like "$(dm_log | grep checkpoint)" "the replica is not in sync"$ "and says why"
bios_begin
dm_linear replica /dev/ram1
ok "it comes back by itself" wait_for 40 sync_is primary insync
status_is "running insync 0/32 - -" "in sync; the error is gone"
ok "the legs are equal" equal /dev/ram0 /dev/ram1
is "$(copied replica)" 4 "4 MiB were copied, not 32"
ok "a checkpoint" message primary checkpoint
is "$(message primary get_error)" none "get_error"
dm_log > /dev/null
dm_error replica
ok "a write" fill $primary 0x55 0 64k
is "$(message primary get_error)" "I/O error occurred replica-io" "get_error, when it fails again"
like "$(dm_log)" "I/O error: replica-io" "so does the log"
dmsetup remove primary

diag "no answer"
begin replica_timeout 3
hang
began=$SECONDS
ok "a write waits" fill $primary 0x22 0 64k
took=$((SECONDS - began))
ok "for the timeout, about: $took s" [ $took -ge 2 -a $took -le $((7 * REPL_PATIENCE)) ]
status_is "running degraded 1/32 - replica-io" "degraded"
began=${EPOCHREALTIME/./}
ok "the next does not wait" fill $primary 0x33 0 64k
took=$(((${EPOCHREALTIME/./} - began) / 1000))
ok "at all: $took ms" [ $took -lt $((1500 * REPL_PATIENCE)) ]
sleep 3
status_is "running degraded 1/32 - replica-io" "while it hangs nothing is copied"
fails "a resync cannot begin" message primary resync
ok "suspend and resume" eval "dmsetup suspend primary && dmsetup resume primary"
# What it had is older than what is there now; it must not win.
dmsetup resume replica
ok "it answers: in sync" wait_for 40 sync_is primary insync
ok "the legs are equal, and have the newer write" \
	eval "verify /dev/ram1 0x33 0 64k && equal /dev/ram0 /dev/ram1"
dmsetup remove primary

diag "an answer that comes too late"
begin replica_timeout 2
dm_table replica "0 2048 delay /dev/ram1 0 0 /dev/ram1 0 60000
2048 63488 linear /dev/ram1 2048"
ok "a write" fill $primary 0x22 0 64k
ok "degraded" sync_is primary degraded
ok "another one" fill $primary 0x33 0 64k
seen=''
for _ in {1..30}; do
	seen+=" $(status_field primary 3)"
	sleep 0.1
done
is "$(tr ' ' '\n' <<< "$seen" | sort -u | xargs)" degraded \
	"nothing is copied while the first one may still arrive"
dm_linear replica /dev/ram1
ok "in sync" wait_for 40 sync_is primary insync
ok "the replica has the second one" verify /dev/ram1 0x33 0 64k
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary

diag "a shorter timeout, by a reload"
begin
ok "a write" fill $primary 0x22 0 64k
dm_table primary "$(primary_table - /dev/ram0 /dev/mapper/replica $region replica_timeout 3)"
hang
began=$SECONDS
ok "another one waits" fill $primary 0x33 0 64k
took=$((SECONDS - began))
ok "for the new timeout, about: $took s" [ $took -le $((10 * REPL_PATIENCE)) ]
dmsetup resume replica
ok "in sync" wait_for 40 sync_is primary insync
dmsetup remove primary

diag "many writers, and a replica that hangs"
begin replica_timeout 8
hang
ok "512 writes at once" fio --name=w --filename=$primary --rw=randwrite --bs=4k --iodepth=512 \
	--ioengine=libaio --direct=1 --number_ios=2000 --minimal --output="$scratch/fio"
took=$(cut -d ';' -f 50 "$scratch/fio") # fio(1), terse output: the writes' run time
ok "all of them wait but once: $took ms" [ "$took" -ge 7000 -a "$took" -lt 16000 ]
dmsetup resume replica
ok "in sync" wait_for 40 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary

diag "suspended while it is looked whether the replica answers"
begin manual_resync
dm_error replica
ok "a write" fill $primary 0x22 0 64k
dm_delay replica /dev/ram1 3000 0
ok "resync" message primary resync
ok "suspend and resume" eval "dmsetup suspend primary && dmsetup resume primary"
ok "it is not forgotten" wait_for 20 sync_is primary insync
dmsetup remove primary

diag "the same in a hurry, while it does not answer"
begin manual_resync replica_timeout 60
dm_error replica
ok "a write" fill $primary 0x22 0 64k
dm_delay replica /dev/ram1 8000 0
asked() {
	[ -n "$(bios replica)" ]
}
bios_begin
ok "resync" message primary resync
ok "it is asked" wait_for 5 asked
ok "suspend and resume take no longer for it" \
	timeout 4 sh -c "dmsetup suspend --noflush primary && dmsetup resume primary"
is "$(status_field primary 3)" degraded "it still has not answered"
ok "resync is not forgotten" wait_for 40 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary

diag "manual_resync, and the rate"
begin manual_resync
dm_error replica
ok "a write" fill $primary 0x22 0 8M
dm_linear replica /dev/ram1
sleep 3
status_is "running degraded 8/32 - replica-io" "it stays degraded"
ok "a rate of 2 MiB/s" message primary resync_rate 2048
began=${EPOCHREALTIME/./}
ok "resync" message primary resync
less_dirty() {
	[ "$(dirty primary)" -lt "$1" ]
}
ok "progress" wait_for 10 less_dirty 8
ok "suspended on the way" dmsetup suspend primary
left=$(dirty primary)
sleep 1
is "$(dirty primary)" "$left" "nothing is copied meanwhile"
ok "resumed" dmsetup resume primary
ok "a write to what is dirty" fill $primary 0x99 7M 1M
ok "in sync" wait_for 40 sync_is primary insync
took=$(((${EPOCHREALTIME/./} - began) / 1000))
ok "it has taken the time that the rate allows, and the second: $took ms" [ $took -ge 3500 ]
ok "the legs are equal" equal /dev/ram0 /dev/ram1
fails "a rate that is none" message primary resync_rate fast
fails "a rate too many" message primary resync_rate 1 2
dmsetup remove primary

# withheld DEVICE: dm_delay has writes to it
withheld() {
	[ "$(dmsetup status "$1" | cut -d ' ' -f 5)" -gt 0 ]
}

diag "a write that is under way when its region is to be copied"
fill /dev/ram0 0x11
fill /dev/ram1 0x11
dm_linear local /dev/ram0
dm_error replica
primary_create primary /dev/mapper/local /dev/mapper/replica $region insync manual_resync
ok "a write" fill $primary 0x22 0 64k
dm_linear replica /dev/ram1
dm_delay local /dev/ram0 0 60000
fill $primary 0x33 0 64k & writer=$!
ok "another one is under way" wait_for 10 withheld local
ok "resync" message primary resync
ok "it begins" wait_for 10 sync_is primary resync
sleep 1
is "$(dirty primary)" 1 "but does not copy the region meanwhile"
dm_linear local /dev/ram0
ok "the write ends" wait $writer
ok "in sync" wait_for 40 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1

diag "a write to a region that is being copied"
dm_error replica
ok "a write" fill $primary 0x44 0 64k
dm_delay replica /dev/ram1 0 60000
ok "resync" message primary resync
ok "the copy is under way" wait_for 10 withheld replica
fill $primary 0x55 0 64k & writer=$!
sleep 1
ok "another write waits for it" kill -0 $writer
dm_linear replica /dev/ram1
ok "and ends" wait $writer
ok "in sync" wait_for 40 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary

diag "errors of the local device are the writer's"
fill /dev/ram0 0x11
fill /dev/ram1 0x11
dm_linear local /dev/ram0
primary_create primary /dev/mapper/local /dev/ram1 $region insync manual_resync
dm_error_writes local /dev/ram0
eio "a write" pattern write $primary 0x22 0 4k
dm_linear local /dev/ram0
ok "in sync" wait_for 20 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
status_is "running insync 0/32 - local-io" "the error stays: nobody knows what the writer has made of it"
ok "clear_error" message primary clear_error
status_is "running insync 0/32 - -" "clears it"
is "$(message primary get_error)" none "get_error"
dmsetup remove primary

diag "errors of both: the worst is seen, and the latest is told"
dm_linear replica /dev/ram1
primary_create primary /dev/mapper/local /dev/mapper/replica $region insync manual_resync
dm_error replica
ok "a write" fill $primary 0x22 0 64k
status_is "running degraded 1/32 - replica-io" "the replica has failed"
# shellcheck disable=SC2034 # for eval
events=$(dm_column primary events)
dm_log > /dev/null
dm_error_writes local /dev/ram0
eio "a write" pattern write $primary 0x22 0 4k
status_is "running degraded 1/32 - local-io" "the local device's error is worse"
like "$(dm_log)" "I/O error: local-io" "the log has it"
# shellcheck disable=SC2016 # for eval
ok "an event" wait_for 5 eval '[ "$(dm_column primary events)" -gt $events ]'
is "$(message primary get_error)" "I/O error occurred local-io" "get_error"
dm_linear local /dev/ram0
fails "resync begins, and the replica fails again" eval \
	"message primary resync && wait_for 3 sync_is primary insync"
is "$(message primary get_error)" "I/O error occurred local-io; latest: replica-io" "get_error has both"
dm_linear replica /dev/ram1
ok "resync" message primary resync
ok "in sync" wait_for 20 sync_is primary insync
is "$(message primary get_error)" "I/O error occurred local-io" "the replica's is gone, the local device's is not"
dm_error replica
ok "a write" fill $primary 0x33 0 64k
ok "clear_error" message primary clear_error
status_is "running degraded 1/32 - -" "clears both"
ok "resync, with the replica still away" message primary resync
# shellcheck disable=SC2016 # for eval
ok "is the error again" wait_for 5 eval '[ "$(status_field primary 6)" = replica-io ]'
dmsetup load primary --table "$(primary_table - /dev/mapper/local /dev/ram2 $region)"
dmsetup suspend primary
dmsetup resume primary
is "$(status_field primary 6)" - "another replica has no error"
dmsetup remove primary

diag "a flush that the local device fails"
nulldisks 1 32 cache_size=8
fill /dev/nullb0 0x11
fill /dev/ram1 0x11
dm_linear local /dev/nullb0
primary_create primary /dev/mapper/local /dev/ram1 $region insync
ok "a write" fill $primary 0x22 0 64k
dm_error_writes local /dev/nullb0
fails "a checkpoint" message primary checkpoint
is "$(status_field primary 6)" local-io "is an error of the local device"
dm_linear local /dev/nullb0
ok "in sync" wait_for 20 sync_is primary insync
ok "a flush that succeeds" sync $primary
# shellcheck disable=SC2016 # for eval
ok "the error is gone" wait_for 5 eval '[ "$(status_field primary 6)" = - ]'
dmsetup remove primary

diag "the replica is swapped while it hangs"
begin replica_timeout 2
hang
ok "a write" fill $primary 0x22 0 64k
fill /dev/ram2 0x55
swap_to /dev/ram2
sleep 1
ok "the local device is in use meanwhile" verify $primary 0x22 0 64k
ok "in sync with the new one" wait_for 40 sync_is primary insync
ok "a write" fill $primary 0x33 1M 1M
ok "the legs are equal" equal /dev/ram0 /dev/ram2
swap_ends
ok "the legs are equal" equal /dev/ram0 /dev/ram2
dmsetup remove primary

# copy_begins [OPTION...]: regions are copied to a replica that hangs
copy_begins() {
	fill /dev/ram0 0x11
	fill /dev/ram1 0x55
	fill /dev/ram2 0x55
	dm_linear replica /dev/ram1
	hang
	primary_create primary /dev/ram0 /dev/mapper/replica $region "$@"
	wait_for 5 sync_is primary resync
	sleep 0.3
}

diag "suspended while it hangs with regions that are copied"
copy_begins replica_timeout 3
dmsetup suspend primary & suspend=$!
ok "it ends, after the timeout" wait_for 15 eval "! kill -0 $suspend"
dmsetup resume replica
wait $suspend
dmsetup resume primary
ok "in sync" wait_for 40 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary

diag "swapped while it hangs with regions that are copied"
copy_begins replica_timeout 2
ok "degraded" wait_for 20 sync_is primary degraded
swap_to /dev/ram2 replica_timeout 2
ok "it is copied to the new one" wait_for 20 sync_is primary insync
fill $primary 0x33 0 4M & writer=$!
ok "a write to what the old one has ends" wait_for 10 eval "! kill -0 $writer"
swap_ends
wait $writer
ok "in sync" wait_for 40 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram2
dmsetup remove primary

diag "another target, while a table waits for its replica"
begin replica_timeout 2
hang
ok "a write" fill $primary 0x22 0 64k
swap_to /dev/ram2
ok "in sync with the new one" wait_for 40 sync_is primary insync
dm_linear primary /dev/ram0
fails "nobody else may have the devices yet" dmsetup create other --table \
	"$(primary_table - /dev/ram0 /dev/ram2 $region)"
swap_ends
ok "the device is in use" fill $primary 0x33 0 64k
dmsetup remove primary

diag "another target in between"
begin replica_timeout $((3 * REPL_PATIENCE))
hang
fill $primary 0x22 0 64k & writer=$!
sleep 0.5
dmsetup load primary --table "0 65536 linear /dev/ram0 0"
dmsetup resume primary & swap=$!
sleep 0.5
ok "a table for later, while the present one waits for its replica" dmsetup load primary --table \
	"$(primary_table - /dev/ram0 /dev/mapper/replica $region insync)"
ok "the write ends" wait $writer
ok "the other target is there" wait_for 20 eval "dmsetup table primary | grep -q linear"
ok "a write that the replica does not get" fill $primary 0x33 8M 64k
dmsetup resume replica
wait $swap
ok "the table for later" dmsetup resume primary
ok "in sync" wait_for 40 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary

diag "another way to the same disk, while the one before hangs"
begin replica_timeout 2
hang
ok "a write" fill $primary 0x22 0 64k
dm_linear another /dev/ram1
swap_to /dev/mapper/another insync replica_timeout 2
sleep 3
fails "a resync cannot begin" message primary resync
status_is "running degraded 1/32 - replica-io" "nothing is copied while the write may still arrive"
ok "a newer one" fill $primary 0x33 0 64k
swap_ends
ok "in sync" wait_for 40 sync_is primary insync
ok "the newer one is there" verify /dev/ram1 0x33 0 64k
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary
dmsetup remove another

diag "another way to the same disk, in a hurry"
begin
ok "a write" fill $primary 0x22 0 64k
dm_linear another /dev/ram1
bios_begin
swap_to /dev/mapper/another insync
ok "in sync" wait_for 20 sync_is primary insync
is "$(copied another)" 1 "what the old way may not have brought to the disk is copied"
dmsetup remove primary
dmsetup remove another

diag "back to a replica that still hangs"
begin replica_timeout 2
hang
ok "a write" fill $primary 0x22 0 64k
fill /dev/ram2 0x55
swap_to /dev/ram2
first=$swap
ok "in sync with the one between" wait_for 40 sync_is primary insync
dm_log > /dev/null
swap_to /dev/mapper/replica insync
sleep 3
like "$(dm_log)" "insync is not believed of a replica that older writes may still reach" \
	"what they have in common nobody knows"
status_is "running degraded 32/32 - replica-io" "nothing is copied while the write may still arrive"
ok "a newer one" fill $primary 0x33 0 64k
dmsetup resume replica
ok "the old tables go" wait $first $swap
ok "in sync" wait_for 40 sync_is primary insync
ok "the newer one is there" verify /dev/ram1 0x33 0 64k
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary

diag "swapped while it has no request to spare"
fill /dev/ram0 0x11
fill /dev/ram2 0x55
modprobe sd_mod
modprobe scsi_debug dev_size_mb=32 max_queue=1 delay=0
slow=/dev/sda
wait_for 20 [ -b $slow ]
fill $slow 0x11
primary_create primary /dev/ram0 $slow $region insync replica_timeout 2
# In jiffies, of 4 ms: long enough that nobody thinks it is the new one that is slow.
echo $((4000 * REPL_PATIENCE)) > /sys/bus/pseudo/drivers/scsi_debug/delay
# Far from each other, so that none is merged with another one.
ok "writes" fio --name=w --filename=$primary --rw=randwrite --bs=4k --number_ios=4 --iodepth=4 \
	--ioengine=libaio --direct=1 --minimal --output="$scratch/fio"
swap_to /dev/ram2
ok "in sync with the new one, before the first of them is done" wait_for 6 sync_is primary insync
ok "the one before has all of them" kill -0 $swap
ok "it goes" wait $swap
ok "the legs are equal" equal /dev/ram0 /dev/ram2
dmsetup remove primary
# Its end flushes it.
echo 0 > /sys/bus/pseudo/drivers/scsi_debug/delay
rmmod scsi_debug

diag "a sector that the local device cannot read"
fill /dev/ram1 0x55
dm_linear replica /dev/ram1
dm_table local "0 32768 linear /dev/ram0 0
32768 8 error
32776 32760 linear /dev/ram0 32776"
primary_create primary /dev/mapper/local /dev/mapper/replica $region
ok "all but its region is copied" wait_for 30 less_dirty 2
sleep 1
status_is "running resync 1/32 - local-io" "it is the local device that is to blame"
ok "a write goes to both" fill $primary 0x44 0 1M
ok "indeed" verify /dev/ram1 0x44 0 1M
dm_linear local /dev/ram0
ok "in sync when it can be read" wait_for 30 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
status_is "running insync 0/32 - -" "the error is gone"
done_testing
