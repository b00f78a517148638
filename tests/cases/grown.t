#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300
#
# "Constructor": a table may be shorter than its devices, which may have grown: what is
# beyond its length is never touched, and metadata keeps the length that there was.
. tests/lib.sh

# No multiple of a chunk or a region.
length=32792
view=/dev/mapper/view in=/dev/mapper/in primary=/dev/mapper/primary

# untouched NUMBER...: beyond the table these RAM disks have what they had
untouched() {
	local i
	for i; do
		ok "/dev/ram$i has not changed beyond the table" verify "/dev/ram$i" 0x99 $((length * 512))
	done
}

# refused LENGTH SENTENCE TABLE: the table, without its length
refused() {
	dm_log > /dev/null
	fails "with $1 sectors it is refused" dmsetup create other --table "0 $1 $3"
	like "$(dm_log)" "$2" "with both lengths"
}

ramdisks 6 32
for i in 0 1 2 4 5; do fill /dev/ram$i 0x99; done
for i in 0 1 2 4 5; do dm_linear leg$i /dev/ram$i 0 $length; done
legs="/dev/mapper/leg0 /dev/mapper/leg1 /dev/mapper/leg2"

diag "a view, whose devices grow while it is in use"
ok "create" dmsetup create view --table "0 $length replication secondary /dev/ram3 $legs 128"
ok "ingress" dmsetup create in --table "0 $length replication ingress $view"
ok "a write" fill $in 0x22
ok "and one of the view" fill $view 0x33 $((length * 512 - 65536)) 64k
for i in 0 1 2 4 5; do dm_linear leg$i /dev/ram$i; done
is "$(sectors $view) $(sectors $in)" "$length $length" "they stay as long as they were"
ok "checkpoint" message view checkpoint
ok "it is the primary's write" verify $view 0x22
ok "a write of the view" fill $view 0x34 $((length * 512 - 65536)) 64k
ok "one to a part of the last chunk" fill $in 0x23 $((length * 512 - 4096)) 4k
ok "removed" eval "dmsetup remove in && dmsetup remove view"

diag "and comes back"
refused 65536 "it belongs to a secondary of $length sectors, the table has 65536; make the table with $length, its devices may be longer" \
	"replication secondary /dev/ram3 $legs 128"
ok "create" dmsetup create view --table "0 $length replication secondary /dev/ram3 $legs 128"
ok "it has what it had" eval "verify $view 0x34 $((length * 512 - 65536)) 64k &&
	verify $view 0x22 0 $((length * 512 - 65536))"
ok "ingress" dmsetup create in --table "0 $length replication ingress $view"
ok "failover" message view failover
ok "done" wait_for 20 stage_is view "done"
ok "it is the disk" verify /dev/ram2 0x34 $((length * 512 - 65536)) 64k
ok "a write" fill $view 0x35 $((length * 512 - 65536)) 64k
untouched 0 1 2
ok "removed" eval "dmsetup remove in && dmsetup remove view"

diag "a primary"
fill /dev/ram3 0 0 4k
legs="/dev/mapper/leg4 /dev/mapper/leg5"
for i in 4 5; do dm_linear leg$i /dev/ram$i 0 $length; done
fill /dev/mapper/leg4 0x11
ok "create" dmsetup create primary --table "0 $length replication primary /dev/ram3 $legs 128"
for i in 4 5; do dm_linear leg$i /dev/ram$i; done
ok "in sync" wait_for 30 sync_is primary insync
ok "writes" fill $primary 0x44 $((length * 512 - 65536)) 64k
is "$(sectors $primary)" $length "it stays as long as it was"
dm_log > /dev/null
fails "a longer table is refused while it is in use" dmsetup load primary --table \
	"0 65536 replication primary /dev/ram3 $legs 128"
like "$(dm_log)" "a reload keeps its length" "and says why"
dmsetup remove primary
refused 65536 "it belongs to a primary of $length sectors, the table has 65536; make the table with $length, its devices may be longer" \
	"replication primary /dev/ram3 $legs 128"
ok "create" dmsetup create primary --table "0 $length replication primary /dev/ram3 $legs 128"
is "$(status_field primary 3) $(dirty primary)" "insync 0" "nothing is copied again"
dmsetup remove primary
ok "the legs are equal" equal /dev/ram4 /dev/ram5
untouched 4 5

diag "a filter"
ok "create" dmsetup create primary --table "0 $length replication primary - - /dev/mapper/leg5 128"
ok "a write" fill $primary 0x55
untouched 5
done_testing
