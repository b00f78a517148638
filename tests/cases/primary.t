#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# waits: yes
# kmemleak: yes
#
# "The primary": a local device and a replica, what goes to which of them, in which
# stage; the messages; and tables that come and go.
. tests/lib.sh

primary=/dev/mapper/primary

# status_is EXPECTED DESCRIPTION
status_is() {
	is "$(dmsetup status primary)" "0 32768 replication primary $1" "$2"
}

ramdisks 4 16
fill /dev/ram0 0x11
fill /dev/ram1 0x22
# 16 regions of 1 MiB
region=2048

diag "stages"
primary_create primary /dev/ram0 /dev/ram1 $region manual_start
status_is "none - 0/16 - -" "not started"
eio "not started: read" pattern verify $primary 0x11 0 1M
eio "not started: write" pattern write $primary 0x11 0 1M
ok "start" message primary start
ok "it comes in sync by itself" wait_for 20 sync_is primary insync
status_is "running insync 0/16 - -" "in sync, nothing dirty"
ok "the replica has all of it" verify /dev/ram1 0x11
ok "a write" fill $primary 0x33 1M 2M
ok "the local device has it" verify /dev/ram0 0x33 1M 2M
ok "so has the replica" verify /dev/ram1 0x33 1M 2M
ok "it can be read" verify $primary 0x33 1M 2M
ok "a small one, across regions" fill $primary 0x44 4094k 4k
ok "is on both" equal /dev/ram0 /dev/ram1
ok "one of 1 MiB" fill $primary 0x45 5000k 1M 1M
ok "is on both" equal /dev/ram0 /dev/ram1
ok "a flush" sync $primary
events=$(dm_column primary events)
ok "a checkpoint" message primary checkpoint
ok "raises an event" wait_for 5 eval "[ \$(dm_column primary events) -gt $events ]"
dm_log > /dev/null
fails "started again" message primary start
like "$(dm_log)" "Block replication is running or done"$ "says so in the log"
ok "stop" message primary stop
status_is "done - 0/16 - -" "done"
ok "a write" fill $primary 0x55 0 1M
ok "reaches the local device" verify /dev/ram0 0x55 0 1M
ok "not the replica" verify /dev/ram1 0x11 0 1M
ok "it can be read" verify $primary 0x55 0 1M
dmsetup remove primary

diag "tables"
fill /dev/ram1 0x66
primary_create primary /dev/ram0 /dev/ram1 $region insync
status_is "running insync 0/16 - -" "insync: nothing is copied"
ok "the replica is as it was" verify /dev/ram1 0x66
is "$(dmsetup table primary)" "0 32768 replication primary - 1:0 1:1 2048 1 insync" "its table"
dm_table primary "$(primary_table - /dev/ram0 /dev/ram1 $region manual_resync replica_timeout 5)"
is "$(dmsetup table primary)" \
	"0 32768 replication primary - 1:0 1:1 2048 3 manual_resync replica_timeout 5" \
	"another table"
status_is "running insync 0/16 - -" "a reload keeps what is known"
dmsetup remove primary

diag "the replica is swapped"
fill /dev/ram2 0x77
primary_create primary /dev/ram0 /dev/ram1 $region
ok "in sync" wait_for 20 sync_is primary insync
dm_table primary "$(primary_table - /dev/ram0 /dev/ram2 $region)"
ok "in sync with another one" wait_for 20 sync_is primary insync
ok "which has all of it" equal /dev/ram0 /dev/ram2
ok "a write" fill $primary 0x78 0 4M
ok "reaches the new one" verify /dev/ram2 0x78 0 4M

dmsetup remove primary

diag "swapped before the start"
fill /dev/ram2 0x77
primary_create primary /dev/ram0 /dev/ram1 $region manual_start
dm_table primary "$(primary_table - /dev/ram0 /dev/ram2 $region manual_start insync)"
dm_table primary "$(dmsetup table primary)"
ok "start" message primary start
ok "in sync" wait_for 20 sync_is primary insync
ok "the new one has all, for the old one had nothing" equal /dev/ram0 /dev/ram2

diag "what a table names that is not in use yet"
dmsetup load primary --table "$(primary_table - /dev/ram0 /dev/ram1 $region)"
dm_log > /dev/null
fails "is another primary's already" dmsetup create other --table \
	"$(primary_table - /dev/ram1 /dev/ram3 $region)"
like "$(dm_log)" "A device belongs to the live primary" "says so in the log"
dmsetup clear primary
ok "till it is taken back" dmsetup create other --table "$(primary_table - /dev/ram1 /dev/ram3 $region)"
dmsetup remove other

diag "the filter's replica is swapped"
primary_create filter - /dev/ram3 $region
ok "stop" message filter stop
dm_table filter "$(primary_table - - /dev/ram1 $region)"
is "$(stage filter)" "done" "there is no way back from done"
fails "a disk of another primary is refused" dmsetup load filter --table "$(primary_table - - /dev/ram0 $region)"
dmsetup remove filter

diag "disks with a write cache"
modprobe sd_mod
modprobe scsi_debug dev_size_mb=32 delay=0
wait_for 20 [ -b /dev/sda ]
dm_linear local /dev/sda 0 32768
dm_linear replica /dev/sda 32768 32768
primary_create cached /dev/mapper/local /dev/mapper/replica $region insync
# sent: what the two devices got since bios_begin
sent() {
	bios local replica | cut -d ' ' -f 1,2 | sort | xargs
}
bios_begin
ok "a checkpoint" message cached checkpoint
is "$(sent)" "local FW replica FW" "flushes both"
ok "a write" fill /dev/mapper/cached 0x22 0 64k
dm_table local "0 32768 flakey /dev/sda 0 0 3600 1 error_writes"
bios_begin
eio "the local one cannot be flushed" sync /dev/mapper/cached
ok "in sync" wait_for 20 sync_is cached insync
dm_log > /dev/null
# The cleaner is there each 5 s.
sleep 12
is "$(dm_log)" "" "no flush of our own begins it again"
like "$(sent)" "local R.* replica W" "what it may have lost is copied"
dm_linear local /dev/sda 0 32768
bios_begin
ok "stop" message cached stop
is "$(sent)" "local FW replica FW" "flushes both"
dmsetup remove cached

diag "a disk without a write cache, and a replica with one"
dm_linear local /dev/ram0
fill /dev/ram0 0x33
fill /dev/mapper/replica 0x33
primary_create cached /dev/mapper/local /dev/mapper/replica $region insync
ok "writes" fill /dev/mapper/cached 0x44 0 5M
dm_table local "0 32768 flakey /dev/ram0 0 0 3600 1 error_writes"
bios_begin
eio "one that has to be durable fails" dd if=/dev/zero of=/dev/mapper/cached bs=64k seek=128 count=1 \
	oflag=direct,dsync
like "$(bios replica)" "replica FWS? 16384.128|replica WFS? 16384.128" "it was sent so"
dm_linear local /dev/ram0
ok "in sync" wait_for 20 sync_is cached insync
is "$(bios replica | awk '$2 ~ /W/ { split($3, at, "+"); if (at[2]) print int(at[1] / 2048) }' | sort -u)" 8 \
	"no more is copied than its region"
sleep 12
dm_error replica
ok "a write" fill /dev/mapper/cached 0x55 0 64k
is "$(dirty cached)" 1 "and what was flushed is cleaned as ever"
message cached stop
dmsetup suspend --noflush cached
dmsetup resume cached
is "$(dmsetup status cached)" "0 32768 replication primary done - 1/16 - -" \
	"once stopped it has no errors of a replica"
dm_remove_all
rmmod scsi_debug
done_testing
