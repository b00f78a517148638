#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
#
# dmrepctl start, checkpoint, failover, stop and get-error: the whole safe sequence, and
# a failover that is waited for.
. tests/lib.sh
. tests/dmrepctl.sh

mkdir "$scratch/mnt"
ramdisks 3 16
dm_linear disk /dev/ram2
view=/dev/mapper/view

# set_up [OPTION...]
set_up() {
	dmrepctl create secondary view -s /dev/mapper/disk -a /dev/ram0 -H /dev/ram1 -m none --force "$@" &&
		dmrepctl create ingress in --top view
}

take_down() {
	dmrepctl remove --all --force
}

diag "start"
set_up --manual-start
words="Block replication is not running"
says 1 "dmrepctl: view: checkpoint: Backup job was cancelled unexpectedly" checkpoint view
says 1 "dmrepctl: view: failover: $words" failover view
says 1 "dmrepctl: view: stop: $words" stop view
says 1 "dmrepctl: view: get_error: $words" get-error view
says 1 "dmrepctl: view: clear_error: $words" clear-error view
says 0 "" start view
is "$(stage view)" running "it runs"
says 1 "dmrepctl: view: start: Block replication is running or done" start view
says 0 none get-error view
says 0 "" clear-error view
says 1 "dmrepctl: view: this is a secondary; dmrepctl resync is for a primary" resync view
says 1 "dmrepctl: view: this is a secondary; dmrepctl swap-metadata is for a primary" swap-metadata view /dev/ram0
for word in start checkpoint failover stop get-error clear-error; do
	says 1 "dmrepctl: in: this is an ingress; its view is to be told: dmrepctl $word view" $word in
	says 1 "dmrepctl: disk: this is no device of dm-replication; dmrepctl list has those that are" \
		$word disk
	says 2 "dmrepctl: $word: something is missing; it takes: NAME" $word
	says 2 "dmrepctl: $word: now is one too many; it takes: NAME" $word view now
done

diag "checkpoint, with the view mounted"
mke2fs -q -t ext4 -b 4096 $view > /dev/null 2>&1
mount $view "$scratch/mnt"
epoch=$(status_field view 3)
mounted="its content is about to change, but view is mounted on $scratch/mnt; umount it, or --force"
says 3 "dmrepctl: view: $mounted" checkpoint view
says 3 "dmrepctl: view: $mounted" stop view
is "$(status_field view 3) $(stage view)" "$epoch running" "nothing has happened"
umount "$scratch/mnt"
unshare --mount sh -c "mount $view $scratch/mnt && touch $scratch/mounted && exec sleep 1000" &
elsewhere=$!
ok "a mount of which nobody else knows" wait_for 20 [ -e "$scratch/mounted" ]
says_like 3 "dmrepctl: view: its content is about to change, but somebody has claimed it, .*--force" \
	checkpoint view
kill $elsewhere
wait $elsewhere
dm_linear above $view
mount /dev/mapper/above "$scratch/mnt"
says 3 "dmrepctl: view: ${mounted/view is/above is}" checkpoint view
umount "$scratch/mnt"

diag "with a device on the view that is open, and not mounted"
sleep 1000 5< /dev/mapper/above &
opener=$!
ok "it is open" wait_for 20 is_open above 1
open="its content is about to change, but above, which lies on it, is open and would go on to show what it has read"
for word in checkpoint stop; do
	says 3 "dmrepctl: view: $open: process $opener (sleep) has it open; close or remove above, or --force" \
		$word view
done
is "$(status_field view 3) $(stage view)" "$epoch running" "nothing has happened"
dm_linear top /dev/mapper/above
kill $opener
wait_for 20 is_open above 1
says 3 "dmrepctl: view: $open: on it there is top; close or remove above, or --force" checkpoint view
dmsetup remove top
sleep 0.5 5< /dev/mapper/above &
wait_for 20 is_open above 1
says 0 "" checkpoint view
epoch=$((epoch + 1))
pass "what has it open for a moment is waited for"
dmsetup remove above
mke2fs -q -t ext4 -b 4096 $view > /dev/null 2>&1
modprobe loop
loop=$(losetup --find --show $view)
mount "$loop" "$scratch/mnt"
says 3 "dmrepctl: view: ${mounted/view is/${loop#/dev/} is}" checkpoint view
umount "$scratch/mnt"
sleep 1000 5< "$loop" &
opener=$!
says 3 "dmrepctl: view: ${open/above/${loop#/dev/}}: process $opener (sleep) has it open; close or remove ${loop#/dev/}, or --force" \
	checkpoint view
kill $opener
wait $opener
losetup -d "$loop"
says 0 "" checkpoint view
is "$(status_field view 3)" $((epoch + 1)) "a checkpoint"
mke2fs -q -t ext4 -b 4096 $view > /dev/null 2>&1
mount $view "$scratch/mnt"
says 0 "" checkpoint --force view
umount "$scratch/mnt"
is "$(status_field view 3)" $((epoch + 2)) "a checkpoint in spite of it"

diag "stop"
says 0 "" stop view
is "$(stage view)" "done" "done"
for word in start checkpoint failover stop; do
	says 0 "dmrepctl: view: stage done: there is nothing to do" $word view
done
take_down

diag "failover, with the ingress open"
set_up
fill $view 0x11 0 8M
fill /dev/mapper/in 0x22 8M 4M
exec {held}< /dev/mapper/in
says_like 3 "dmrepctl: view: the ingress in is open, perhaps .*; if that may be, --yes" failover view
is "$(stage view)" running "nothing has happened"
dmsetup suspend disk
says 0 "" failover --yes --no-wait view
is "$(stage view)" failover "it has begun"

diag "waiting for it"
dmrepctl failover view > "$scratch/waiting" 2>&1 &
waiting=$!
ok "what there is to merge is said" wait_for 20 grep -q "^view: merging 12 MiB$" "$scratch/waiting"
kill -INT $waiting
wait $waiting
is $? 1 "interrupted it fails"
is "$(tail -n 1 "$scratch/waiting")" "dmrepctl: view: the merge goes on; dmrepctl failover view waits for its end, dmrepctl status view shows how far it is" \
	"and says that the merge goes on"
is "$(stage view)" failover "which it does"
dmrepctl failover view > "$scratch/waiting" 2>&1 &
waiting=$!
ok "another one waits" wait_for 20 grep -q "^view: merging" "$scratch/waiting"
dmsetup resume disk
wait $waiting
is $? 0 "until the merge is done"
like "$(tail -n 1 "$scratch/waiting")" "^view: done, 12 MiB merged in [0-9]+ s$" "and says so"
is "$(stage view)" "done" "it is"
exec {held}<&-
ok "the view's data" verify $view 0x11 0 8M
take_down

diag "on a terminal"
set_up
fill $view 0x33 0 1M
exec {held}< /dev/mapper/in
# terminal ANSWER: on a terminal of 80 columns, what is printed with each line by itself
terminal() {
	echo "$1" > "$scratch/answer"
	script -q -e -c "stty cols 80; dmrepctl failover view" "$scratch/typescript" < "$scratch/answer" |
		tr '\r' '\n'
	return "${PIPESTATUS[0]}"
}
says_like 3 ".*Fail over\? \[y/N\] .*nothing was done" terminal n
is "$(stage view)" running "nothing has happened"
dmsetup suspend disk
(
	wait_for 20 stage_is view failover && sleep 1
	dmsetup resume disk
) &
says_like 0 ".*view: \[#*-*\] +[0-9]+ %, [0-9.]+ [KM]?i?B of 1 MiB.*view: done, 1 MiB merged in [0-9]+ s" \
	terminal y
wait $!
is "$(awk 'length > 80' < <(sed 's/\x1b\[K//g; s/.*Fail over//' <<< "$output"))" "" "in 80 columns"
exec {held}<&-
take_down

diag "a merge that fails"
set_up
fill $view 0x44 0 1M
dm_error_writes disk /dev/ram2
says_like 1 "(view: merging 1 MiB )?dmrepctl: view: the merge has failed: merge-io; the view is whole, and in use; when the cause is gone, dmrepctl failover view goes on with it" \
	failover view
says 1 "I/O error occurred merge-io" get-error view
says 1 "dmrepctl: view: clear_error: the merge has failed; failover tries it again, and clears its error" \
	clear-error view
dm_linear disk /dev/ram2
says_like 0 "view: (merging .*)?done, 1 MiB merged in [0-9]+ s" failover view
says 0 none get-error view
ok "the view's data" verify $view 0x44 0 1M
take_down

diag "a merge that fails, of what the primary wrote"
set_up
fill /dev/mapper/in 0x44 0 1M
dm_error_writes disk /dev/ram2
dmrepctl failover view > /dev/null 2>&1
is "$(stage view)" failover-failed "it fails"
says 3 "dmrepctl: view: its merge has failed, so without a metadata device a part of the disk would be lost; dmrepctl failover tries again, when the cause is gone; or --force" \
	remove in view
dm_linear disk /dev/ram2
take_down

diag "none"
says 1 "dmrepctl: nobody: there is no such device; dmrepctl list has those that are" failover nobody
says 1 "dmrepctl: this needs root, for device-mapper does: try sudo" as_nobody checkpoint view

modprobe sd_mod
modprobe scsi_debug dev_size_mb=16 delay=0 || {
	diag "this kernel has no scsi_debug"
	done_testing
	exit
}
diag "a merge that leaves out what could not be read"
parameters=/sys/module/scsi_debug/parameters opts=/sys/bus/pseudo/drivers/scsi_debug/opts
wait_for 20 [ -b /dev/sda ]
dm_linear disk /dev/sda
lost="dmrepctl: view: the merge is done, but the disk may not have all that the view had: sectors that could not be read were not rolled back, or the disk has failed a flush. The kernel log (dmesg) says which. Check the filesystem on view, restore the files concerned, then dmrepctl clear-error view. See merge-lost in replication.rst"
# lose: sectors that fail as those of a disk do, until the primary writes to them
lose() {
	echo 4096 > $parameters/medium_error_start
	echo 8 > $parameters/medium_error_count
	echo 2 > $opts
	fill /dev/mapper/in 0x22 2M 4k
	echo 0 > $opts
}
set_up
ok "a write to a bad sector" lose
fill $view 0x33 4M 64k
run_tool failover view
is "$status" 1 "the exit status says it"
like "$said" "^view: (merging .*)?done, 6[48] KiB merged in [0-9]+ s dmrepctl: view: the merge is done, but the disk .*" \
	"and a sentence"
is "${said##* s dmrepctl:}" "${lost#dmrepctl:}" "all of it"
says 1 "dmrepctl: view: stage done: there is nothing to do $lost" failover view
says 0 "" clear-error view
says 0 "dmrepctl: view: stage done: there is nothing to do" failover view
take_down
set_up
ok "a write to a bad sector" lose
fill $view 0x33 4M 64k
dmsetup suspend disk
says 0 "" failover view --no-wait
dmrepctl remove in view > "$scratch/waiting" 2>&1 &
waiting=$!
ok "a removal waits" wait_for 20 grep -q "^view: merging" "$scratch/waiting"
dmsetup resume disk
wait $waiting
is $? 0 "until the merge is done"
is "$(tail -n 1 "$scratch/waiting")" "$lost" "and says the same"
done_testing
