#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# Rules 2 and 10: each device failing in turn. A failed copy to hidden fails the
# ingress write and leaves the secondary unmodified. Each kind of error is recorded,
# logged and raises an event, and the worst is seen; it stays until stop or clear_error. What does not need the failed
# device goes on.
. tests/lib.sh

chunk=128

write_fails() {
	! dd if=/dev/zero of="/dev/mapper/$1" bs="$2" seek="$3" count=1 oflag=direct 2> /dev/null
}

read_fails() {
	! dd if="/dev/mapper/$1" of=/dev/null bs="$2" skip="$3" count=1 iflag=direct 2> /dev/null
}

setup() {
	local i
	fill /dev/ram2 0x11
	for i in 0 1 2; do dm_linear leg$i /dev/ram$i; done
	secondary_create view /dev/mapper/leg0 /dev/mapper/leg1 /dev/mapper/leg2 $chunk
	ingress_create in view
	fill /dev/mapper/in 0x22 0 1M
	fill /dev/mapper/view 0x33 512k 1M
	dmesg_since > /dev/null
	events=$(dmsetup info -c --noheadings -o events view)
}

recorded() {
	is "$(status_field view 9)" "$1" "$1 is recorded"
	is "$(message view get_error)" "I/O error occurred $1" "and told"
	like "$(dmesg_since)" "I/O error: $1" "and logged"
	# shellcheck disable=SC2016 # for eval
ok "and raises an event" wait_for 5 bash -c \
		"[ \$(dmsetup info -c --noheadings -o events view) -gt $events ]"
}

ramdisks 3 16

# hidden cannot be written
setup
dm_error_writes leg1 /dev/ram1
ok "ingress, first touch: fails" write_fails in 4k 1024
ok "and leaves the secondary as it was" verify /dev/ram2 0x11 4M 4k
recorded cow-io
ok "ingress, saved chunks: goes on" fill /dev/mapper/in 0x23 0 1M
ok "the view still shows the old" verify /dev/mapper/view 0x11 0 512k
is "$(status_field view 6)" "16/256" "no chunk was counted as saved"
ok "a large write that fails" write_fails in 1M 4
ok "leaves all of it as it was" verify /dev/ram2 0x11 4M 1M
dm_linear leg1 /dev/ram1
ok "after the repair it goes through" fill /dev/mapper/in 0x24 4M 4k
ok "and the view shows the old" verify /dev/mapper/view 0x11 4M 64k
is "$(status_field view 9)" cow-io "the error stays"
ok "checkpoint" message view checkpoint
is "$(status_field view 9)" cow-io "also over a checkpoint"
ok "which shows the primary's" verify /dev/mapper/view 0x24 4M 4k

diag "a worse error, and an operator's word"
dmesg_since > /dev/null
events=$(dm_column view events)
dm_error_writes leg0 /dev/ram0
ok "the view cannot be written" write_fails view 64k 64
recorded active-io
dm_linear leg0 /dev/ram0
dm_error_writes leg1 /dev/ram1
ok "nor can the ingress" write_fails in 4k 1024
is "$(status_field view 9)" active-io "the worse error is seen"
is "$(message view get_error)" "I/O error occurred active-io; latest: cow-io" "get_error has both"
dm_linear leg1 /dev/ram1
events=$(dm_column view events)
ok "clear_error" message view clear_error
is "$(status_field view 9)" - "clears them"
is "$(message view get_error)" none "get_error has none"
# shellcheck disable=SC2016 # for eval
ok "and raises an event" wait_for 5 eval '[ "$(dm_column view events)" -gt $events ]'
dm_error_writes leg1 /dev/ram1
ok "a later error" write_fails in 4k 1024
recorded cow-io
dm_linear leg1 /dev/ram1
ok "stop" message view stop
is "$(status_field view 9)" "-" "and ends it"
dm_remove_all

# hidden cannot be read
setup
dm_error leg1
ok "view, chunk of hidden: a read fails" read_fails view 4k 0
recorded hidden-io
ok "a write to part of it fails" write_fails view 4k 1
ok "chunks of active are read" verify /dev/mapper/view 0x33 512k 1M
ok "others, too" verify /dev/mapper/view 0x11 2M 1M
ok "checkpoint empties hidden" message view checkpoint
ok "and all is read again" verify /dev/mapper/view 0x22 0 1M
dm_remove_all

# active cannot be written
setup
dm_error_writes leg0 /dev/ram0
ok "view, first touch of a whole chunk: fails" write_fails view 64k 64
recorded active-io
ok "its content is as before" verify /dev/mapper/view 0x11 4M 64k
ok "view, part of a chunk: fails" write_fails view 4k 1024
ok "its content is as before" verify /dev/mapper/view 0x11 4M 64k
is "$(status_field view 5)" "16/256" "no chunk was counted"
ok "the ingress goes on" fill /dev/mapper/in 0x25 8M 1M
ok "and the view shows the old" verify /dev/mapper/view 0x11 8M 1M
dm_linear leg0 /dev/ram0
ok "after the repair a write goes through" fill /dev/mapper/view 0x34 4M 4k
ok "and the rest of its chunk is filled" verify /dev/mapper/view 0x11 4100k 60k
dm_remove_all

# active cannot be read: its chunks cannot be merged
setup
dm_error leg0
ok "view, chunk of active: a read fails" read_fails view 4k 128
recorded active-io
message view failover
ok "failover fails" wait_for 20 stage_is view failover-failed
is "$(status_field view 9)" merge-io "for the merge"
ok "ingress is fenced" write_fails in 4k 0
dm_linear leg0 /dev/ram0
message view failover
ok "after the repair it is done" wait_for 20 stage_is view "done"
ok "with the view's writes" verify /dev/ram2 0x33 512k 1M
ok "and the old content" verify /dev/ram2 0x11 0 512k
dm_remove_all

# the secondary cannot be written
setup
dm_error_writes leg2 /dev/ram2
ok "ingress: fails" write_fails in 4k 1024
recorded secondary-io
ok "the view shows the old content" verify /dev/mapper/view 0x11 4M 64k
ok "the view is written" fill /dev/mapper/view 0x35 4M 4k
dm_remove_all

# the secondary cannot be read, or flushed
setup
dm_error leg2
ok "view: a read below fails" read_fails view 4k 1024
recorded secondary-io
ok "ingress, first touch: fails" write_fails in 4k 2048
ok "view, part of a chunk: fails" write_fails view 4k 2048
ok "view, a whole chunk: goes on" fill /dev/mapper/view 0x36 8M 64k
ok "what active holds is read" verify /dev/mapper/view 0x36 8M 64k
ok "what hidden holds is read" verify /dev/mapper/view 0x11 0 512k
dm_remove_all

# a suspended device fails readahead, which is no error of its own
setup
dmsetup suspend --nolockfs leg2
cat /dev/mapper/view > /dev/null &
reader=$!
sleep 1
dmsetup resume leg2
ok "a reader of a view over a suspended secondary" wait $reader
is "$(status_field view 9)" "-" "finds no error"
dm_remove_all

# a checkpoint fails where the secondary cannot be flushed, and throws nothing away
modprobe loop
truncate -s 16M "$scratch/disk"
disk=$(losetup --find --show "$scratch/disk")
dm_linear leg0 /dev/ram0
dm_linear leg1 /dev/ram1
dm_linear leg2 "$disk"
secondary_create view /dev/mapper/leg0 /dev/mapper/leg1 /dev/mapper/leg2 $chunk
fill /dev/mapper/view 0x37 0 1M
exec {view}<> /dev/mapper/view
printf buffered >&"$view"
epoch=$(status_field view 3)
dmesg_since > /dev/null
dm_error_writes leg2 "$disk"
ok "checkpoint fails" bash -c '! dmsetup message view 0 checkpoint 2> /dev/null'
like "$(dmesg_since)" "message 'checkpoint' in stage running: the secondary could not be flushed" \
	"and says why"
is "$(stage view) $(status_field view 3)" "running $epoch" "nothing has changed"
is "$(head -c 8 /dev/mapper/view)" buffered "a buffered write is not lost"
sync "/proc/self/fd/$view"
is "$(dd if=/dev/mapper/view bs=4k count=1 iflag=direct status=none | head -c 8)" buffered \
	"nor is it kept from its way to the device"
dm_linear leg2 "$disk"
ok "after the repair it succeeds" message view checkpoint
is "$(head -c 8 /dev/mapper/view | tr -d '\0')" "" "and throws the write away"
exec {view}>&-
dm_remove_all
losetup --detach "$disk"
done_testing
