#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# dmrepctl does not mind how many devices there are: with 260, one can be removed, and all.
. tests/lib.sh
. tests/dmrepctl.sh

ramdisks 4 16
rig 8
dmsetup remove in
for ((i = 0; i < 259; i++)); do
	dmsetup create "i$i" --table "0 32768 replication ingress /dev/mapper/view"
done
is "$(dm_names | wc -l)" 260 "there are 260 devices"
says 0 "" remove i7
is "$(dm_names | wc -l)" 259 "one has been removed"
says 0 "" remove --all
is "$(dm_names | wc -l)" 0 "none is left"
done_testing
