#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300
#
# A command of dmrepctl that is interrupted, or killed, leaves nothing behind: no table that
# a later resume would use, and no half-made device. The same command can be given again.
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
done_testing
