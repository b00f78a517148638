#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 200
#
# Rule 4: who queues I/O to be polled for, and polls for none, holds up nobody: polling
# is offered by no face, whatever the devices underneath can do. And who asks for it, or
# that a request does not wait (NOWAIT), gets what he writes written. But newer kernels
# refuse to poll where that is not offered.
. tests/lib.sh

nulldisks 4 64 submit_queues=1 poll_queues=1 || skip_all "null_blk has no poll queues"

offered() {
	cat "/sys/dev/block/$(dm_column "$1" major,minor)/queue/io_poll"
}

# uring NAME OPTION...: random reads and writes by io_uring, of which what is written is verified
uring() {
	fio --name="$1" --filename="/dev/mapper/$1" --ioengine=io_uring --direct=1 --iodepth=8 \
		--rw=randwrite --bsrange=512-16k --size=4m --offset=8m --verify=crc32c \
		"${@:2}" > "$scratch/fio" 2>&1 || { cat "$scratch/fio"; return 1; }
}

# polling NAME
polling() {
	case $(uname -r) in
	6.1.*) ok "$1: io_uring, polling" uring "$1" --hipri=1 ;;
	esac
}

dm_linear linear /dev/nullb0
is "$(offered linear)" 1 "another target offers polling here"
dmsetup remove linear
secondary_create view /dev/nullb0 /dev/nullb1 /dev/nullb2 8
ingress_create in view
for name in view in; do
	is "$(offered $name)" 0 "$name does not"
	dm_table $name "$(dmsetup table $name)"
	is "$(offered $name)" 0 "nor after a reload"
done
for name in view in; do
	polling $name
	ok "$name: io_uring, not to wait" uring $name --nowait=1
done
unreaped /dev/mapper/view 1000 > "$scratch/unreaped" &
reader=$!
ok "reads of the view are queued" wait_for 20 [ -s "$scratch/unreaped" ]
ok "an ingress write there ends" timeout 60 \
	dd if=/dev/zero of=/dev/mapper/in bs=4k count=1 oflag=direct status=none
ok "so does a checkpoint" timeout 60 dmsetup message view 0 checkpoint
unreaped /dev/mapper/in 1000 > "$scratch/unreaped" &
ok "reads of the ingress are queued" wait_for 20 [ -s "$scratch/unreaped" ]
ok "a failover fences it" timeout 60 dmsetup message view 0 failover
ok "and ends" wait_for 60 stage_is view "done"
kill $reader $!
wait $reader $!
dm_remove_all

fill /dev/nullb0 0x11
fill /dev/nullb3 0x11
primary_create primary /dev/nullb0 /dev/nullb3 2048 insync
is "$(offered primary)" 0 "a primary does not"
dm_table primary "$(dmsetup table primary)"
is "$(offered primary)" 0 "nor after a reload"
polling primary
ok "primary: io_uring, not to wait" uring primary --nowait=1
ok "the legs are equal" equal /dev/nullb0 /dev/nullb3
is "$(dmsetup status primary)" "0 131072 replication primary running insync 0/64 - -" "no error is noted"
dm_remove_all
done_testing
