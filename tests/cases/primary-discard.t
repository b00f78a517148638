#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
# bounded: yes
#
# "The primary": what is discarded or zeroed is so on both legs; what was discarded
# while the replica was away is discarded there when it is back, and not copied.
. tests/lib.sh

primary=/dev/mapper/primary region=2048

# copied DEVICE: how many MiB have been written to it since bios_begin
copied() {
	bios "$1" | awk '$2 ~ /W/ { split($3, at, "+"); n += at[2] } END { print n / 2048 }'
}

# discard_max DEVICE: the file that says how much it can discard at once
discard_max() {
	stat -L -c /sys/dev/block/%Hr:%Lr/queue/discard_max_bytes "$1"
}

# too_large DEVICE: its discards and zeroes that are more than one piece
too_large() {
	bios "$1" | awk '/ [DN] / { split($3, at, "+"); if (at[2] > 8192) print }'
}

modprobe sd_mod
modprobe scsi_debug dev_size_mb=32 delay=0 lbpu=1 lbpws=1 lbprz=1
wait_for 20 [ -b /dev/sda ]
dm_linear local /dev/sda 0 32768
dm_linear replica /dev/sda 32768 32768
fill /dev/mapper/local 0x11
fill /dev/mapper/replica 0x11
primary_create primary /dev/mapper/local /dev/mapper/replica $region insync

bios_begin
ok "a discard" blkdiscard -f -o 4M -l 4M $primary
like "$(bios local)" "local D 8192.8192" "is one of the local device"
like "$(bios replica)" "replica D 8192.8192" "and one of the replica"
ok "zeroes" blkdiscard -f -z -o 9000k -l 1M $primary
ok "are on the local device" verify /dev/mapper/local 0 9000k 1M
ok "and on the replica" verify /dev/mapper/replica 0 9000k 1M
bios_begin
ok "zeroes everywhere" blkdiscard -f -z $primary
is "$(bios replica | grep -c ' N ')" 4 "come in pieces"
is "$(too_large replica)" "" "of 4 MiB at most"
ok "the legs are equal" equal /dev/mapper/local /dev/mapper/replica

diag "while the replica is away"
# Nothing is left that it might have lost.
dmsetup suspend primary
dmsetup resume primary
dm_error replica
ok "a write" fill $primary 0x22 0 1M
ok "a discard of 4 regions" blkdiscard -f -o 12M -l 4M $primary
ok "a write to one of them" fill $primary 0x33 13M 64k
bios_begin
dm_linear replica /dev/sda 32768 32768
ok "in sync" wait_for 40 sync_is primary insync
is "$(bios replica | grep -c ' D ')" 3 "what is discarded is discarded on the replica"
is "$(copied replica)" 2 "and not copied, unlike the two that were written to"
ok "the legs are equal" equal /dev/mapper/local /dev/mapper/replica

dmsetup remove primary

diag "while regions are copied"
primary_create primary /dev/mapper/local /dev/mapper/replica $region manual_start
message primary resync_rate 2048
message primary start
bios_begin
ok "a discard" blkdiscard -f -o 512k -l 15M $primary
is "$(bios local | grep ' D ')" "local D 1024+7168
local D 8192+8192
local D 16384+8192
local D 24576+7168" "comes in pieces, of which none waits for many regions"
ok "a write to what was discarded" fill $primary 0x44 1M 64k
message primary resync_rate 0
ok "in sync" wait_for 40 sync_is primary insync
ok "the legs are equal" equal /dev/mapper/local /dev/mapper/replica

diag "a local device that can discard no more"
max=$(discard_max /dev/mapper/local)
echo 0 > "$max"
bios_begin
ok "a discard is not taken, which is no error" blkdiscard -f -o 8M -l 4M $primary
# Newer kernels go on to send them, older ones do not: dm is told.
capture blkdiscard -f -o 8M -l 4M $primary
is "$(status_field primary 3)" insync "nothing is dirty"
# It may be flushed, for what was copied before.
is "$(bios replica | grep -v ' FW 0+0$')" "" "and nothing is discarded or copied on the replica"
ok "the legs are equal" equal /dev/mapper/local /dev/mapper/replica
dmsetup remove primary
# What was set by hand stays with the device.
dmsetup remove local
dm_linear local /dev/sda 0 32768
primary_create primary /dev/mapper/local /dev/mapper/replica $region insync
ok "with another device they go on" blkdiscard -f -o 8M -l 4M $primary
like "$(bios replica)" "replica D 16384.8192" "on the replica too"
ok "the legs are equal" equal /dev/mapper/local /dev/mapper/replica
dm_remove_all
rmmod scsi_debug

diag "a disk that is discarded as a whole, and a standby that takes longer for it than replica_timeout"
nulldisks 4 256
dm_delay hidden /dev/nullb3 0 200
META=- secondary_create view /dev/nullb2 /dev/mapper/hidden /dev/nullb1 8
ingress_create in view
META=- primary_create primary /dev/nullb0 /dev/mapper/in $region insync \
	replica_timeout $((3 * REPL_PATIENCE))
ok "data" fill $primary 0x11 0 8M
message view checkpoint
dm_log > /dev/null
bios_begin
blkdiscard -f $primary & discard=$!
sleep 0.5
began=${EPOCHREALTIME/./}
ok "a write meanwhile" fill $primary 0x22 1M 4k
took=$(((${EPOCHREALTIME/./} - began) / 1000))
ok "does not wait for all of it: $took ms" [ $took -lt $((2500 * REPL_PATIENCE)) ]
ok "all of it" wait $discard
is "$(dm_log)" "" "the pair stays in sync"
is "$(bios in | grep -c ' D ')" 64 "it comes in pieces"
is "$(too_large in)" "" "of 4 MiB at most"
ok "the legs are equal" equal /dev/nullb0 /dev/nullb1
done_testing
