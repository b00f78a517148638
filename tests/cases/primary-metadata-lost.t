#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# waits: yes
# timeout: 900
#
# "A primary whose metadata fails": a reload repairs it while it is in use, with the same or
# with another metadata device; and an operator's word lets it go on without. After a crash at
# any moment the replica gets all that it lacks.
. tests/lib.sh

primary=/dev/mapper/primary region=128	# 64 KiB: 128 regions
meta=/dev/mapper/meta other=/dev/mapper/other
export META=$meta

begin() {
	dm_log > /dev/null
	primary_create primary /dev/mapper/local /dev/mapper/replica $region "$@"
}

reload() {
	dm_table primary "$(primary_table "$1" /dev/mapper/local /dev/mapper/replica $region)"
}

devices() {
	dm_linear local /dev/ram0
	dm_linear replica /dev/ram1
	dm_linear meta /dev/ram2
	dm_linear other /dev/ram3
}

# ended PROCESS: of ours, in the background
ended() {
	! kill -0 "$1" 2> /dev/null
}

# A crash: the devices are taken away as they are, at once, and brought back.
crash() {
	local name
	for name in meta other local replica; do dm_error $name; done
	dmsetup remove primary
	devices
}

# After a reboot the module does not know any more what it was told.
reboot() {
	crash
	rmmod dm_replication && insmod "$REPL_MODULE"
}

status_is() {
	is "$(dmsetup status primary)" "0 16384 replication primary $1" "$2"
}

mode() {
	status_field primary 5
}

mode_is() {
	[ "$(mode)" = "$1" ]
}

# The metadata device calls all regions clean, and cannot be written any more.
lost() {
	[ -z "$(dm_column primary name)" ] || dmsetup remove primary
	devices
	fill /dev/ram2 0 0 4k
	fill /dev/ram3 0 0 4k
	fill /dev/ram0 0x11
	fill /dev/ram1 0x11
	begin insync
	dm_error_writes meta /dev/ram2
	eio "a write fails" pattern write $primary 0x12 2M 4k
	status_is "running insync 0/128 fail metadata-io" "and the status says why"
}

# It fails, and then it does not answer.
lost_and_hung() {
	lost
	dm_linear meta /dev/ram2
	dmsetup suspend --nolockfs meta
}

# differ OFFSET: the replica fails, and lacks a write to a region that was clean.
differ() {
	dm_error replica
	ok "a write that the replica does not get" fill $primary 0x13 "$1" 4k
}

# copied PATTERN DESCRIPTION [REPLICA]: so many regions are, and then the legs are equal.
copied() {
	like "$(dm_log)" "resync, was .*; $1 of 128 regions" "$2"
	ok "in sync" wait_for 30 sync_is primary insync
	ok "the legs are equal" equal /dev/ram0 "${3:-/dev/ram1}"
	# So that all regions are clean: by itself that takes 10 s.
	dmsetup suspend primary
	dmsetup resume primary
}

ramdisks 6 8

diag "a reload with the same device"
lost
reload $meta
status_is "running insync 0/128 fail metadata-io" "does not help while it fails"
eio "a write still fails" pattern write $primary 0x14 2M 4k
ok "reads go on" verify $primary 0x11 2M 4k
dm_linear meta /dev/ram2
eio "that it works again does not help by itself" pattern write $primary 0x14 2M 4k
ok "a reload" reload $meta
status_is "running insync 0/128 rw -" "does"
ok "a write" fill $primary 0x15 2M 4k
differ 3M
crash
begin
copied '[1-4]' "after a crash what differs is copied, and no more"
differ 4M
reboot
begin
copied '[1-9]' "so it is after another"

diag "the same device, of which the first 4 KiB are zero"
lost
dm_linear meta /dev/ram2
fill /dev/ram2 0 0 4k
ok "a reload" reload $meta
is "$(mode)" rw "it is in use"
differ 3M
reboot
begin
copied '[1-4]' "after a crash it knows what differs"

diag "another device"
lost
fill /dev/ram3 0x99 0 4k
dm_log > /dev/null
fails "what is not new is refused" dmsetup load primary \
	--table "$(primary_table $other /dev/mapper/local /dev/mapper/replica $region)"
like "$(dm_log)" "Metadata device $(dm_column other major):$(dm_column other minor): it has other content; to have it formatted, zero its first 4 KiB" \
	"with what to do"
fill /dev/ram3 0 0 4k
dm_error_writes other /dev/ram3
reload $other
status_is "running insync 0/128 fail metadata-io" "one that fails does not help"
eio "a write still fails" pattern write $primary 0x14 2M 4k
dm_linear other /dev/ram3
ok "a reload" reload $other
status_is "running insync 0/128 rw -" "one that works does"
fails "one that works is not replaced" dmsetup load primary \
	--table "$(primary_table $meta /dev/mapper/local /dev/mapper/replica $region)"
ok "a write" fill $primary 0x15 2M 4k
differ 3M
crash
META=$other begin
copied '[1-4]' "after a crash it knows what differs"
differ 4M
crash
begin
copied 128 "the device before is not believed"
differ 7M
reboot
begin
copied '[1-9]' "it is once it has been written"

diag "a device before that can be written again"
lost
dm_linear meta /dev/ram2
ok "a reload with another device" reload $other
differ 3M
reboot
begin
copied 128 "it has been told that it knows nothing"
dmsetup remove primary
fails "the one before is not new" eval "META=$other begin && reload $meta"

diag "a device of another primary"
lost
fill /dev/ram3 0 0 4k
dmsetup create stranger --table "0 16384 replication primary $other /dev/ram4 /dev/ram5 $region 1 insync"
fails "that is live" dmsetup load primary \
	--table "$(primary_table $other /dev/mapper/local /dev/mapper/replica $region)"
dmsetup remove stranger
dm_log > /dev/null
fails "that is not" dmsetup load primary \
	--table "$(primary_table $other /dev/mapper/local /dev/mapper/replica $region)"
like "$(dm_log)" "it has metadata already, and only a new device can take the place of one that has failed; zero its first 4 KiB" \
	"with what to do"

diag "go on without it"
lost
ok "abandon_metadata" message primary abandon_metadata
status_is "running insync 0/128 abandoned metadata-io" "the status"
ok "a write to the region of the one that failed" fill $primary 0x15 2M 4k
ok "and to others" fill $primary 0x16 5M 512k
ok "once more" message primary abandon_metadata
fails "a stop is not recorded, so it is refused" message primary stop
differ 3M
crash
begin
copied 128 "at the next start everything is copied"
status_is "running insync 0/128 rw -" "it is recorded again"
differ 4M
reboot
begin
copied '[1-9]' "and is believed again"

diag "the device works again"
lost
ok "abandon_metadata" message primary abandon_metadata
dm_linear meta /dev/ram2
ok "it is told that it knows nothing" wait_for 20 mode_is off
ok "a write" fill $primary 0x16 5M 512k
differ 3M
reboot
begin
copied 128 "it says so after a reboot"

diag "or only when the primary is removed"
lost
ok "abandon_metadata" message primary abandon_metadata
ok "a write" fill $primary 0x16 5M 512k
differ 3M
dmsetup suspend primary
dm_linear meta /dev/ram2
dmsetup remove primary
devices
rmmod dm_replication && insmod "$REPL_MODULE"
begin
copied 128 "it has been told then"

diag "but not while it is suspended"
lost
dm_delay meta /dev/ram2 3000 0
bios_begin
ok "abandon_metadata" message primary abandon_metadata
looked_at() {
	bios meta | grep -q ' R '
}
ok "the device is read first" wait_for 20 looked_at
dmsetup suspend primary
sleep 5
is "$(bios meta | grep ' W ')" "" "nothing is written while the primary is suspended"
dmsetup resume primary
ok "the device is told after that" wait_for 60 mode_is off

diag "a reload after that"
lost
ok "abandon_metadata" message primary abandon_metadata
ok "a write" fill $primary 0x16 5M 512k
reload $meta
is "$(mode)" abandoned "a device that still fails does not change anything"
ok "a write" fill $primary 0x17 6M 64k
reload $other
is "$(mode)" rw "another device is in use"
ok "a write" fill $primary 0x18 6656k 64k
differ 3M
reboot
META=$other begin
copied '[0-9]{1,2}' "after a crash it knows what differs"

diag "a device that does not answer"
lost
dmsetup remove primary
devices
fill /dev/ram2 0 0 4k
begin insync
dmsetup suspend meta
pattern write $primary 0x19 2M 4k & writer=$!
sleep 2
ok "a write waits" kill -0 $writer
ok "abandon_metadata" message primary abandon_metadata
ok "it goes on" wait $writer
is "$(mode)" abandoned "the status"
ok "others do not wait" fill $primary 0x1a 5M 512k
reload $other & reload=$!
ok "another device takes its place" wait_for 20 mode_is rw
ok "a write" fill $primary 0x1b 6M 64k
dmsetup resume meta
ok "the reload ends when the one before answers" wait $reload
differ 3M
reboot
META=$other begin
copied '[0-9]{1,2}' "after a crash it knows what differs"

diag "a device that has failed, and does not answer by the time of the reload"
lost_and_hung
dm_log > /dev/null
reload $other & reload=$!
ok "another device takes its place" wait_for 20 mode_is rw
like "$(dm_log)" "cannot be told that it is out of date" "the log says what to do with the one before"
ok "a write" fill $primary 0x1b 6M 64k
dmsetup resume meta
ok "the reload ends when the one before answers" wait $reload
differ 3M
crash
META=$other begin
copied '[0-9]{1,2}' "after a crash it knows what differs"
dmsetup remove primary
begin
copied 128 "the one before is not believed"

diag "the same, and it is to stay"
dm_linear spare /dev/ram5
fill /dev/ram5 0x99
lost_and_hung
dm_log > /dev/null
dm_table primary "$(primary_table $meta /dev/mapper/local /dev/mapper/spare $region)" & reload=$!
ok "the reload ends, although the device does not answer" wait_for 30 ended $reload
like "$(dm_log)" "cannot take over: it does not answer" "the log says so"
is "$(mode)" fail "the mode stays"
eio "a write fails" pattern write $primary 0x14 2M 4k
ok "abandon_metadata" message primary abandon_metadata
ok "then writes go on" fill $primary 0x16 5M 512k
dm_table primary "$(primary_table $meta /dev/mapper/local /dev/mapper/spare $region)" & reload=$!
ok "another reload ends too" wait_for 30 ended $reload
is "$(mode)" abandoned "the mode stays"
dmsetup resume meta
ok "the device answers, and is told that it knows nothing" wait_for 100 mode_is off
dm_table primary "$(primary_table $meta /dev/mapper/local /dev/mapper/spare $region)"
is "$(mode)" rw "a reload repairs it now"
ok "in sync" wait_for 30 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram5

diag "under load"
# load: a byte of its own each time, all over the device; what fails, fails.
load() {
	local i
	for ((i = 1; ; i++)); do
		pattern write $primary $((i % 255)) $((RANDOM % 128 * 64))k 4k
	done > /dev/null 2>&1
}
lost
load & load=$!
sleep 1
ok "abandon_metadata" message primary abandon_metadata
sleep 1
reload $other
is "$(mode)" rw "another device is in use"
sleep 1
dm_error replica
sleep 1
kill $load
wait $load
reboot
META=$other begin
copied '[0-9]+' "what differs is copied after a crash"
dmsetup remove primary
META=$other begin
status_is "running insync 0/128 rw -" "all is recorded"
load & load=$!
dm_error_writes other /dev/ram3
sleep 1
reload $meta
is "$(mode)" fail "one that is known does not take over"
fill /dev/ram2 0 0 4k
reload $meta
is "$(mode)" rw "one that is new does"
sleep 1
dm_error replica
sleep 1
kill $load
wait $load
reboot
begin
copied '[0-9]+' "what differs is copied after a crash"

diag "a replica that is swapped by the same reload"
lost
dm_linear spare /dev/ram5
fill /dev/ram5 0x99
dm_table primary "$(primary_table $other /dev/mapper/local /dev/mapper/spare $region)"
ok "in sync" wait_for 30 sync_is primary insync
is "$(mode)" rw "the metadata is in use"
ok "the legs are equal" equal /dev/ram0 /dev/ram5
dmsetup remove primary

diag "another replica while it fails"
lost
dm_linear spare /dev/ram5
fill /dev/ram5 0x99
dm_log > /dev/null
dm_table primary "$(primary_table $meta /dev/mapper/local /dev/mapper/spare $region)"
like "$(dm_log)" "metadata device cannot be told of the new replica: .*zero its first 4 KiB" \
	"the log says what to do"
ok "in sync" wait_for 30 sync_is primary insync
dmsetup remove primary
dm_linear meta /dev/ram2
fill /dev/ram5 0x99
dm_log > /dev/null
primary_create primary /dev/mapper/local /dev/mapper/spare $region
copied 128 "the device is not believed at the next start" /dev/ram5
dmsetup remove primary

diag "another target while it fails"
lost
dm_log > /dev/null
dm_table primary "0 16384 linear /dev/mapper/local 0"
like "$(dm_log)" "metadata device cannot be told of the other target: .*zero its first 4 KiB" \
	"the log says what to do"
ok "a write" fill $primary 0x44 5M 1M
dm_linear meta /dev/ram2
begin
copied 128 "the device is not believed by the next primary"

diag "another replica, and then a reload that repairs"
lost
dm_table primary "$(primary_table $meta /dev/mapper/local /dev/mapper/spare $region)"
dm_linear meta /dev/ram2
dm_table primary "$(primary_table $meta /dev/mapper/local /dev/mapper/spare $region)"
ok "in sync" wait_for 30 sync_is primary insync
dmsetup suspend primary
dmsetup resume primary
dmsetup remove primary
primary_create primary /dev/mapper/local /dev/mapper/spare $region
status_is "running insync 0/128 rw -" "the device is believed again"
dmsetup remove primary

diag "a start that could not be recorded"
fill /dev/ram2 0 0 4k
dm_error_writes meta /dev/ram2
begin manual_start
fails "start" message primary start
status_is "none - 0/128 fail metadata-io" "the status"
fails "abandon_metadata is for stage running" message primary abandon_metadata
dm_linear meta /dev/ram2
ok "a reload" reload $meta
ok "in sync" wait_for 30 sync_is primary insync
status_is "running insync 0/128 rw -" "starts it"
dmsetup suspend primary
dmsetup resume primary
differ 3M
reboot
begin
copied '[1-9]' "and it is recorded"
dmsetup remove primary

diag "a start that fails once it is recorded"
fill /dev/ram2 0 0 4k
dm_delay slow /dev/ram2 0 5000
dm_linear meta /dev/mapper/slow
begin manual_start insync
bios_begin
message primary start & start=$!
# The superblock is written after the maps are zeroed, and before they say what is clean.
superblock() {
	bios meta | grep -q ' W 0+8$'
}
ok "the start is recorded" wait_for 60 superblock
dm_error_writes meta /dev/ram2
ok "start" wait $start
status_is "running insync 0/128 fail metadata-io" "the status has the error"
dmsetup remove primary
dm_linear meta /dev/ram2
dmsetup remove slow

diag "without metadata"
META=- begin insync
fails "there is nothing to abandon" message primary abandon_metadata

diag "a device that does not answer when another primary is made"
fill /dev/ram3 0 0 4k
dmsetup suspend --nolockfs other
META=$other primary_create two /dev/ram4 /dev/ram5 $region insync & two=$!
made() {
	[ -n "$(dm_column two name)" ]
}
wait_for 20 made
sleep 1
ok "that one waits" kill -0 $two
dmsetup remove primary & remove=$!
ok "another primary can be removed" wait_for 10 ended $remove
META=- begin insync & create=$!
ok "and made" wait_for 10 ended $create
META=- fails "the devices are taken" primary_create three /dev/ram5 /dev/ram2 $region
dmsetup resume other
ok "it is made when the device answers" wait $two
dmsetup remove two
done_testing
