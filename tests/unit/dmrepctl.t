#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dmrepctl without a device: its command line, and those of its parts that ask none,
# with the sanitizers. The programs are in tests/unit/dmrepctl.

. tests/tap.sh
. tests/unit/dmrepctl/build.sh

ok "it is built" build_tool "$scratch/tool" || exit
ok "its tests are built" build_unit "$scratch/tool" || exit
for name in $("$scratch/tool/unit"); do
	ok "unit $name" timeout 120 "$scratch/tool/unit" "$name"
done

# says STATUS REGEX WORD...: what dmrepctl does with these words
says() {
	local status
	capture "$scratch/tool/dmrepctl" "${@:3}"
	status=$?
	like "$status: $output" "^$1: $2" "dmrepctl ${*:3}"
}

diag "help"
says 0 "Usage: dmrepctl COMMAND" help
says 0 "Usage: dmrepctl COMMAND" --help
says 0 "Usage: dmrepctl COMMAND" -h
says 0 "Usage: dmrepctl version" help version
says 0 "Usage: dmrepctl version" version --help
says 0 "Usage: dmrepctl version" version -h
says 0 "dmrepctl [0-9]+\.[0-9]+\.[0-9]+$" version
says 0 "dmrepctl [0-9]+\.[0-9]+\.[0-9]+$" --version
says 0 "dmrepctl [0-9]+\.[0-9]+\.[0-9]+$" -V
"$scratch/tool/dmrepctl" help > "$scratch/help"
is "$(awk 'length > 80' "$scratch/help")" "" "the help has 80 columns at most"

diag "wrong usage"
see="see dmrepctl help"
says 2 "dmrepctl: what is to be done\? See dmrepctl help$"
says 2 "dmrepctl: there is no command ; $see$" ""
says 2 "dmrepctl: there is no command frobnicate; $see$" frobnicate
says 2 "dmrepctl: there is no command vers; $see$" vers
says 2 "dmrepctl: there is no command --frobnicate; $see$" --frobnicate
says 2 "dmrepctl: there is no command frobnicate; $see$" help frobnicate
says 2 "dmrepctl: help: c is one too many; it takes: \[COMMAND\]$" help a b c
says 2 "dmrepctl: version: now is one too many; it takes: nothing$" version now
says 2 "dmrepctl: version: --frobnicate: there is no such option.*; $see version$" version --frobnicate
says 2 "dmrepctl: version: -x: there is no such option; $see version$" version -x
says 2 "dmrepctl: dump: -x: there is no such option; $see dump$" dump -jx image
says 2 "dmrepctl: status: -o: needs a value; $see status$" status -o
says 2 "dmrepctl: status: --sort: needs a value; $see status$" status --sort
says 2 "dmrepctl: status: --no: there is no such option, or it is short for several; $see status$" status --no
says 2 "dmrepctl: dump: --json=yes: there is no such option, or it takes no value; $see dump$" dump --json=yes image
says 2 "dmrepctl: create: what\?.dmrepctl: there is: create secondary" create
says 2 "dmrepctl: create tertiary: there is no such command" create tertiary

diag "output that cannot be written"
"$scratch/tool/dmrepctl" help > /dev/full 2> "$scratch/error"
is "$?: $(< "$scratch/error")" "1: dmrepctl: the output cannot be written" "is a failure"

done_testing
