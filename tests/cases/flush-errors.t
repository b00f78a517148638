#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A flush that fails may have lost what the device had taken, and the next flush of that
# device succeeds. So whoever wrote it is told, even if it was the target that flushed.
. tests/lib.sh

ramdisks 4 16
META=-
modprobe loop
# Only a flush writes the cache back.
echo 360000 > /proc/sys/vm/dirty_writeback_centisecs

# The secondary is a loop device: it takes writes into a page cache, and fails its flush
# if they cannot be written back; then they are lost.
setup() {
	fill /dev/ram2 0x11
	fill /dev/ram3 0 0 4k
	dm_linear lower /dev/ram2
	disk=$(losetup --find --show /dev/mapper/lower)
	create
}

create() {
	secondary_create view /dev/ram0 /dev/ram1 "$disk" 8
	ingress_create in view
}

teardown() {
	dmsetup remove in
	dmsetup remove view
	losetup --detach "$disk"
	dm_remove_all
}

flush() {
	dd if=/dev/null of="$1" conv=notrunc,fsync status=none 2> /dev/null
}

diag "a checkpoint's flush"
setup
ok "the primary flushes" flush /dev/mapper/in
fill /dev/mapper/in 0x22 0 1M
dm_error_writes lower /dev/ram2
fails "a checkpoint fails" message view checkpoint 2> /dev/null
dm_linear lower /dev/ram2
ok "the disk has lost what the primary wrote" verify /dev/ram2 0x11 0 1M
fails "the primary's next flush fails" flush /dev/mapper/in
ok "it is told once" flush /dev/mapper/in
ok "the view is not told of what it has not written" flush /dev/mapper/view
teardown

diag "a merge's flush"
setup
fill /dev/mapper/view 0x33 0 1M
dm_error_writes lower /dev/ram2
message view failover
ok "the merge fails" wait_for 20 stage_is view failover-failed
is "$(status_field view 7)" "256/256" "with all chunks merged"
like "$(dmesg_since)" "the secondary has failed a flush: it may have lost what was merged" "the log"
dm_linear lower /dev/ram2
ok "the disk has lost them" verify /dev/ram2 0x11 0 1M
message view failover
ok "the retry ends" wait_for 20 stage_is view "done"
is "$(status_field view 9)" merge-lost "and says that something is lost"
fails "the view's next flush fails" flush /dev/mapper/view
ok "it is told once" flush /dev/mapper/view
teardown

diag "it is not forgotten"
META=/dev/ram3
setup
fill /dev/mapper/view 0x33 0 1M
dm_error_writes lower /dev/ram2
message view failover
ok "the merge fails" wait_for 20 stage_is view failover-failed
dm_linear lower /dev/ram2
dmsetup remove in
dmsetup remove view
create
is "$(status_field view 9)" merge-lost "a restart finds it"
message view failover
ok "the retry ends" wait_for 20 stage_is view "done"
is "$(status_field view 9)" merge-lost "and does not clear it"
teardown
META=-

diag "a flush of the view's own, while the merge is under way"
setup
fill /dev/mapper/view 0x33 0 1M
dm_error_writes lower /dev/ram2
message view failover
wait_for 20 stage_is view failover-failed
dm_linear lower /dev/ram2
fails "a view that has been told of it" flush /dev/mapper/view
fill /dev/mapper/view 0x44 8M 1M
dm_error_writes lower /dev/ram2
fails "is told of its own" flush /dev/mapper/view
dm_linear lower /dev/ram2
ok "and not twice" flush /dev/mapper/view
teardown
done_testing
