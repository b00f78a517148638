#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests of metadata.c bite: each mistake of tests/unit/metadata/mutants, made in a
# copy, is noticed by one of them.

. tests/tap.sh
. tests/unit/metadata/build.sh

# Some mutants are noticed by the loss of power alone.
crash_seconds=10

# mutate SED: makes $scratch/metadata.c; fails if it is as before
mutate() {
	sed "$1" dm-replication/metadata.c > "$scratch/metadata.c" &&
		! cmp -s dm-replication/metadata.c "$scratch/metadata.c"
}

# The compiler's warnings are about what the mutation has left.
build_mutant() {
	compile "$scratch/metadata.c" "$scratch/metadata.o" -w &&
		link_test "$scratch/objects" "$scratch/metadata.o" "$scratch" unit
}

# What the shell says about one that aborts is part of the output too.
run() {
	timeout 300 "$@" || return
}

# noticed: a test aborts; leaves its name in $catcher, and what it says in $output. One
# that is too slow has noticed nothing.
noticed() {
	capture run "$scratch/unit" all "$SEED"
	case $? in
	0)
		catcher=crash
		link_test "$scratch/objects" "$scratch/metadata.o" "$scratch" crash || return
		capture run "$scratch/crash" "$SEED" 100000 $crash_seconds
		[ $? -eq 134 ]
		;;
	134) catcher="unit $(grep -x '[a-z0-9-]*' <<< "$output" | tail -n 1)" ;;
	*) return 1 ;;
	esac
}

ok "what is around it is built" build_tests "$scratch/objects" || exit
cp dm-replication/metadata.c "$scratch/metadata.c"
ok "metadata.c is built" build_mutant || exit
ok "nothing is wrong with it" run "$scratch/unit" all "$SEED" || exit
while read -r name expression; do
	[[ $name != [a-z]* ]] && continue
	if ! mutate "$expression"; then
		fail "$name: sed does not find its place"
		continue
	fi
	if ! build_mutant 2> "$scratch/errors"; then
		fail "$name: it cannot be built"
		diag "$(< "$scratch/errors")"
	elif noticed; then
		pass "$name: noticed by $catcher"
		diag "$(grep -m 1 -e 'not true' -e ERROR -e 'runtime error' <<< "$output" |
			sed "s,^$metadata/,," | cut -c -160)"
	else
		fail "$name: not noticed"
		diag "$(tail -n 5 <<< "$output")"
	fi
done < tests/unit/metadata/mutants

done_testing
