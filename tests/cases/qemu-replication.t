#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# "What it is for", "Stages and I/O": what QEMU's replication filter does for its
# own guests. These are the cases for the secondary of QEMU's
# tests/unit/test-replication.c, on devices of the same 64 MiB, a message for
# each of its calls; but all content is compared, byte by byte.
. tests/lib.sh

half=32M
active=/dev/ram0 hidden=/dev/ram1 disk=/dev/ram2
view=/dev/mapper/view ingress=/dev/mapper/ingress

# start_secondary CHUNK [OPTION...]: both faces, the disk holding 0x11
start_secondary() {
	fill $disk 0x11
	secondary_create view $active $hidden $disk "$@"
	ingress_create ingress view
}

end_secondary() {
	dmsetup remove ingress
	dmsetup remove view
}

failover() {
	message view failover && wait_for 30 stage_is view "done"
}

# halves DEVICE LOWER UPPER DESCRIPTION: what the device's two halves hold
halves() {
	ok "$4: $2 below" verify "$1" "$2" 0 $half &&
		ok "$4: $3 above" verify "$1" "$3" $half
}

# status_is EXPECTED DESCRIPTION: of the view, all behind the mode
status_is() {
	is "$(dmsetup status view)" "0 131072 replication secondary $1" "$2"
}

ramdisks 3 64
# The stores are not new: nobody may see what they held.
fill $active 0xaa
fill $hidden 0xbb

diag "secondary/read, secondary/write, get_error"
start_secondary 128 manual_start
status_is "none 0 128 0/1024 0/1024 0/0 - -" "not started: stage none, nothing held"
eio "view, not started: read" pattern verify $view 0x11 0 64M 64M
eio "view, not started: write" pattern write $view 0x00 0 64M 64M
eio "ingress, not started: read" pattern verify $ingress 0x11 0 64M 64M
eio "ingress, not started: write" pattern write $ingress 0x00 0 64M 64M
halves $disk 0x11 0x11 "the disk, after writes that failed"
dm_log > /dev/null
fails "get_error, not started" message view get_error
like "$(dm_log)" "'get_error' in stage none: Block replication is not running"$ "says so in the log"
ok "start" message view start
status_is "running 1 128 0/1024 0/1024 0/0 - -" "started: running, nothing held"
halves $view 0x11 0x11 "view, started"
end_secondary

# start, write to both sides: chunks of 64 KiB, and again of 4 KiB
for chunk in 128 8; do
	n=$((131072 / chunk))

	diag "secondary/start, secondary/stop: chunks of $chunk sectors"
	start_secondary $chunk
	halves $view 0x11 0x11 "view"
	fill $ingress 0x22 $half
	halves $view 0x11 0x11 "view, 0x22 written to the ingress above"
	halves $disk 0x11 0x22 "disk"
	halves $ingress 0x11 0x22 "ingress"
	status_is "running 1 $chunk 0/$n $((n / 2))/$n 0/0 - -" "hidden holds the upper half"
	fill $view 0x33 0 $half
	halves $view 0x33 0x11 "view, 0x33 written to it below"
	halves $disk 0x11 0x22 "disk"
	status_is "running 1 $chunk $((n / 2))/$n $((n / 2))/$n 0/0 - -" "active holds the lower half"
	ok "get_error" message view get_error
	is "$reply" none "its answer"

	ok "failover" failover
	status_is "done 1 $chunk 0/$n 0/$n $n/$n - -" "all is merged"
	halves $view 0x33 0x11 "view, after failover"
	end_secondary
	halves $disk 0x33 0x11 "disk, after failover"
done

diag "secondary/stop, but without failover"
start_secondary 128
fill $ingress 0x22 $half
fill $view 0x33 0 $half
ok "stop" message view stop
status_is "done 2 128 0/1024 0/1024 0/0 - -" "done, nothing held, nothing merged"
halves $view 0x11 0x22 "view, stopped"
eio "ingress, stopped: write" pattern write $ingress 0x44 0 64k
eio "ingress, stopped: read" pattern verify $ingress 0x11 0 64k
fill $view 0x55 0 $half
halves $disk 0x55 0x22 "disk, 0x55 written to the view below"
end_secondary

diag "secondary/do_checkpoint"
start_secondary 128
fill $ingress 0x22 $half
fill $view 0x33 0 $half
halves $view 0x33 0x11 "view, before"
ok "checkpoint" message view checkpoint
status_is "running 2 128 0/1024 0/1024 0/0 - -" "a new epoch, nothing held"
halves $view 0x11 0x22 "view, after"
fill $ingress 0x44 $half
halves $view 0x11 0x22 "view, 0x44 written to the ingress above"
ok "failover" failover
halves $view 0x11 0x22 "view, after failover: that of the checkpoint"
end_secondary
halves $disk 0x11 0x22 "disk"

diag "secondary/continuous_replication"
start_secondary 128
lower=0x11
for round in 2 3 4; do
	fill $ingress "0x${round}0" $half
	fill $view "0x${round}3" 0 $half
	ok "round $round: checkpoint" message view checkpoint
	halves $view $lower "0x${round}0" "view"
	fill $ingress "0x${round}1" 0 $half
	lower=0x${round}1
done
fill $ingress 0x22 $half
fill $view 0x33 0 $half
ok "failover" failover
# Ignored from now on.
for word in start checkpoint stop failover; do
	ok "$word after failover" message view $word
done
status_is "done 4 128 0/1024 0/1024 1024/1024 - -" "nothing changes"
halves $view 0x33 0x40 "view"
end_secondary
# The host that took over becomes a secondary again, on the disk as it is.
secondary_create view $active $hidden $disk 128
ingress_create ingress view
halves $view 0x33 0x40 "view of a new secondary on it"
fill $ingress 0x66
fill $view 0x77 $half
ok "failover" failover
halves $view 0x33 0x77 "view, after the second failover"
end_secondary
halves $disk 0x33 0x77 "disk"

done_testing
