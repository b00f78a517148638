#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dmrepctl itself, as it is installed, under valgrind: what can be done without a device.
# Its functions are tested with the sanitizers, in tests/unit/dmrepctl.

. tests/tap.sh

command -v valgrind > /dev/null || skip_all "there is no valgrind"

# clean STATUS WORD...: the command ends with this status, and valgrind is silent.
clean() {
	local status
	capture valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect \
		--error-exitcode=99 tools/dmrepctl/dmrepctl "${@:2}"
	status=$?
	is "$status $(grep -m 1 '^==' <<< "$output")" "$1 " "dmrepctl ${*:2}"
}

truncate -s 1M "$scratch/new"
head -c 1M /dev/urandom > "$scratch/noise"
cat > "$scratch/conf" <<'END'
view {
	mode = "secondary"
	chunk_size = "3k"
}
END

clean 0 --version
clean 0 --help
clean 0 checkpoint --help
clean 0 status -o help
clean 2 frobnicate
clean 2 create secondary view --secondary "$scratch/new"
clean 1 check "$scratch/new"
clean 1 check "$scratch/noise"
clean 1 dump "$scratch/noise"
clean 1 dump --json "$scratch/noise"
clean 1 up --config "$scratch/missing"
clean 2 up --config "$scratch/conf"
done_testing
[ $failures -eq 0 ]
