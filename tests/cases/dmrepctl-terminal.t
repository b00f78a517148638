#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300
#
# dmrepctl on a terminal of 80 columns: no line wraps, whatever there is to be shown.
. tests/lib.sh
. tests/dmrepctl.sh

command -v tmux > /dev/null || skip_all "there is no tmux"
export TMUX_TMPDIR=$scratch

# show COMMAND...: in a terminal of its own, until hide
nr=0
show() {
	terminal=(tmux -L $((++nr)) -f /dev/null)
	"${terminal[@]}" new-session -d -x 80 -y 24 "$*; sleep 1000"
}

hide() {
	"${terminal[@]}" kill-server
}

# shown [OPTION]: what is on it; -J: with lines that have wrapped as one
shown() {
	"${terminal[@]}" capture-pane -p "$@" | sed 's/ *$//'
}

# shows REGEX: soon
shows() {
	wait_for 20 eval "shown | grep -q -e '$1'"
}

# fits COMMAND REGEX...: what it prints is there, and no line has wrapped
fits() {
	local what
	show "$1"
	for what in "${@:2}"; do
		ok "$1 shows $what" shows "$what" || diag "$(shown)"
	done
	is "$(shown -J)" "$(shown)" "$1 fits"
	hide
}

show "printf %0100d 0; echo end"
ok "a line that wraps" shows end
fails "is noticed" [ "$(shown -J)" = "$(shown)" ]
hide

ramdisks 5 16
dm_linear disk /dev/ram2
view=standby-of-the-database ingress=ingress-of-the-database
dmrepctl create secondary $view -s /dev/mapper/disk -a /dev/ram0 -H /dev/ram1 -m none
dmrepctl create ingress $ingress --top $view
fill /dev/mapper/$view 0x11 0 4M
fill /dev/mapper/$ingress 0x22 4M 4M
fits "dmrepctl status" "^Name *Mode *Stage *Epoch" "^$view *secondary *running *1 *4.00m *4.00m"
fits "dmrepctl list" "^Name *Mode *Stage *Size" "^$view *secondary *running *16.00m"
fits "dmrepctl status --watch" "^$ingress *ingress *running"
fits "dmrepctl status -o name,uuid,device,uuid" "^Name *UUID *Device"
fits "dmrepctl help" "^Exit status"
show "dmrepctl status | cat"
ok "lines are cut on a terminal alone" shows Top
fails "so that scripts have all of them" [ "$(shown -J)" = "$(shown)" ]
hide

diag "the progress of a merge"
dm_delay disk /dev/ram2 1000
show "dmrepctl failover --yes $view"
ok "there is a bar" shows "^$view: \\[[#-]*\\]"
# What wraps cannot be written over.
ok "the end is told" shows "^$view: done, "
is "$(shown | grep -c .)" 1 "in the place of all that was before"
dm_linear disk /dev/ram2
hide
dmrepctl remove --all

diag "trouble, and a primary"
dmrepctl create secondary $view -s /dev/mapper/disk -a /dev/ram0 -H /dev/ram1 -m none
fill /dev/mapper/$view 0x11 0 64k
dm_error_writes disk /dev/ram2
dmrepctl failover --yes $view > /dev/null 2>&1
dmrepctl create primary database -l /dev/ram3 -r /dev/ram4 -m none
fits "dmrepctl status" "^$view *secondary *failover-failed" "^database *primary *running"
fits "dmrepctl list" "^database *primary"
done_testing
