#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# cpus: 2
#
# Rule 7: the merge copies the view's content to the secondary while the view is
# read and written, and survives suspend, noflush suspend, reload and removal of
# the table; no write is lost, and no one I/O waits for the merge.
. tests/lib.sh

chunk=8

load() {
	hammer --view /dev/mapper/view --seconds 0 --threads 4 --chunk $chunk \
		--seed "$RANDOM" --stop-file "$scratch/stop" > "$scratch/hammer" 2>&1 &
	pid=$!
}

# Ends the load; its own last act is to compare all that it wrote.
load_ok() {
	touch "$scratch/stop"
	wait "$pid"
	local status=$?
	diag "$(tail -n 1 "$scratch/hammer")"
	rm "$scratch/stop"
	return $status
}

# A view of 32 MiB, of which active holds 4 and hidden 4 more, in short runs; from
# now on the secondary takes so many milliseconds for a write.
setup() {
	local at
	fill /dev/ram2 0x11
	dm_delay slow /dev/ram2 0 0
	rig $chunk /dev/mapper/slow
	fill /dev/mapper/in 0x22 0 8M
	for at in {0..31}; do
		fill /dev/mapper/view 0x33 $((at * 256))k 128k
	done
	dm_delay slow /dev/ram2 0 "$1"
}

# The secondary is quick from now on. How long the merge would take at the slow
# pace depends on how many runs the load has made of the chunks: on the machine.
quicken() {
	dm_delay slow /dev/ram2 0 0
}

merged() {
	cmp /dev/ram2 "$scratch/image"
}

ramdisks 3 32
setup 200
load
sleep 0.5
ok "failover under load" message view failover
is "$(stage view)" failover "the merge takes its time"
sleep 3
quicken
ok "it comes to its end" wait_for 60 stage_is view "done"
ok "no write is lost" load_ok
dd if=/dev/mapper/view of="$scratch/image" bs=1M iflag=direct status=none
dm_remove_all
ok "the secondary holds what the view held" merged

# The same, with everything in its way.
setup 1500
load
sleep 0.5
message view failover
merging=0
for way in "" "--noflush --nolockfs"; do
	# shellcheck disable=SC2086 # words
	ok "suspend ${way:-with flush}" dmsetup suspend $way view
	stage_is view failover && ((++merging))
	before=$(status_field view 7)
	sleep 1.5
	is "$(status_field view 7)" "$before" "no copy while suspended"
	ok "load the same table" dmsetup load view --table "$(dmsetup table view)"
	ok "resume it" dmsetup resume view
done
is $merging 2 "all that happened during the merge"
quicken
ok "the merge goes on to its end" wait_for 60 stage_is view "done"
ok "no write is lost" load_ok
dd if=/dev/mapper/view of="$scratch/image" bs=1M iflag=direct status=none
dm_remove_all
ok "the secondary holds what the view held" merged

# Removal during the merge finishes it first. The secondary is slow enough for the
# removal to begin before the first copy is done, and quick once it has.
log=''
finishing() {
	log+=$(dmesg_since)
	[[ $log == *"finishing the merge before the table goes"* ]]
}

setup 5000
fill /dev/mapper/view 0x44 8M 24M # more than what is copied at once
dd if=/dev/mapper/view of="$scratch/image" bs=1M iflag=direct status=none
dmsetup remove in
dmesg_since > /dev/null
message view failover
dmsetup remove view &
remove=$!
ok "removal finishes the merge first, and says so" wait_for 60 finishing
quicken
ok "the view is removed" wait $remove
log+=$(dmesg_since)
like "$log" "finishing the merge.*stage done" "when the merge is done"
dmsetup remove slow
ok "the secondary holds what the view held" merged
ok "and the module is free" rmmod dm_replication
insmod "$REPL_MODULE"

# Without a failover, removal leaves the secondary as the primary wrote it.
setup 0
dm_remove_all
ok "removal while running: the primary's writes" verify /dev/ram2 0x22 0 8M
ok "and the rest untouched" verify /dev/ram2 0x11 8M 24M
done_testing
