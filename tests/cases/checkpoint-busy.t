#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# A checkpoint of a view that others read and write through its page cache at the same
# time. Rule 8: it ends, however busy they are, and so does a suspend that comes
# meanwhile. Rule 5: what is written after its event, and synced, is there. Rule 6: of
# what was written before it, nothing comes back.
. tests/lib.sh

view=/dev/mapper/view ingress=/dev/mapper/in slow=/dev/mapper/slow

# Dirty pages stay in the cache until somebody asks for them to be written.
echo 60000 > /proc/sys/vm/dirty_writeback_centisecs
echo 60000 > /proc/sys/vm/dirty_expire_centisecs

# has_ended PID
has_ended() {
	! kill -0 "$1" 2> /dev/null
}

# ends DESCRIPTION SECONDS PID: it does, within that time, and successfully.
ends() {
	if wait_for "$2" has_ended "$3"; then
		ok "$1" wait "$3"
	else
		fail "$1"
		diag "still waits: $(head -n 5 "/proc/$3/stack" | tr -d '\n')"
		kill "$3"
		wait "$3"
	fi
}

read_again_and_again() {
	while :; do
		dd if=$view of=/dev/null bs=64k status=none
	done
}

# start N COMMAND...: N of them at the same time, until stop
start() {
	local i
	pids=()
	for ((i = 0; i < $1; i++)); do
		"${@:2}" &
		pids+=($!)
	done
}

stop() {
	kill -CONT "${pids[@]}"
	kill "${pids[@]}"
	wait "${pids[@]}" 2> /dev/null
	wait_for 60 is_left
}

# Only the ingress has the view open: a reader's last dd is over, too.
is_left() {
	[ "$(dm_column view open)" = 1 ]
}

# checkpoint_begin: sends the message, and returns with the gates closed, where the
# superblock is written.
checkpoint_begin() {
	dm_delay meta /dev/ram3 0 $((1000 * REPL_PATIENCE))
	bios_begin
	dmsetup message view 0 checkpoint &
	message=$!
	ok "the gates are closed" wait_for 20 sent meta
}

# sent NAME: something has been written to that device.
sent() {
	bios "$1" | grep -q W
}

diag "what is written after the event, beside eight readers of a slow disk"
ramdisks 4 64
fill /dev/ram0 0xaa; fill /dev/ram1 0xbb; fill /dev/ram2 0x11
dm_delay slow /dev/ram2 200 0
dm_linear meta /dev/ram3
dm_linear active /dev/ram0
META=/dev/mapper/meta secondary_create view /dev/mapper/active /dev/ram1 $slow 8
ingress_create in view
cat > "$scratch/write.py" << 'END'
import os, time
fd = os.open("/dev/mapper/view", os.O_RDWR)
for n in range(6):
	os.pwrite(fd, b"\x77" * 65536, n * 65536)
	time.sleep(0.5)
	if n < 4:
		os.fsync(fd)
END
events=$(dm_column view events)
dmsetup wait view "$events" &
event=$!
checkpoint_begin
start 8 read_again_and_again
ends "there is an event" 10 $event
is "$(status_field view 3)" 2 "and the epoch is the next one"
ok "writes" python3 "$scratch/write.py"
ends "the message" 10 $message
dm_linear meta /dev/ram3
is "$(dd if=$view bs=64k count=6 status=none | tr -d '\167' | wc -c)" 0 "all that was written is there"
ok "what was synced is on the device" verify $view 0x77 0 256k

diag "a suspend that comes while the checkpoint is made"
sleep 2
dmsetup message view 0 checkpoint &
message=$!
sleep 0.5
dmsetup suspend --nolockfs view &
suspend=$!
ends "the suspend" 20 $suspend
ends "the message" 20 $message
ok "resume" dmsetup resume view
ok "checkpoint" message view checkpoint
is "$(status_field view 3)" 4 "both were made"
stop

# Pages of the view are being written. A sync also sends a flush, when that is over.
is_written_back() {
	bios view | grep -q ' W '
}

# in_kernel PID FUNCTION: the process is in that function of the kernel's.
in_kernel() {
	grep -qs "$2" "/proc/$1/stack"
}

diag "a sync while the checkpoint is made is of what was written before it"
fill $ingress 0x22 0 1M
exec {hold}<> $view
dd if=/dev/zero of=$view bs=64k count=4 seek=2 conv=notrunc status=none
dmsetup suspend meta
bios_begin
dmsetup message view 0 checkpoint &
message=$!
ok "the gates are closed" wait_for 20 sent meta
sync $view &
sync=$!
ok "the sync waits for pages" wait_for 20 in_kernel $sync folio_wait_bit
dmsetup resume meta
ends "checkpoint" 20 $message
ends "the sync" 20 $sync
fails "nothing has been written back" is_written_back
is "$(status_field view 5)" 0/16384 "active has none of it"
is "$(dd if=$view bs=1M count=1 status=none | tr -d '\042' | wc -c)" 0 "nor has the cache"

diag "a part of a page, whose writer waits while the checkpoint is made"
fill $ingress 0x33 0 1M
dd if=/dev/zero of=$view bs=64k count=16 conv=notrunc status=none
dmsetup suspend meta
bios_begin
dmsetup message view 0 checkpoint &
message=$!
ok "the gates are closed" wait_for 20 sent meta
dd if=/dev/zero of=$view bs=512 count=1 seek=1 conv=notrunc status=none &
writer=$!
ok "the writer waits for its page" wait_for 20 in_kernel $writer folio_wait_bit
dmsetup resume meta
ends "checkpoint" 20 $message
ends "the write" 20 $writer
sync $view
is "$(dd if=$view bs=4k count=1 iflag=direct status=none | tr -d '\0' | wc -c)" 3584 \
	"the rest of the page is the primary's"
is "$(dd if=$view bs=1M count=1 status=none | tr -d '\063' | wc -c)" 512 "so is the cache's"

diag "writeback that waits at the gate is from before the checkpoint"
fill $ingress 0x55 0 1M
dd if=/dev/zero of=$view bs=64k count=4 seek=2 conv=notrunc status=none
dmsetup suspend active
dd if=/dev/zero of=$view bs=4k count=1 seek=1M oflag=direct,seek_bytes conv=notrunc status=none &
writer=$!
ok "somebody writes" wait_for 20 in_kernel $writer direct_IO
dmsetup message view 0 checkpoint &
message=$!
ok "the gate is closed until that is done" wait_for 20 in_kernel $message 'quiesce\|gate_close'
bios_begin
sync $view &
sync=$!
ok "writeback comes to the gate" wait_for 20 is_written_back
dmsetup resume active
ends "checkpoint" 20 $message
ends "the sync" 20 $sync
ok "the write ends" wait $writer
is "$(bios active | grep ' W ')" "" "none of it has been done"
is "$(status_field view 5)" 0/16384 "active has none of it"
is "$(dd if=$view bs=1M count=1 status=none | tr -d '\125' | wc -c)" 0 "nor has the cache"
exec {hold}>&-
dmsetup remove in
dmsetup remove view
dmsetup remove meta
dmsetup remove active
dmsetup remove slow

diag "parts of pages, written while checkpoints are made"
# A part of a page makes a page of it and of what was there. So if anything old is
# left, it is seen as a byte that is neither new nor the writer's.
ramdisks 3 4
fill /dev/ram0 0xaa; fill /dev/ram1 0xbb
cat > "$scratch/parts.py" << 'END'
import os, random
fd = os.open("/dev/mapper/view", os.O_RDWR)
while True:
	for n in range(random.randrange(64)):
		os.pwrite(fd, b"\xee" * 512, 512 * random.randrange(8192))
	os.fsync(fd)
END
dm_delay slow /dev/ram2 4 0
rig 8 $slow
start 3 python3 "$scratch/parts.py"
start_all=("${pids[@]}")
start 2 read_again_and_again
pids+=("${start_all[@]}")
old=0
for n in {1..12}; do
	fill $ingress "$n"
	sleep 0.3
	message view checkpoint || break
	kill -STOP "${pids[@]}"
	for flags in "" iflag=direct; do
		# shellcheck disable=SC2086 # none or one
		old=$((old + $(dd if=$view bs=1M $flags status=none |
			tr -d '\356' | tr -d "\\$(printf %03o "$n")" | wc -c)))
	done
	kill -CONT "${pids[@]}"
done
stop
is "$n" 12 "checkpoints"
is "$old" 0 "old bytes"
is "$(status_field view 9)" - "no error"

done_testing
