#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# waits: yes
# timeout: 300
#
# "The primary": the metadata device knows which regions may differ, before they do;
# after a crash those are copied, and no others.
. tests/lib.sh

primary=/dev/mapper/primary region=128	# 64 KiB: 512 regions
export META=/dev/mapper/meta

begin() {
	primary_create primary /dev/mapper/local /dev/mapper/replica $region "$@"
}

# status_is EXPECTED DESCRIPTION
status_is() {
	is "$(dmsetup status primary)" "0 65536 replication primary $1" "$2"
}

# A crash: all three devices are taken away as they are, at once, and brought back.
crash() {
	dm_error meta
	dm_error local
	dm_error replica
	dmsetup remove primary
	dm_linear meta /dev/ram2
	dm_linear local /dev/ram0
	dm_linear replica /dev/ram1
}

ramdisks 3 32
fill /dev/ram0 0x11
fill /dev/ram1 0x22
for i in 0 1 2; do
	names=(local replica meta)
	dm_linear "${names[i]}" /dev/ram$i
done

diag "a new metadata device"
begin
ok "in sync" wait_for 30 sync_is primary insync
status_is "running insync 0/512 rw -" "nothing is dirty"
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary
begin
status_is "running insync 0/512 rw -" "it comes back in sync"

diag "a region is marked before it is written to"
# Another time, so that there is nothing left to clean.
dmsetup remove primary
begin
bios_begin
ok "a write" fill $primary 0x33 1M 4k
sent=$(bios local replica meta | grep -v ' R ')
is "$(head -n 1 <<< "$sent" | cut -d ' ' -f 1)" meta "the metadata device is written first"
bios_begin
ok "again" fill $primary 0x34 1M 4k
is "$(bios meta)" "" "it is marked already"
# Not long ago, on a slow machine either: it would be clean soon.
fill $primary 0x35 1M 4k
crash
dm_log > /dev/null
begin
like "$(dm_log)" "resync, was .*; 1 of 512 regions" "after a crash that region is copied"
ok "in sync" wait_for 30 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1

diag "marks are cleared when there is time"
ok "16 regions" fill $primary 0x44 2M 1M
clean() {
	crash
	begin
	wait_for 30 sync_is primary insync
	! dm_log | grep -q "resync, was"
}
dm_log > /dev/null
# 5 s to see that nobody writes there, and 5 s until the next look
sleep 12
ok "nothing is copied after a crash then" clean
ok "a write" fill $primary 0x45 2M 1M
dmsetup remove primary
dm_log > /dev/null
begin
status_is "running insync 0/512 rw -" "nor after a removal"

diag "another target in between"
dm_table primary "0 65536 linear /dev/mapper/local 0"
ok "a write that the replica does not get" fill $primary 0x5a 2M 64k
dm_table primary "$(primary_table $META /dev/mapper/local /dev/mapper/replica $region)"
ok "in sync" wait_for 20 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1

diag "degraded, and removed"
dm_error replica
ok "a write" fill $primary 0x55 4M 1M
status_is "running degraded 16/512 rw replica-io" "16 regions are dirty"
dmsetup remove primary
begin manual_resync
is "$(dirty primary)" 16 "it comes back with them"
is "$(status_field primary 6)" replica-io "and with the error"
dm_linear replica /dev/ram1
message primary resync > /dev/null
ok "in sync" wait_for 30 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
status_is "running insync 0/512 rw -" "the error is gone"
dmsetup remove primary
begin
status_is "running insync 0/512 rw -" "it is not recorded any more either"

diag "the end stays"
ok "stop" message primary stop
dmsetup remove primary
begin
status_is "done - 512/512 rw -" "done"
ok "a write" fill $primary 0x66 0 1M
ok "is the local device's" verify /dev/ram1 0x11 0 64k
dmsetup remove primary

diag "the metadata device fails"
fill /dev/ram2 0 0 4k
begin insync
ok "a write" fill $primary 0x77 0 4k
# It stays marked only as long as it is written to.
while pattern write $primary 0x77 8k 4k; do :; done > /dev/null 2>&1 & writer=$!
dm_error_writes meta /dev/ram2
kill $writer
ok "to a region that is marked" fill $primary 0x78 0 4k
eio "to another one" pattern write $primary 0x79 8M 4k
status_is "running insync 0/512 fail metadata-io" "it says so"
ok "reads go on" verify $primary 0x78 0 4k
dmsetup remove primary
dm_linear meta /dev/ram2

diag "what is not ours"
dmsetup create other --notable
fails "a primary's metadata is no secondary's" dmsetup load other --table \
	"0 65536 replication secondary /dev/mapper/meta /dev/mapper/local /dev/mapper/replica /dev/mapper/local 128"
fill /dev/ram2 0 0 4k
dmsetup remove other
done_testing
