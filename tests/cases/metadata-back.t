#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# waits: yes
# timeout: 300
#
# A failover goes on in memory if its metadata device fails. When that device answers again
# it gets the stage, as soon as it can; and if it comes back only after its set is gone, it
# is not believed. Nothing that was written after the failover is ever overwritten.
. tests/lib.sh

A=/dev/ram0 H=/dev/ram1 S=/dev/ram2 M=/dev/ram3
meta=/dev/mapper/meta view=/dev/mapper/view in=/dev/mapper/in

# A new set, both of whose faces have been written
running() {
	dm_linear meta $M
	fill $meta 0 0 4k
	dm_linear disk $S
	fill $S 0x11
	META=$meta rig 8 /dev/mapper/disk
	fill $view 0x22 0 1M
	fill $in 0x33 8M 1M
	sync $view
	dm_log > /dev/null
}

create() {
	META=$meta secondary_create view $A $H /dev/mapper/disk 8
}

# recorded STAGE: its number is in the superblock.
recorded() {
	[ "$(dd if=$M bs=4k count=1 iflag=direct status=none | od -An -tu4 -j52 -N4)" -eq "$1" ]
}

take_down() {
	dmsetup remove in && dmsetup remove view
}

ramdisks 4 16
number=
running
number=$(dm_column meta major):$(dm_column meta minor)

diag "back while the view is there"
ok "the device says running" recorded 1
dm_error meta
ok "a failover goes on" message view failover
ok "to its end" wait_for 20 stage_is view "done"
like "$(dm_log)" "stage failover could not be recorded: metadata device $number may still say running\..*zero the first 4 KiB of that device before its next use" \
	"the log says that it is not recorded, and what to do"
is "$(status_field view 8)" fail "the status says that the device has failed"
dm_linear meta $M
ok "once the device answers it gets stage done" wait_for 20 recorded 4
like "$(dm_log)" "stage done is recorded now: metadata device $number is up to date" "the log says so"
is "$(status_field view 8)" rw "and so does the status"
fill $view 0x99
take_down
create
is "$(stage view) $(status_field view 8)" "done rw" "the next start knows of the failover"
ok "what was written after it is there" verify $view 0x99
dmsetup remove view

diag "back just before the removal"
running
dm_error meta
message view failover
wait_for 20 stage_is view "done"
dmsetup suspend view
dm_linear meta $M
fill $S 0x99
take_down
ok "the removal records stage done" recorded 4

diag "back when the set is gone"
running
dm_error meta
message view failover
wait_for 20 stage_is view "done"
fill $view 0x99
take_down
dm_linear meta $M
ok "the device still says running" recorded 1
dm_log > /dev/null
fails "it is refused" create
like "$(dm_log)" "Metadata device $number: it says stage running, but its set went on to stage done after this device had failed: the secondary alone has the newest data; to make a new set of it, zero the first 4 KiB of this device" \
	"with what to do"
[ -z "$(dm_column view name)" ] || dmsetup remove view
ok "what was written after the failover is on the disk" verify $S 0x99
fill $meta 0 0 4k
ok "a new set is made of it" create
ok "and has that" verify $view 0x99
dmsetup remove view

diag "back when the set is gone, and the merge had failed"
running
dm_error meta
dm_error_writes disk $S
message view failover
ok "the merge fails" wait_for 20 stage_is view failover-failed
take_down
dm_linear meta $M
dm_linear disk $S
create && ingress_create in view
is "$(stage view)" failover-failed "the set is in stage failover-failed"
eio "its ingress is fenced" pattern write $in 0x55 0 4k
ok "that is recorded" wait_for 20 recorded 3
ok "the view has what it held" eval "verify $view 0x22 0 1M && verify $view 0x11 1M"
message view failover
ok "a failover ends" wait_for 20 stage_is view "done"
ok "the disk has it all" eval "verify $S 0x22 0 1M && verify $S 0x11 1M"
ok "and the device says so" recorded 4
take_down
create
is "$(stage view)" "done" "after the next start, too"
dmsetup remove view

diag "a suspended view"
running
dm_error_writes disk $S
bios_begin
dmsetup suspend view
echo > "$tracing/trace"
eio "a write of the ingress fails" pattern write $in 0x55 8M 4k
is "$(status_field view 9)" secondary-io "which is an error of the set"
message view get_error > /dev/null
is "$(bios meta)" "" "nothing is written to the metadata device"
dmsetup resume view
errors() {
	[ "$(dd if=$M bs=4k count=1 iflag=direct status=none | od -An -tu4 -j56 -N4)" -eq "$1" ]
}
ok "the error is recorded when it is resumed" wait_for 20 errors 4
take_down

diag "a device that fails at the start, and is repaired"
dm_linear meta $M
dm_linear disk $S
fill $meta 0 0 4k
dm_error_writes meta $M
dm_log > /dev/null
create
like "$(dm_log)" "not started, so all its I/O fails: metadata device $number cannot be written; repair it, then send the message start" \
	"the log says what to do"
is "$(stage view) $(status_field view 8) $(status_field view 9)" "none fail metadata-io" "so does the status"
dm_linear meta $M
ok "the message start" message view start
is "$(stage view) $(status_field view 8) $(status_field view 9)" "running rw -" "starts it"
dmsetup remove view
done_testing
