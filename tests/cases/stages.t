#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kmemleak: yes
# timeout: 600
#
# "Messages", "Stages and I/O", "Status": every message in every stage, with its
# result, its reply and what the log says; I/O, status and events in each.
. tests/lib.sh

A=/dev/ram0 H=/dev/ram1 raw=/dev/ram2 disk=/dev/mapper/disk
view=/dev/mapper/view ingress=/dev/mapper/in

# Stage changes, and the errors of messages, since the last time.
log() {
	local line lines=''
	while read -r line; do
		lines+="; ${line#replication: "$number": }"
	done < <(dm_log)
	echo "${lines#; }"
}

# says EXPECTED WORD: what the message is answered by dmsetup, and in the log
says() {
	local result=success
	capture dmsetup message view 0 "$2" || result=$(sed -n 's/.*failed: //p;q' <<< "$output")
	[ "$result" != success ] || result+=${output:+ ($output)}
	is "$result; $(log)" "$1" "message $2"
}

# refuses STAGE WORDS MESSAGE
refuses() {
	says "Invalid argument; message '$3' in stage $1: $2" "$3"
}

# status_is STAGE open|fenced FIELDS: the status of both faces
status_is() {
	is "$(dmsetup status view)" "0 8192 replication secondary $1 $3" "status of the view"
	is "$(dmsetup status in)" "0 8192 replication ingress $1 $2 $number" "status of the ingress"
}

events() {
	dm_column "$1" events
}

# events_are N M: of the view and the ingress
events_are() {
	[ "$(events view) $(events in)" = "$1 $2" ]
}

# set_up [OPTION...]: 16 chunks in active, then 16 in hidden, if it is started
set_up() {
	fill $raw 0x11
	secondary_create view $A $H $disk 8 "$@"
	ingress_create in view
	[ $# -gt 0 ] || write_both
	log > /dev/null
}

write_both() {
	fill $view 0x33 0 64k
	fill $ingress 0x22 64k 64k
}

take_down() {
	dmsetup remove in && dmsetup remove view
}

ingress_is_fenced() {
	eio "ingress: write" pattern write $ingress 0x99 0 64k
	eio "ingress: read" pattern verify $ingress 0x11 0 64k
}

not_running='Block replication is not running'
running_or_done='Block replication is running or done'
cancelled='Backup job was cancelled unexpectedly'

ramdisks 3 4
dm_linear disk $raw
# The view is the next one.
number=$(dm_column disk major):$(($(dm_column disk minor) + 1))

diag "none"
set_up manual_start
status_is none fenced "0 8 0/1024 0/1024 0/0 - -"
refuses none "$cancelled" checkpoint
refuses none "$not_running" failover
refuses none "$not_running" stop
refuses none "$not_running" get_error
eio "view: write" pattern write $view 0x99 0 64k
eio "view: read" pattern verify $view 0x11 0 64k
ingress_is_fenced
ok "nothing was written" verify $raw 0x11
says "success; stage running, was none" start

diag "running"
status_is running open "1 8 0/1024 0/1024 0/0 - -"
refuses running "$running_or_done" start
says "success (none); " get_error
write_both
ok "view: what it wrote" verify $view 0x33 0 64k
ok "view: what was saved in hidden" verify $view 0x11 64k 64k
ok "ingress: read" verify $ingress 0x22 64k 64k
status_is running open "1 8 16/1024 16/1024 0/0 - -"
says "success; " checkpoint
status_is running open "2 8 0/1024 0/1024 0/0 - -"
write_both

diag "failover"
dmsetup suspend disk
says "success; stage failover, was running" failover
status_is failover fenced "2 8 16/1024 16/1024 0/32 - -"
says "success; " start
says "success; " checkpoint
says "success; " failover
says "success; " stop
says "success (none); " get_error
ingress_is_fenced
ok "view: what it wrote" verify $view 0x33 0 64k
ok "view: what was saved in hidden" verify $view 0x22 64k 64k
fill $view 0x44 32k 4k & # to active, hidden and neither: waits as long as it has to
fill $view 0x55 96k 4k &
fill $view 0x66 1M 4k &
status_is failover fenced "2 8 16/1024 16/1024 0/32 - -"
dmsetup resume disk
wait
ok "all is merged" wait_for 20 stage_is view "done"
is "$(log)" "stage done, was failover" "and logged"

diag "done, after failover"
status_is "done" fenced "2 8 0/1024 0/1024 32/32 - -"
says "success; " start
says "success; " checkpoint
says "success; " failover
says "success; " stop
says "success (none); " get_error
ingress_is_fenced
for device in $view $raw; do
	ok "$device: what active held" verify "$device" 0x33 0 32k
	ok "$device: what was written meanwhile there" verify "$device" 0x44 32k 4k
	ok "$device: what active held" verify "$device" 0x33 36k 28k
	ok "$device: what hidden held" verify "$device" 0x22 64k 32k
	ok "$device: what was written meanwhile there" verify "$device" 0x55 96k 4k
	ok "$device: what hidden held" verify "$device" 0x22 100k 28k
	ok "$device: what was written meanwhile elsewhere" verify "$device" 0x66 1M 4k
	ok "$device: the rest" verify "$device" 0x11 128k 896k
	ok "$device: the rest" verify "$device" 0x11 1028k
done
fill $view 0x77
ok "a write to the view reaches the disk" verify $raw 0x77
take_down

diag "done, after stop"
set_up
says "success; stage done, was running" stop
status_is "done" fenced "2 8 0/1024 0/1024 0/0 - -"
says "success; " start
says "success; " checkpoint
says "success; " failover
says "success; " stop
says "success (none); " get_error
ingress_is_fenced
ok "view: what it wrote is gone" verify $view 0x11 0 64k
ok "view: what the primary wrote" verify $view 0x22 64k 64k
fill $view 0x77
ok "a write to the view reaches the disk" verify $raw 0x77
take_down

diag "failover-failed"
set_up
dm_error disk
message view failover
ok "the merge fails" wait_for 20 stage_is view failover-failed
failed='I/O error: merge-io; stage failover-failed, was failover'
is "$(log)" "stage failover, was running; $failed" "and that is logged"
status_is failover-failed fenced "1 8 16/1024 16/1024 0/32 - merge-io"
refuses failover-failed "$running_or_done" start
refuses failover-failed "$cancelled" checkpoint
refuses failover-failed "$not_running" stop
says "success (I/O error occurred merge-io); " get_error
ingress_is_fenced
ok "view: what it wrote" verify $view 0x33 0 64k
ok "view: what was saved in hidden" verify $view 0x11 64k 64k
eio "view: read from the secondary" pattern verify $view 0x11 1M 4k
eio "view: write to the secondary" pattern write $view 0x99 1M 4k
ok "view: write to a chunk in active" fill $view 0x44 0 4k
ok "view: write to a chunk in hidden" fill $view 0x55 64k 4k
ok "view: write to a part of one" fill $view 0x66 68k 512
is "$(log)" "I/O error: secondary-io" "and what the view met since is logged"
status_is failover-failed fenced "1 8 18/1024 16/1024 0/32 - merge-io"
message view failover
wait_for 20 stage_is view failover-failed
is "$(log)" "stage failover, was failover-failed; $failed" "another attempt fails too"
dm_linear disk $raw
message view failover
ok "the next one succeeds" wait_for 20 stage_is view "done"
is "$(log)" "stage failover, was failover-failed; stage done, was failover" "and that is logged"
status_is "done" fenced "1 8 0/1024 0/1024 32/32 - -"
says "success (none); " get_error
ok "disk: the write to a chunk in active" verify $raw 0x44 0 4k
ok "disk: the rest of active" verify $raw 0x33 4k 60k
ok "disk: the write to a chunk in hidden" verify $raw 0x55 64k 4k
ok "disk: the write to a part of one" verify $raw 0x66 68k 512
ok "disk: the rest of hidden, and all else" verify $raw 0x11 70144
take_down

diag "two messages at once"
set_up
dmsetup suspend disk
verify $view 0x11 1M 4k > "$scratch/old" &
old=$!
in_flight() {
	[ "$(awk '{ print $1 }' "/sys/dev/block/$number/inflight")" != 0 ]
}
ok "a read of the view waits for the secondary" wait_for 20 in_flight
dmsetup message view 0 checkpoint & # waits for the read
checkpoint=$!
waits() {
	grep -q dm_replication "/proc/$checkpoint/stack"
}
ok "so does a checkpoint" wait_for 20 waits
verify $view 0x22 64k 64k > "$scratch/new" & # waits for the checkpoint
new=$!
log > /dev/null
for word in start checkpoint failover stop get_error; do
	says "Device or resource busy; message '$word' in stage running: another message is being served" $word
done
status_is running open "1 8 16/1024 16/1024 0/0 - -"
dmsetup resume disk
ok "the checkpoint succeeds" wait $checkpoint
ok "the read before it shows the old content" wait $old
ok "the read after it shows the new content" wait $new
status_is running open "2 8 0/1024 0/1024 0/0 - -"
says "success (none); " get_error

diag "messages to a suspended view"
write_both
dmsetup suspend view
says "success (none); " get_error
refuses running "$running_or_done" start
says "success; " checkpoint
says "success; stage failover, was running" failover
dmsetup resume view
ok "the merge ends after its resume" wait_for 20 stage_is view "done"
take_down

diag "events"
set_up
nr=$(events view) ingress_nr=$(events in)
dmsetup suspend disk
message view failover
ok "one for the failover" wait_for 20 events_are $((nr + 1)) $((ingress_nr + 1))
timeout 20 dmsetup wait view $((nr + 1)) &
view_wait=$!
timeout 20 dmsetup wait in $((ingress_nr + 1)) &
in_wait=$!
dmsetup resume disk
ok "dmsetup wait on the view ends" wait $view_wait
is "$(stage view)" "done" "in stage done"
ok "dmsetup wait on the ingress ends" wait $in_wait
is "$(stage in)" "done" "in stage done"
ok "there was one more" events_are $((nr + 2)) $((ingress_nr + 2))
message view checkpoint
is "$(events view) $(events in)" "$((nr + 2)) $((ingress_nr + 2))" "none for a checkpoint that does nothing"
take_down
set_up
nr=$(events view) ingress_nr=$(events in)
message view checkpoint
ok "one for a checkpoint" wait_for 20 events_are $((nr + 1)) $((ingress_nr + 1))
message view stop
ok "one for a stop" wait_for 20 events_are $((nr + 2)) $((ingress_nr + 2))
take_down

diag "dmsetup table"
for option in '' manual_start; do
	# shellcheck disable=SC2086 # none or one
	set_up $option
	view_table=$(dmsetup table view) in_table=$(dmsetup table in)
	is "$view_table" "0 8192 replication secondary - 1:0 1:1 $(dm_column disk major,minor) 8${option:+ 1 $option}" \
		"view"
	is "$in_table" "0 8192 replication ingress $number" "ingress"
	take_down
	ok "a view from what it says" dmsetup create view --table "$view_table"
	ok "an ingress from what it says" dmsetup create in --table "$in_table"
	is "$(dmsetup table view); $(dmsetup table in)" "$view_table; $in_table" "which say the same"
	take_down
done

diag "a top that was given another kind of table"
set_up
dm_linear view $raw
is "$(dmsetup status in)" "0 8192 replication ingress none fenced $number" "status of the ingress"
ingress_is_fenced
ok "the former top reads the disk" verify $view 0x22 64k 64k
take_down

done_testing
