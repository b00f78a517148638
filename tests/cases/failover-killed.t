#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# waits: yes
# timeout: 300
#
# A failover fences the ingress at once, whatever hangs, and writes nothing of the merge
# before the metadata device has the stage. A kill ends each wait: that of the message for
# the metadata device or for another message, and that of a removal for the merge.
. tests/lib.sh

view=/dev/mapper/view in=/dev/mapper/in meta=/dev/mapper/meta

# ends SECONDS PID: the process does, however
ends() {
	wait_for "$1" eval "! kill -0 $2 2> /dev/null"
}

# waits_in PID FUNCTION: of the module, or of the kernel
waits_in() {
	grep -q "$2" "/proc/$1/stack"
}

# begin: a message, whose process is $message
begin() {
	dmsetup message view 0 "$1" 2> "$scratch/error" &
	message=$!
}

ramdisks 4 16
dm_linear meta /dev/ram3
fill /dev/ram2 0x11
META=$meta rig 8
fill $in 0x22 0 1M
fill $view 0x33 512k 1M
sync $view

diag "the metadata device hangs"
dmsetup suspend --nolockfs meta
pattern write $in 0x44 2M 4k 2> /dev/null &
writer=$!
ok "a write of the ingress waits for its commit" wait_for 20 waits_in $writer blkdev
begin failover
ok "a failover waits for it" wait_for 20 waits_in $message repl_commit_failover
eio "the ingress is fenced" timeout 20 pattern write $in 0x55 0 4k
eio "for reads too" timeout 20 pattern verify $in 0x22 0 4k
like "$(dmsetup status in)" " ingress running fenced " "its status says so"
ok "the view can be written" timeout 20 pattern write $view 0x66 3M 4k
ok "and read" timeout 20 pattern verify $view 0x33 512k 1M
is "$(message view get_error 2> /dev/null; echo "$error")" "Device or resource busy" \
	"no other message is served"
dm_log > /dev/null
kill -KILL $message
ok "a kill ends the message" ends 10 $message
like "$(dm_log)" "message 'failover' in stage running: killed before the merge began: the ingress is fenced; send failover again" \
	"the log says what is left"
is "$(stage view)" running "the stage stays"
eio "the ingress stays fenced" timeout 20 pattern write $in 0x55 0 4k
fails "no checkpoint" message view checkpoint
like "$(dm_log)" "message 'checkpoint' in stage running: a failover was interrupted: the ingress is fenced; send failover again, or stop" \
	"with the reason"
ok "nothing was merged" verify /dev/ram2 0x22 0 1M
ok "what the view has written is not on the disk" verify /dev/ram2 0x11 3M 4k

begin failover
ok "another one waits" wait_for 20 waits_in $message repl_commit_failover
dmsetup resume meta
ok "the metadata device is there again: it succeeds" wait $message
fails "the write that has waited fails" wait $writer
ok "the merge ends" wait_for 20 stage_is view "done"
content() {
	verify "$1" 0x11 0 512k && verify "$1" 0x33 512k 1M && verify "$1" 0x11 1536k 1536k &&
		verify "$1" 0x66 3M 4k && verify "$1" 0x11 3076k
}
ok "with all that the view held" content /dev/ram2
dmsetup remove in
dmsetup remove view

diag "killed, and then the power is lost"
fill /dev/ram2 0x11
fill /dev/ram3 0
META=$meta rig 8
fill $view 0x33 512k 1M
sync $view
dmsetup suspend --nolockfs meta
begin failover
wait_for 20 waits_in $message repl_commit_failover
kill -KILL $message
ok "a kill ends the message" ends 10 $message
dmsetup resume meta
dmsetup remove in
dmsetup remove view
META=$meta secondary_create view /dev/ram0 /dev/ram1 /dev/ram2 8
ok "a failover that was recorded goes on" wait_for 20 stage_is view "done"
ok "with what the view held" verify /dev/ram2 0x33 512k 1M
dmsetup remove view

diag "the end of a merge waits for the metadata device"
fill /dev/ram3 0
META=$meta rig 8
fill $view 0x33 512k 1M
dm_linear disk /dev/ram2
dmsetup remove in; dmsetup remove view
fill /dev/ram3 0
META=$meta rig 8 /dev/mapper/disk
fill $view 0x33 512k 1M
dmsetup suspend --nolockfs disk
message view failover
dmsetup suspend --nolockfs meta
dmsetup resume disk
merged() {
	[ "$(status_field view 7)" = 256/256 ]
}
ok "all is merged" wait_for 20 merged
begin get_error
ok "a message waits" wait_for 20 waits_in $message repl_view_message
kill -KILL $message
ok "a kill ends it" ends 10 $message
dmsetup resume meta
ok "the merge ends" wait_for 20 stage_is view "done"
dmsetup remove in
dmsetup remove view

diag "removal without metadata"
dmsetup remove disk
dmsetup remove meta
ramdisks 3 48
dm_delay disk /dev/ram2 0 1000
rig 8 /dev/mapper/disk
fill $view 0x33
message view failover
dmsetup remove in
dm_log > /dev/null
dmsetup remove view 2> /dev/null &
removal=$!
ok "a removal waits for the merge" wait_for 20 waits_in $removal repl_merge_finish
kill -KILL $removal
ok "a kill ends it" ends 10 $removal
like "$(dm_log)" "the removal was killed before the merge was done: [1-9][0-9]* of 12288 chunks are lost; copy the primary's disk to the secondary" \
	"the log says what is lost"
is "$(dm_column view name)" "" "the view is gone"
ok "its devices are free" rig 8 /dev/mapper/disk
done_testing
