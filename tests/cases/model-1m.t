#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
#
# Rules 1 to 7: random I/O to both faces, with checkpoints and a failover, against
# a model that knows every byte. Chunks of 2048 sectors; the secondary is first
# quick, then so slow to write that much happens while the merge goes on.
. tests/lib.sh

chunk=2048 ops=2500

try() {
	rig $chunk "$1" || return
	stomp --view /dev/mapper/view --ingress /dev/mapper/in --name view \
		--secondary "$1" --chunk $chunk --ops $ops --seed "$RANDOM" \
		--discard --live-checkpoints
}

ramdisks 3 32
ok "a quick secondary" try /dev/ram2
diag "$(tail -n 1 "$scratch/output")"
dm_remove_all

ramdisks 3 32
dm_delay slow /dev/ram2 1 5
ok "a slow secondary" try /dev/mapper/slow
diag "$(tail -n 1 "$scratch/output")"
is "$(status_field view 9)" "-" "no error"
done_testing
