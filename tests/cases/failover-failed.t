#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# bounded: yes
# timeout: 600
#
# A failover whose merge fails: stage failover-failed, an event, the error in
# status and get_error. The view keeps its content and its writes: those to chunks
# that a store holds go to active, the others to the secondary. After the repair
# another failover brings it to done, with nothing lost.
. tests/lib.sh

chunk=8

ramdisks 3 16
fill /dev/ram2 0x11
dm_linear disk /dev/ram2
rig $chunk /dev/mapper/disk
fill /dev/mapper/in 0x22 0 2M
fill /dev/mapper/view 0x33 1M 2M

dm_error_writes disk /dev/ram2
events=$(dmsetup info -c --noheadings -o events view)
message view failover
ok "the merge fails" wait_for 20 stage_is view failover-failed
is "$(status_field view 9)" merge-io "status says so"
is "$(message view get_error)" "I/O error occurred merge-io" "so does get_error"
ok "an event was raised" test "$(dmsetup info -c --noheadings -o events view)" -gt "$events"
like "$(dmesg_since)" "I/O error: merge-io.*stage failover-failed, was failover" "so does the log"

ok "hidden's content is still shown" verify /dev/mapper/view 0x11 0 1M
ok "active's, too" verify /dev/mapper/view 0x33 1M 2M
ok "the secondary's, too" verify /dev/mapper/view 0x11 3M 13M
ok "a write to chunks of active" fill /dev/mapper/view 0x44 1536k 512k
ok "a write to part of a chunk of hidden" fill /dev/mapper/view 0x45 512k 1k
ok "a write to whole chunks of hidden" fill /dev/mapper/view 0x46 768k 64k
ok "a write elsewhere fails, as the secondary does" bash -c \
	'! dd if=/dev/zero of=/dev/mapper/view bs=4k seek=1024 count=1 oflag=direct 2> /dev/null'
ok "a write to the ingress fails" bash -c \
	'! dd if=/dev/zero of=/dev/mapper/in bs=4k count=1 oflag=direct 2> /dev/null'

message view failover
ok "a retry without a repair fails again" wait_for 20 stage_is view failover-failed

# Part of the disk is repaired: the merge gets further, and fails again.
length=$(sectors /dev/ram2)
dm_table disk "0 3072 linear /dev/ram2 0
3072 $((length - 3072)) flakey /dev/ram2 3072 0 3600 1 error_writes"
message view failover
ok "a retry after half a repair fails, too" wait_for 20 stage_is view failover-failed
ok "but has got further" test "$(status_field view 7 | cut -d/ -f1)" -gt 0

# Suspend, reload and resume leave it so.
dmsetup suspend view
dmsetup load view --table "$(dmsetup table view)"
dmsetup resume view
is "$(stage view)" failover-failed "a reload keeps the stage"
ok "and the content" verify /dev/mapper/view 0x44 1536k 512k

dm_linear disk /dev/ram2
ok "a write elsewhere reaches the repaired secondary" fill /dev/mapper/view 0x47 8M 4k
ok "it is there already" verify /dev/ram2 0x47 8M 4k
message view failover
ok "the retry after the repair" wait_for 20 stage_is view "done"
is "$(status_field view 7)" "768/768" "all is merged"
is "$(status_field view 9)" "-" "the error is gone"
is "$(message view get_error)" none "for get_error, too"

check() {
	verify "$1" 0x45 512k 1k && verify "$1" 0x11 513k 255k &&
	verify "$1" 0x46 768k 64k && verify "$1" 0x11 832k 192k &&
	verify "$1" 0x33 1M 512k && verify "$1" 0x44 1536k 512k &&
	verify "$1" 0x33 2M 1M && verify "$1" 0x11 3M 5M &&
	verify "$1" 0x47 8M 4k && verify "$1" 0x11 8196k 8188k
}
ok "the view has all that was written" check /dev/mapper/view
dm_remove_all
ok "so has the secondary" check /dev/ram2

# A secondary that fails only to flush has not got the data either.
fill /dev/ram2 0x11
dm_linear disk /dev/ram2
rig $chunk /dev/mapper/disk
fill /dev/mapper/view 0x33 0 1M
dm_table disk "0 $length error"
message view failover
ok "a dead secondary: failed" wait_for 20 stage_is view failover-failed
ok "what active holds is still there" verify /dev/mapper/view 0x33 0 1M
ok "removal does not hang" timeout 20 dmsetup remove in
ok "nor that of the view" timeout 20 dmsetup remove view
done_testing
