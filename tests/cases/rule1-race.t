#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# cpus: 2
#
# Rule 1: a view read that was sent to the secondary, or the read that fills the
# rest of a chunk, finishes before an ingress write replaces those sectors. The
# secondary is slow to read and quick to write, so that a target that does not
# wait is caught at once (tests/tools/racer.c says how).
. tests/lib.sh

race() {
	rig "$1" /dev/mapper/slow || return
	racer --view /dev/mapper/view --ingress /dev/mapper/in --name view \
		--chunk "$1" --seconds 15 --delay-ms 20 --seed "$RANDOM"
}

ramdisks 3 16
dm_delay slow /dev/ram2 20 0
for chunk in 8 128; do
	ok "chunks of $chunk sectors" race $chunk
	diag "$(tail -n 1 "$scratch/output")"
	dmsetup remove in && dmsetup remove view
done
done_testing
