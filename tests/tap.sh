# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# TAP for bash: sourced by tests/lib.sh, and by tests that run without a VM.

# Whatever a case leaves to chance it takes from $RANDOM, so that a failure can
# be repeated: make check TESTS=... SEED=...
: "${SEED:=$RANDOM}"
RANDOM=$SEED

scratch=$(mktemp -d)
count=0
failures=0

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

# plan N: for a case that knows beforehand how many tests it has.
plan() {
	echo "1..$1"
}

# A word that is no command would else be a check that cannot fail.
command_not_found_handle() {
	echo "$1: no such command" | tee -a "$scratch/not-found" >&2
	return 127
}

# For one that does not. Without it, or plan, the case counts as broken off.
done_testing() {
	[ ! -e "$scratch/not-found" ] || fail "$(sort -u "$scratch/not-found" | paste -sd ";")"
	echo "1..$count"
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

pass() {
	echo "ok $((++count)) - $*"
}

fail() {
	echo "not ok $((++count)) - $*"
	diag "${BASH_SOURCE[-1]} line ${BASH_LINENO[-2]}, SEED=$SEED"
	((++failures))
	return 1
}

# Runs a command, with what it prints left in $output. No subshell: the command
# may be a function that sets variables.
capture() {
	"$@" > "$scratch/output" 2>&1
	local status=$?
	output=$(< "$scratch/output")
	return $status
}

# ok DESCRIPTION COMMAND...: the command succeeds.
ok() {
	local description=$1 status
	shift
	capture "$@"
	status=$?
	if [ $status -eq 0 ]; then
		pass "$description"
	else
		fail "$description"
		diag "status $status from: $*"
		diag "$output"
		return 1
	fi
}

# fails DESCRIPTION COMMAND...: the command fails (and $output may say why).
fails() {
	local description=$1
	shift
	if ! capture "$@"; then
		pass "$description"
	else
		fail "$description"
		diag "unexpected success of: $*"
		diag "$output"
		return 1
	fi
}

# is GOT EXPECTED DESCRIPTION
is() {
	if [ "$1" = "$2" ]; then
		pass "$3"
	else
		fail "$3"
		diag "     got: $1"
		diag "expected: $2"
		return 1
	fi
}

# like TEXT REGEX DESCRIPTION
like() {
	if [[ $1 =~ $2 ]]; then
		pass "$3"
	else
		fail "$3"
		diag "         got: $1"
		diag "not matching: $2"
		return 1
	fi
}

trap 'rm -rf "$scratch"' EXIT
