#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 500
# waits: yes
#
# A cgroup's limit on the view holds writeback of the view's page cache back before it
# comes to the target. Such a write would land on the new content. So a checkpoint, or a
# stop, is refused, soon and with a sentence, and nothing is changed: nobody has waited for
# the limit, nothing that was written is lost, and the next checkpoint drops it all.
. tests/lib.sh
. tests/dmrepctl.sh

view=/dev/mapper/view ingress=/dev/mapper/in disk=/dev/ram2
cgroup=$scratch/cgroup

# Dirty pages stay in the cache until somebody asks for them to be written.
echo 60000 > /proc/sys/vm/dirty_writeback_centisecs
echo 60000 > /proc/sys/vm/dirty_expire_centisecs

limits() {
	mkdir "$cgroup" && mount -t cgroup2 none "$cgroup" &&
		{ echo "+io +memory" > "$cgroup/cgroup.subtree_control"; } 2> /dev/null &&
		mkdir "$cgroup/slow" && [ -e "$cgroup/slow/io.max" ]
}
limits || skip_all "no limits on I/O"

# limit WHAT: "wbps=65536", of the view
limit() {
	echo "$(dm_column view major):$(dm_column view minor) $1" > "$cgroup/slow/io.max"
}

# in_cgroup COMMAND...
in_cgroup() {
	echo $BASHPID > "$cgroup/slow/cgroup.procs"
	"$@"
}

# waits_for_pages PID: it does, in the kernel.
waits_for_pages() {
	grep -qs folio_wait_bit "/proc/$1/stack"
}

has_ended() {
	! kill -0 "$1" 2> /dev/null
}

# Writes 1 MiB of 0x33 to the page cache, and syncs it.
write_and_sync() {
	head -c 1M /dev/zero | tr '\0' '\063' |
		dd of=$view bs=64k iflag=fullblock conv=fsync,notrunc status=none
}

# Whether that waits for the limit: a part of it has been done.
held_back() {
	[ "$(active_holds)" -gt 0 ]
}

active_holds() {
	local field
	field=$(status_field view 5)
	echo "${field%/*}"
}

# others OFFSET LENGTH BYTE...: how many bytes are none of these, as the page cache has it.
# The offset and length are KiB, the bytes octal.
others() {
	dd if=$view bs=1k skip="$1" count="$2" status=none | tr -d "$(printf '\\%s' "${@:3}")" | wc -c
}

# hold_back: a writer whose writeback the limit holds back for a minute.
hold_back() {
	limit wbps=16384
	in_cgroup write_and_sync &
	writer=$!
	ok "writeback is held back" wait_for 20 held_back
}

# in_time DESCRIPTION SECONDS PID: it ends within that time. Its exit status is in $status.
in_time() {
	if wait_for "$2" has_ended "$3"; then
		pass "$1"
	else
		fail "$1"
		diag "still waits: $(head -n 5 "/proc/$3/stack" | tr -d '\n')"
		limit wbps=max
	fi
	wait "$3"
	status=$?
}

# refused MESSAGE: within some seconds, and nothing is changed.
refused() {
	local epoch
	epoch=$(status_field view 3)
	dm_log > /dev/null
	dmsetup message view 0 "$1" 2> "$scratch/error" &
	in_time "the $1 ends" 10 $!
	ok "it is refused" [ $status -ne 0 ]
	like "$(cat "$scratch/error")" "Device or resource busy" "the errno"
	like "$(dm_log)" "message '$1' in stage running: refused, nothing is changed: [1-9][0-9]* KiB of \
the view's page cache are being written, but a limit .* raise .* sync /dev/mapper/view, and send $1 again" "the log"
	ok "the writeback is still held back" kill -0 $writer
	is "$(stage view) $(status_field view 3)" "running $epoch" "the stage and the epoch are as before"
	is "$(status_field view 9)" checkpoint-held "the status says that it was refused"
}

# is_later EVENTS: there has been another event.
is_later() {
	[ "$(dm_column view events)" -gt "$1" ]
}

let_go() {
	limit wbps=max
	ok "the sync ends" wait $writer
}

set_up() {
	fill $disk 0x11
	rig 8
	fill $ingress 0x22 0 1M
}

take_down() {
	dmsetup remove in && dmsetup remove view
}

ramdisks 4 4

diag "a checkpoint"
set_up
hold_back
events=$(dm_column view events)
refused checkpoint
ok "there is an event" wait_for 20 is_later "$events"
is "$(others 0 1024 063)" 0 "other bytes than the writer's, cached"
let_go
ok "nothing that was written is lost" verify $view 0x33 0 1M
ok "a checkpoint when it has been synced" message view checkpoint
is "$(status_field view 9)" - "the status has no error any more"
is "$(others 0 1024 042)" 0 "other bytes than the primary's, cached"
ok "what was written before is gone" verify $view 0x22 0 1M
ok "nor is it elsewhere" verify $view 0x11 1M
take_down

diag "a stop"
set_up
hold_back
refused stop
let_go
ok "nothing that was written is lost" verify $view 0x33 0 1M
ok "a stop when it has been synced" message view stop
is "$(status_field view 9)" - "the status has no error any more"
is "$(others 0 1024 042)" 0 "other bytes than the primary's, cached"
ok "the disk is the primary's" verify $disk 0x22 0 1M
take_down

diag "written again, to the cache, while it is held back"
set_up
hold_back
head -c 1M /dev/zero | tr '\0' '\104' | dd of=$view bs=64k iflag=fullblock conv=notrunc status=none
is "$(others 0 1024 104)" 0 "other bytes than those"
refused checkpoint
is "$(others 0 1024 104)" 0 "other bytes than those, after it"
let_go
sync $view
ok "they are on the device" verify $view 0x44 0 1M
ok "a checkpoint when they have been synced" message view checkpoint
ok "they are gone" verify $view 0x22 0 1M
take_down

# Nothing is changed, be it while the message waits, or when it has been refused.
diag "a checkpoint that is killed"
set_up
hold_back
dmsetup message view 0 checkpoint 2> /dev/null &
message=$!
waits_or_has_ended() {
	grep -qs repl_cache_freeze "/proc/$message/stack" || has_ended $message
}
wait_for 20 waits_or_has_ended
kill $message 2> /dev/null
in_time "the message ends" 10 $message
ok "without success" [ $status -ne 0 ]
is "$(stage view) $(status_field view 3)" "running 1" "the stage and the epoch are as before"
let_go
ok "nothing that was written is lost" verify $view 0x33 0 1M
ok "a checkpoint" message view checkpoint
take_down

diag "others, while the message waits"
set_up
hold_back
dmsetup message view 0 checkpoint 2> /dev/null &
message=$!
ok "the ingress is written" fill $ingress 0x55 2M 64k
ok "the view is written" fill $view 0x66 3M 64k
in_time "the message ends" 10 $message
ok "a suspend" timeout 60 dmsetup suspend --nolockfs view
ok "a resume" timeout 60 dmsetup resume view
ok "somebody opens it exclusively" timeout 60 python3 -c \
	'import os; os.open("/dev/mapper/view", os.O_RDWR | os.O_EXCL)'
let_go
take_down

# Its pages were dirty before. They are none that could be written later.
diag "a sync that begins while the superblock is written"
fill $disk 0x11
dm_linear meta /dev/ram3
META=/dev/mapper/meta rig 8
fill $ingress 0x22 0 1M
limit wbps=16384
exec {hold}<> $view
head -c 1M /dev/zero | tr '\0' '\063' |
	in_cgroup dd of=$view bs=64k iflag=fullblock conv=notrunc status=none
is "$(active_holds)" 0 "all that was written is in the cache"
dmsetup suspend meta
bios_begin
dmsetup message view 0 checkpoint &
message=$!
superblock_is_written() {
	bios meta | grep -q W
}
ok "the superblock is being written" wait_for 20 superblock_is_written
( echo $BASHPID > "$cgroup/slow/cgroup.procs"; exec sync $view ) &
writer=$!
ok "the sync waits for pages" wait_for 20 waits_for_pages $writer
dmsetup resume meta
in_time "the checkpoint ends" 20 $message
is $status 0 "it succeeds"
is "$(status_field view 3)" 2 "the epoch is the next one"
in_time "the sync ends" 10 $writer
is "$(others 0 1024 042)" 0 "other bytes than the primary's, cached"
limit wbps=max
sync $view
ok "nothing comes back" verify $view 0x22 0 1M
is "$(active_holds)" 0 "active has none of it"
exec {hold}>&-
take_down
dmsetup remove meta

diag "dmrepctl"
set_up
hold_back
says_like 1 "dmrepctl: view: checkpoint: .*refused, nothing is changed: .* raise the limit .*" checkpoint view
let_go
says 0 "" checkpoint view
take_down

diag "without a limit, however much is being written"
set_up
write_and_sync &
writer=$!
ok "a checkpoint" message view checkpoint
ok "the sync ends" wait $writer
take_down

# Reads that are held back get the new content when they come.
diag "a buffered reader with a limit"
set_up
limit rbps=4096
( echo $BASHPID > "$cgroup/slow/cgroup.procs"
  exec dd if=$view bs=64k count=16 status=none > "$scratch/read" ) &
reader=$!
ok "it reads" wait_for 20 waits_for_pages $reader
dmsetup message view 0 checkpoint &
in_time "the checkpoint ends" 10 $!
is $status 0 "it succeeds"
ok "a suspend" timeout 60 dmsetup suspend --nolockfs view
ok "a resume" timeout 60 dmsetup resume view
ok "the reader still waits" kill -0 $reader
limit rbps=max
ok "it ends" wait $reader
is "$(tr -d '\042' < "$scratch/read" | wc -c)" 0 "other bytes than the primary's, as it has read them"
is "$(others 0 1024 042)" 0 "other bytes than the primary's, cached"
take_down

# Who has it open exclusively keeps his writes, and the checkpoint does not wait for them.
diag "a view that is open exclusively"
set_up
cat > "$scratch/exclusive.py" << 'END'
import os, sys
fd = os.open("/dev/mapper/view", os.O_RDWR | os.O_EXCL)
print("open", flush=True)
sys.stdin.read()
END
mkfifo "$scratch/to" "$scratch/from"
python3 "$scratch/exclusive.py" < "$scratch/to" > "$scratch/from" &
exec {to}> "$scratch/to" {from}< "$scratch/from"
read -r -t 60 told <&"$from"
is "$told" open "it is open"
hold_back
dmsetup message view 0 checkpoint &
in_time "the checkpoint ends" 10 $!
is $status 0 "it succeeds"
ok "the table again" secondary_create view /dev/ram0 /dev/ram1 $disk 8
ok "writeback is still held back" kill -0 $writer
let_go
is "$(others 0 1024 063 042)" 0 "other bytes than the writer's and the primary's"

diag "another table while writeback is held back"
hold_back
dmsetup remove in
ok "another table" dm_linear view $disk
ok "writeback is still held back" kill -0 $writer
let_go
exec {to}>&- {from}<&-
wait
ok "removal" wait_for 20 dmsetup remove view

umount "$cgroup"
done_testing
