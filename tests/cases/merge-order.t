#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# waits: yes
# timeout: 600
#
# Rules 4 and 7, in an enforced order: a view write moves a chunk from hidden to
# active while the merge waits for just that write. The merge must copy what is
# there then, not what was there when it came to the chunk.
. tests/lib.sh

# Reads of hidden take 4 s, so that the merge's first 8 runs of 1 MiB keep it busy
# while the write begins; writes to active take 10 s; both longer where all is slow.
ramdisks 3 32
fill /dev/ram2 0x11
dm_delay active /dev/ram0 0 0
dm_delay hidden /dev/ram1 0 0
secondary_create view /dev/mapper/active /dev/mapper/hidden /dev/ram2 8
ingress_create in view
fill /dev/mapper/in 0x22 0 16M
dm_delay active /dev/ram0 0 $((10000 * REPL_PATIENCE))
dm_delay hidden /dev/ram1 $((4000 * REPL_PATIENCE)) 0

message view failover
sleep 0.3
fill /dev/mapper/view 0x33 15M 4k &
writer=$!
sleep 0.3
ok "the write is under way" kill -0 $writer
is "$(status_field view 7)" "0/4096" "before the merge has got anywhere"
ok "the write" wait $writer
is "$(stage view)" failover "it is done before the merge"
ok "the merge" wait_for 30 stage_is view "done"

check() {
	verify "$1" 0x11 0 15M && verify "$1" 0x33 15M 4k && verify "$1" 0x11 15364k 1020k
}
ok "the view has the write" check /dev/mapper/view
ok "so has the secondary" check /dev/ram2
done_testing
