#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
#
# Metadata: after a loss of power at any instant, with any of the unflushed writes of
# any disk lost or torn, the table comes back in its stage, with everything that was
# flushed, and a checkpoint happened wholly or not at all.
#
# crash-replay.t [LIVES [ROUNDS [POINTS]]]: how many lives of a view are recorded, how
# long they are, and how many times power is lost in each.
. tests/lib.sh
. tests/crash/lib.sh

lives=${1:-4} rounds=${2:-50} points=${3:-350}

crash_setup
keeper_create
for ((i = 0; i < lives; i++)); do
	if life $i "$rounds" "$points"; then pass "$kind"; else fail "$kind"; fi
	diag "$output"
	[ $failures -eq 0 ] || break
done
diag "$tried crash points"
is $tried $((lives * points)) "all of them were tried"
crash_cleanup
done_testing
