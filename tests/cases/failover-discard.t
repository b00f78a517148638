#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300
#
# A merge gives the space of the stores back only when nobody needs what they have: not a
# read that is under way, and not the merge itself after a loss of power.
. tests/lib.sh

nulldisks 6 64 || skip_all "no null_blk"

diag "a read that begins in the merge"
fill /dev/nullb2 0x11
dm_delay hidden /dev/nullb1 3000 0
secondary_create view /dev/nullb0 /dev/mapper/hidden /dev/nullb2 8
ingress_create in view
fill /dev/mapper/in 0x22 0 4k
ok "failover" message view failover
sleep 1
ok "it reads what hidden had" verify /dev/mapper/view 0x11 0 4k
ok "the stage" wait_for 30 stage_is view "done"
dm_remove_all

diag "a loss of power in a merge, beside what a checkpoint gives back"
ramdisks 2 4
dm_linear meta /dev/ram0
for i in 0 1 2; do dm_linear raw$i /dev/nullb$i; done
dm_linear active /dev/mapper/raw0
dm_linear disk /dev/mapper/raw2
fill /dev/nullb2 0x11
META=/dev/mapper/meta
secondary_create view /dev/mapper/active /dev/mapper/raw1 /dev/mapper/disk 8
ingress_create in view
for ((i = 0; i < 64; i += 8)); do fill /dev/mapper/view 0x33 ${i}M 4k; done
dm_delay active /dev/mapper/raw0 0 1000
ok "a checkpoint, of which much is left to give back" message view checkpoint
fill /dev/mapper/view 0xaa 48M 256k
fill /dev/mapper/in 0x22 56M 8M
# The end of the merge is slow.
dm_table disk "0 114688 linear /dev/mapper/raw2 0
114688 16384 delay /dev/mapper/raw2 114688 0 /dev/mapper/raw2 114688 100000"
ok "failover" message view failover
merged() { verify /dev/nullb2 0xaa 48M 256k > /dev/null 2>&1; }
ok "a part is merged" wait_for 30 merged
# So long the old content was given back here, before its cleared bits were recorded.
sleep 12
is "$(stage view)" failover "the merge is not over"
for i in meta raw0 raw1 raw2; do dmsetup suspend --noflush --nolockfs $i; done
cp /dev/ram0 /dev/ram1
for i in 0 1 2; do
	dd if=/dev/nullb$i of=/dev/nullb$((i + 3)) bs=1M iflag=direct oflag=direct status=none
done
for i in raw0 raw1 raw2 meta; do dmsetup resume $i; done
dm_linear disk /dev/mapper/raw2
dm_linear active /dev/mapper/raw0
dmsetup remove in
dmsetup remove view
META=/dev/ram1
secondary_create again /dev/nullb3 /dev/nullb4 /dev/nullb5 8
ok "the merge goes on and ends" wait_for 60 stage_is again "done"
ok "what was merged is still there" verify /dev/mapper/again 0xaa 48M 256k
done_testing
