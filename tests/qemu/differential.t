#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The same random operations to QEMU's replication driver, here, and to the target, in
# the VM: the same comes of them, but for what differences.py has.
#
# SEQUENCES: of each mode, 12 by default. With more than that a seed makes others first.
. tests/tap.sh

log=$scratch/log
diag "SEED=$SEED, $(qemu-system-x86_64 --version | head -n 1)"
if ! tests/qemu/oracle "$SEED" "${SEQUENCES:-12}" > "$log"; then
	fail "QEMU does the operations"
	done_testing
	exit 1
fi
diag "QEMU has done $(grep -c = "$log") operations in $SECONDS s"
# shellcheck disable=SC2086 # DM_REPL_VM has words
tests/vm/run ${DM_REPL_VM:-} --timeout $((120 + ${SEQUENCES:-12} * 10)) --cpus 1 \
	bash tests/qemu/play "$log"
status=$?
diag "SEED=$SEED, $SECONDS s"
exit $status
