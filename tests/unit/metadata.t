#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The metadata device: metadata.c in user space, on a disk that loses power, fails and
# has been damaged. make check TESTS=tests/unit/metadata.t SEED=...
#
# The programs are in tests/unit/metadata: what they have found can be repeated with
# what they print.

. tests/tap.sh
. tests/unit/metadata/build.sh

# So long the power is lost.
crash_seconds=15

build() {
	build_tests "$scratch/objects" &&
		compile dm-replication/metadata.c "$scratch/metadata.o" -Werror &&
		link_test "$scratch/objects" "$scratch/metadata.o" "$scratch" unit &&
		link_test "$scratch/objects" "$scratch/metadata.o" "$scratch" crash
}
ok "it is built" build || exit

diag "function by function: unit NAME $SEED"
for name in $("$scratch/unit"); do
	ok "$name" timeout 120 "$scratch/unit" "$name" "$SEED"
done

ok "loss of power" timeout 300 "$scratch/crash" "$SEED" 100000 $crash_seconds
diag "$(tail -n 1 <<< "$output")"
disks=$(sed -n 's/.* \([0-9]*\) disks, .*/\1/p' <<< "$output")
ok "it has been lost" [ "${disks:-0}" -gt 5000 ]

done_testing
