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

# Of Debian's prometheus, a server, which nobody needs for this alone.
if command -v promtool > /dev/null; then
	"$scratch/tool/unit" metrics > "$scratch/metrics"
	capture promtool check metrics < "$scratch/metrics"
	is "$?: $output" "0: " "promtool has nothing to say about metrics"
fi

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
says 0 "Usage: dmrepctl create secondary" create --help
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

diag "the files that describe what up makes"
# config TEXT...: a file of these lines
config() {
	printf '%s\n' "$@" > "$scratch/conf"
}

# refuses REGEX TEXT...: what up says of such a file
refuses() {
	local status
	config "${@:2}"
	capture "$scratch/tool/dmrepctl" up --config "$scratch/conf"
	status=$?
	like "$status: $output" "^2: dmrepctl: $scratch/conf: $1$" "${*:2}"
}

view=(mode=\"secondary\" secondary=\"/dev/a\" active=\"/dev/b\" hidden=\"/dev/c\" metadata=\"none\")
primary=(mode=\"primary\" local=\"/dev/a\" replica=\"/dev/b\" metadata=\"none\")
refuses "line 2: unexpected token; see dmrepctl.conf\(5\)" "v {" "mode }"
refuses 'v: it is in no section; write: NAME .*' 'v = 1'
refuses 'v: mode is missing; it is "secondary" or "primary"' 'v { }'
refuses 'v: mode = "x": it is "secondary" or "primary"' 'v { mode = "x" }'
refuses 'v: active is missing; see dmrepctl.conf\(5\)' "v {" "${view[@]/active*/}" "}"
refuses 'v: frob: there is no such key; of a secondary there are mode, secondary, active, hidden, metadata, size, chunk_size, manual_start, no_discard, force, ingress' \
	"v {" "${view[@]}" "frob = 1 }"
refuses 'p: ingress: there is no such key; of a primary there are mode, local, .*' \
	"p {" "${primary[@]}" 'ingress = "in" }'
refuses 'v: secondary = "sda": it is the path of a device, from the / on' \
	"v {" "${view[@]/\/dev\/a/sda}" "}"
refuses 'v: metadata: it takes one value, such as "text"' "v {" "${view[@]/\"none\"/[\"a\", \"b\"]}" "}"
refuses 'v: chunk_size 3K: it is a power of two from 4 KiB to 1 MiB' "v {" "${view[@]}" 'chunk_size = "3K" }'
refuses 'v: chunk_size 5000: it is a power of two from 4 KiB to 1 MiB' "v {" "${view[@]}" 'chunk_size = 5000 }'
refuses 'v: manual_start = yes: it is 0 or 1' "v {" "${view[@]}" 'manual_start = "yes" }'
refuses 'v: ingress: it is a name, or a list of names, .*' "v {" "${view[@]}" 'ingress = 1 }'
refuses 'v: ingress: it is a name, or a list of names, .* of 8 at most' \
	"v {" "${view[@]}" 'ingress = ["1", "2", "3", "4", "5", "6", "7", "8", "9"] }'
refuses 'v: a/b: a device.s name has .*' "v {" "${view[@]}" 'ingress = "a/b" }'
refuses 'v: chunk_size is given twice' "v {" "${view[@]}" 'chunk_size = 4096' 'chunk_size = 4096 }'
refuses 'v: there are two devices of the name v; the other one is in .*conf, v' \
	"v {" "${view[@]}" 'ingress = "v" }'
refuses 'p: there are two devices of the name v; the other one is in .*conf, v' \
	"p {" "${view[@]}" 'ingress = "v" }' "v {" "${view[@]}" "}"
refuses 'p: replica_timeout 0: this is no number of seconds from 1 to 3600' \
	"p {" "${primary[@]}" "replica_timeout = 0 }"
refuses 'p: insync: it is true once, .*; give it to dmrepctl create' "p {" "${primary[@]}" "insync = 1 }"
says 1 "dmrepctl: /nowhere: it cannot be read: No such file or directory$" up --config /nowhere
says 1 "dmrepctl: $scratch: it cannot be read: Is a directory$" down --config "$scratch"
config "v {" "${view[@]}" 'chunk_size = 4096 ingress = [ "in" ] # }' "}"
says 1 "dmrepctl: p: it is not described; there is v$" up --config "$scratch/conf" p
config "# nothing"
says 1 "dmrepctl: p: it is not described; there is nothing$" down --config "$scratch/conf" p

diag "output that cannot be written"
"$scratch/tool/dmrepctl" help > /dev/full 2> "$scratch/error"
is "$?: $(< "$scratch/error")" "1: dmrepctl: the output cannot be written" "is a failure"

done_testing
