# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For the cases about dmrepctl, after tests/lib.sh.

PATH=$PWD/tools/dmrepctl:$PATH

as_nobody() {
	setpriv --reuid nobody --clear-groups dmrepctl "$@"
}

# is_open NAME COUNT: how often a dm device is open
is_open() {
	[ "$(dm_column "$1" open)" = "$2" ]
}

# In one line, with single spaces, none at the ends.
squeeze() {
	tr -s '[:space:]' ' ' | sed 's/^ //; s/ $//'
}

# In $said, and the status in $status, what dmrepctl says with these words, or what a
# function of here does.
run_tool() {
	if declare -F "$1" > /dev/null; then
		capture "$@"
	else
		capture dmrepctl "$@"
	fi
	status=$?
	# shellcheck disable=SC2154 # it is set by capture
	said=$(squeeze <<< "$output")
}

# says STATUS TEXT WORD...: white space counts as one space, the end of a line too.
says() {
	local status said
	run_tool "${@:3}"
	is "$status: $said" "$1: $(squeeze <<< "$2")" "${*:3}"
}

# says_like STATUS REGEX WORD...
says_like() {
	local status said
	run_tool "${@:3}"
	like "$status: $said" "^$1: $2$" "${*:3}"
}
