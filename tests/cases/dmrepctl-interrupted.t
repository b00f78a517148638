#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 700
#
# A command of dmrepctl that is interrupted, or killed, leaves nothing behind: no table that
# a later resume would use, no half-made device, and no half a merge. The same command can be
# given again.
. tests/lib.sh
. tests/dmrepctl.sh

ramdisks 4 16
way=/dev/mapper/way
dm_linear way /dev/ram1

# begin WORD...: a dmrepctl, with its process in $pid. A background job of bash would ignore
# INT; and whoever kills a group of processes kills no more than it.
begin() {
	rm -f "$scratch/pid"
	setsid -f env --default-signal=INT bash -c \
		"echo \$\$ > $scratch/pid; exec dmrepctl $*" > "$scratch/said" 2>&1
	wait_for 20 [ -s "$scratch/pid" ] && pid=$(< "$scratch/pid")
}

# is_in FUNCTION: the kernel is there for it
is_in() {
	grep -q "$1" "/proc/$pid/stack"
}

is_written() {
	grep -q direct_IO "/proc/$(pgrep -x pattern)/stack"
}

gone() {
	! kill -0 "$pid" 2> /dev/null
}

# tables_are NAME TABLES: "Live" or "None", that is to say no other one is loaded
tables_are() {
	[ "$(dmsetup info "$1" | sed -n 's/^Tables present: *//p')" = "$2" ]
}

no_device() {
	! dmsetup info "$1" > /dev/null 2>&1
}

replica() {
	dmsetup table data | cut -d ' ' -f 7
}

primary() {
	dd if=/dev/zero of=/dev/ram2 bs=4k count=1 status=none
	dmrepctl create primary data --local /dev/ram0 --replica $way --metadata /dev/ram2 \
		--replica-timeout 600 --insync
}

for signal in INT TERM KILL; do
	diag "$signal, while a swap waits for a replica that hangs"
	ok "a primary" primary
	dmsetup suspend --noflush --nolockfs way
	fill /dev/mapper/data 0x11 0 64k &
	writer=$!
	ok "it has a write that waits" wait_for 20 is_written
	begin swap-replica data /dev/ram3 --force
	ok "the swap waits" wait_for 60 is_in dm_suspend
	kill -$signal "$pid"
	ok "it ends" wait_for 20 gone
	ok "no table is left loaded" wait_for 20 tables_are data LIVE
	[ $signal = KILL ] || is "$(< "$scratch/said")" "dmrepctl: data: interrupted: its table stays as it was" \
		"it says so"
	dmsetup resume way
	wait $writer
	dmsetup suspend data
	dmsetup resume data
	is "$(replica)" "$(dm_column way major):$(dm_column way minor)" \
		"a later suspend and resume does not swap the replica"
	says_like 0 "(data: copying .*)?data: in sync.*" swap-replica data /dev/ram3 --force
	is "$(replica)" 1:3 "the same command again does"
	says 0 "" remove data
done

# What the metadata device lacks, or nothing
note() {
	cat "/var/lib/dm-replication/stale-metadata/$(dm_column data uuid)" 2> /dev/null
}

dd if=/dev/zero of=/dev/ram2 bs=4k count=1 status=none
dm_linear meta /dev/ram2
ok "a primary" dmrepctl create primary data --local /dev/ram0 --replica $way --metadata /dev/mapper/meta \
	--replica-timeout 600 --insync
ok "a write" fill /dev/mapper/data 0x12 2M 4k
dm_error_writes meta /dev/ram2
eio "a write that has to be noted" pattern write /dev/mapper/data 0x44 5M 4k
lacks="" # by the note of a swap before
for signal in INT KILL TERM; do
	diag "$signal, while a swap waits that nobody would know of after a crash"
	dmsetup suspend --noflush --nolockfs way
	fill /dev/mapper/data 0x13 2M 4k &
	writer=$!
	ok "it has a write that waits" wait_for 20 is_written
	begin swap-replica data /dev/ram3 --force
	ok "the swap waits" wait_for 60 is_in dm_suspend
	is "$(note)" "the new replica" "there is a note before the swap"
	kill -$signal "$pid"
	ok "it ends" wait_for 20 gone
	ok "no table is left loaded" wait_for 20 tables_are data LIVE
	# Whoever is killed can take nothing back.
	[ $signal != KILL ] || lacks="the new replica"
	is "$(note)" "$lacks" "the note is as it has to be"
	dmsetup resume way
	wait $writer
	is "$(replica)" "$(dm_column way major):$(dm_column way minor)" "the replica is the old one"
done
dmrepctl remove data
dm_linear meta /dev/ram2
says_like 3 "dmrepctl: metadata device /dev/mapper/meta: it had failed, and does not have the new replica: .*" \
	create primary data --local /dev/ram0 --replica /dev/ram3 --metadata /dev/mapper/meta
dmsetup remove meta

diag "a table that was loaded by somebody else"
ok "a primary" primary
dmsetup load data --table "$(dmsetup table data | sed "s/ [0-9]*:[0-9]* 2048 .*/ \/dev\/ram3 2048/")"
ok "it is loaded" tables_are data "LIVE & INACTIVE"
says_like 0 "dmrepctl: data: a table was loaded and never used, perhaps by a command that was killed: it is dropped (data: copying .*)?data: in sync.*" \
	swap-replica data /dev/ram3 --force
ok "no table is left loaded" tables_are data LIVE
says 0 "" remove data

diag "a device that is being made"
dm_delay slow /dev/ram2 2000 0
dd if=/dev/zero of=/dev/ram2 bs=4k count=1 status=none
begin create primary data --local /dev/ram0 --replica $way --metadata /dev/mapper/slow --force
ok "its metadata is being read" wait_for 60 is_in table_load
kill -KILL "$pid"
ok "it ends" wait_for 20 gone
ok "there is no such device" wait_for 20 no_device data
says 0 "" create primary data --local /dev/ram0 --replica $way --metadata /dev/mapper/slow --force
dmrepctl remove data
dmsetup remove slow

# A view without metadata, whose merge waits for its disk
merging_view() {
	dm_linear disk /dev/ram0
	fill /dev/mapper/disk 0x11
	dmrepctl create secondary view -s /dev/mapper/disk -a /dev/ram2 -H /dev/ram3 -m none --force &&
		dmrepctl create ingress in --top view || return
	fill /dev/mapper/view 0x22 0 4M
	fill /dev/mapper/in 0x33 8M 4M
	dmsetup suspend disk
	dmrepctl failover view --yes --no-wait && stage_is view failover
}

# merge_ends: and the disk is neither of the two, but what the view was
merge_ends() {
	dmsetup resume disk
	wait_for 60 stage_is view "done" && verify /dev/mapper/view 0x22 0 4M &&
		verify /dev/mapper/view 0x11 4M
}

conf=/etc/dmrepctl.conf
cat > $conf <<-END
	view { mode = "secondary" secondary = "/dev/mapper/disk" active = "/dev/ram2" hidden = "/dev/ram3" metadata = "none" ingress = "in" }
END
goes_on="dmrepctl: view: the merge goes on; dmrepctl failover view waits for its end, dmrepctl status view shows how far it is
dmrepctl: view: nothing was removed; give the same command again, when the merge is done"
for case in "INT remove in view" "TERM remove --all --force" "HUP down" "KILL remove in view"; do
	signal=${case%% *} command=${case#* }
	diag "$signal, while dmrepctl $command waits for a merge"
	ok "a view that merges" merging_view
	begin "$command"
	ok "it says so" wait_for 60 grep -q "^view: merging 8 MiB$" "$scratch/said"
	kill -"$signal" "$pid"
	ok "it ends" wait_for 20 gone
	[ "$signal" = KILL ] || is "$(tail -n 2 "$scratch/said")" "$goes_on" "it says what to do"
	is "$(stage view) $(stage in)" "failover failover" "nothing is removed"
	ok "the merge goes on to its end" merge_ends
	says 0 "" remove in view
	ok "the disk is what the view was" verify /dev/mapper/disk 0x11 4M
done

diag "a removal that waits for a merge, and is left alone"
ok "a view that merges" merging_view
begin remove in view
ok "it waits" wait_for 60 grep -q "^view: merging 8 MiB$" "$scratch/said"
dmsetup resume disk
ok "it ends" wait_for 60 gone
ok "the view has gone" no_device view
like "$(tail -n 1 "$scratch/said")" "^view: done, 8 MiB merged in [0-9]+ s$" "when the merge was done"
ok "the disk is what the view was" verify /dev/mapper/disk 0x22 0 4M
ok "all of it" verify /dev/mapper/disk 0x11 4M

diag "a view that is suspended"
ok "a view that merges" merging_view
dm_delay disk /dev/ram0 0 2000
dmsetup suspend view
is "$(stage view)" failover "its merge is not done"
says 3 "dmrepctl: view: it is suspended, so its merge does not go on; dmsetup resume view, then dmrepctl remove again; or --force" \
	remove in view
dm_linear disk /dev/ram0
dmsetup resume view
ok "the merge goes on to its end" merge_ends
says 0 "" remove in view

diag "a merge that fails meanwhile"
ok "a view that merges" merging_view
begin remove in view
ok "it waits" wait_for 60 grep -q "^view: merging 8 MiB$" "$scratch/said"
dmsetup load disk --table "0 $(sectors /dev/mapper/disk) error"
dmsetup resume disk
ok "it ends" wait_for 60 gone
is "$(stage view) $(stage in)" "failover-failed failover-failed" "nothing is removed"
like "$(< "$scratch/said")" "dmrepctl: view: the merge has failed: merge-io; .*dmrepctl failover view goes on with it" \
	"it says what to do"
says 0 "" remove in view --force
done_testing
