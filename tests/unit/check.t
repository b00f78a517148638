#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tests/check: what it says of files that pass, fail or are not there, and which of them
# it runs at the same time.

. tests/tap.sh

# file PATH WORDS COMMANDS: a test, with these words in its first comment
file() {
	mkdir -p "$scratch/$(dirname "$1")"
	printf '#!/bin/bash\n# %s\n%s\n' "$2" "$3" > "$scratch/$1"
	chmod +x "$scratch/$1"
}

# check FILE...: leaves its last line in $last
check() {
	DM_REPL_RESULTS=$scratch/results tests/check "${@/#/$scratch/}" > "$scratch/said" 2>&1
	local status=$?
	last=$(tail -n 1 "$scratch/said")
	return $status
}

file unit/same.t - 'echo 1..2; sleep 1; echo ok 1; echo ok 2'
file hosts/same.t - 'echo 1..3; sleep 1; echo ok 1; echo ok 2; echo ok 3'
ok "two files of one name, at the same time" check unit/same.t hosts/same.t
is "$last" "5 passed, 0 failed" "each has its own tests"
check unit/same.t unit/same.t
is "$last" "2 passed, 0 failed" "a file that is named twice runs once"

file unit/bad.t - 'echo 1..2; echo ok 1; echo not ok 2'
fails "a test fails" check unit/bad.t
is "$last" "1 passed, 1 failed" "which is counted"
file unit/short.t - 'echo 1..2; echo ok 1'
fails "a file that ends early fails" check unit/short.t

fails "a file that is not there" check unit/same.t unit/none.t
like "$last" "unit/none.t: No such file" "is named, before any runs"
JOBS=x fails "a number of jobs that is none" check unit/same.t
like "$last" "JOBS is how many run at once, not x" "is refused"

# Says that it ran alone, or beside another that does the same.
# shellcheck disable=SC2016 # for the file
alone='echo 1..1; mkdir "${0%/*}/lock" || exit; sleep 1; rmdir "${0%/*}/lock"; echo ok 1'
file unit/first.t "cpus: $(nproc)" "$alone"
file unit/second.t "cpus: $(nproc)" "$alone"
if [ "$(nproc)" -gt 1 ]; then
	ok "two that ask for all processors do not meet" check unit/first.t unit/second.t
fi
file unit/first.t "waits: yes" "$alone"
file unit/second.t "waits: yes" "$alone"
ok "nor do two that wait" check unit/first.t unit/second.t
# shellcheck disable=SC2016 # for the files
file unit/first.t "waits: yes" 'echo 1..1; until [ -e "${0%/*}/go" ]; do sleep 0.1; done; echo ok 1'
# shellcheck disable=SC2016
file unit/second.t - 'echo 1..1; touch "${0%/*}/go"; echo ok 1'
ok "one that waits does so beside the others" eval "JOBS=1 check unit/first.t unit/second.t"
done_testing
