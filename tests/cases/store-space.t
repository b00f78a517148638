#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
#
# The stores may be thin. Who needs space that there is not is told ENOSPC, the status and
# the log name the device, and all goes on when there is space. A checkpoint gives the
# space of both stores back, unless the table says no_discard.
. tests/lib.sh

modprobe dm_thin_pool || skip_all "this kernel has no dm-thin"

# pool MIB: makes the pool, or gives it that much space.
pool() {
	dm_linear data /dev/ram0 0 $(($1 * 2048))
	dm_table pool "0 $(($1 * 2048)) thin-pool /dev/mapper/meta /dev/mapper/data 128 0 1 error_if_no_space"
}

# thin NAME ID
thin() {
	dmsetup message pool 0 "create_thin $2"
	dm_table "$1" "0 $(sectors /dev/ram2) thin /dev/mapper/pool $2"
}

# How many blocks of 64 KiB of the pool are in use.
used() {
	dmsetup status pool | cut -d ' ' -f 6 | cut -d / -f 1
}

used_is() {
	[ "$(used)" -eq "$1" ]
}

# set_up MIB [OPTION...]
set_up() {
	dd if=/dev/zero of=/dev/ram1 bs=4k count=1 oflag=direct status=none
	dm_linear meta /dev/ram1
	pool "$1"
	thin active 1
	thin hidden 2
	fill /dev/ram2 0x11
	dm_linear disk /dev/ram2
	secondary_create view /dev/mapper/active /dev/mapper/hidden /dev/mapper/disk 8 "${@:2}"
	ingress_create in view
	dmesg_since > /dev/null
}

# no_space DESCRIPTION COMMAND...
no_space() {
	if ! capture "${@:2}"; then
		like "$output" "No space left on device" "$1"
	else
		fail "$1"
	fi
}

ramdisks 3 24
error() {
	status_field view 9
}

diag "hidden has no space"
set_up 4
no_space "the write of the ingress fails" fill /dev/mapper/in 0x22 0 8M
is "$(error)" cow-nospc "the status"
like "$(dmesg_since)" "I/O error: cow-nospc: hidden has no space left; make space there, or take a checkpoint" \
	"the log"
ok "the view shows the old" verify /dev/mapper/view 0x11
ok "what was not saved is not overwritten" verify /dev/mapper/disk 0x11 7M 1M
pool 20
ok "with more space it goes on" fill /dev/mapper/in 0x22 0 8M
ok "the view shows the old" verify /dev/mapper/view 0x11
ok "a checkpoint" message view checkpoint
is "$(error)" - "ends the error"
ok "the view shows the new" verify /dev/mapper/view 0x22 0 8M
dm_remove_all

diag "active has no space"
set_up 4
no_space "the write of the view fails" fill /dev/mapper/view 0x33 0 8M
is "$(error)" active-nospc "the status"
like "$(dmesg_since)" "I/O error: active-nospc: active has no space left" "the log"
no_space "so does one of a part of a chunk" \
	dd if=/dev/zero of=/dev/mapper/view bs=512 seek=32768 count=1 oflag=direct status=none
ok "what was there is there" verify /dev/mapper/view 0x11 8M
ok "a checkpoint" message view checkpoint
is "$(error)" - "ends the error"
dm_remove_all

diag "the secondary has no space for the merge"
set_up 12
dmsetup remove in && dmsetup remove view
thin thick 3
ok "a thin secondary" fill /dev/mapper/thick 0x11 0 8M
secondary_create view /dev/mapper/active /dev/mapper/hidden /dev/mapper/thick 8
fill /dev/mapper/view 0x33 8M 3M
message view failover
ok "the failover fails" wait_for 20 stage_is view failover-failed
is "$(error)" merge-nospc "the status"
ok "the view is whole" verify /dev/mapper/view 0x33 8M 3M
pool 20
ok "again, with more space" message view failover
ok "it is done" wait_for 20 stage_is view "done"
ok "the disk" verify /dev/mapper/thick 0x33 8M 3M
dm_remove_all
diag "a checkpoint gives the space back"
set_up 20
fill /dev/mapper/in 0x22 0 6M
fill /dev/mapper/view 0x33 6M 6M
ok "12 MiB are in use" used_is 192
ok "a checkpoint" message view checkpoint
ok "all of it is given back" wait_for 20 used_is 0
fill /dev/mapper/in 0x44 1M 1M
fill /dev/mapper/view 0x55 3M 1M
ok "2 MiB are in use" used_is 32
fill /dev/mapper/view 0x66 13M 1M
ok "another checkpoint" message view checkpoint
fill /dev/mapper/in 0x77 0 2M
fill /dev/mapper/view 0x88 13M 512k
ok "what is held now stays" wait_for 20 used_is 40
ok "the view shows it" verify /dev/mapper/view 0x22 0 1M
ok "and this" verify /dev/mapper/view 0x44 1M 1M
ok "and this" verify /dev/mapper/view 0x88 13M 512k
dmsetup suspend --nolockfs view
ok "a checkpoint while it is suspended" message view checkpoint
dmsetup resume view
ok "gives back after the resume" wait_for 20 used_is 0
fill /dev/mapper/in 0x99 0 2M
fill /dev/mapper/view 0xaa 13M 2M
message view failover
ok "failover" wait_for 20 stage_is view "done"
ok "gives back" wait_for 20 used_is 0
ok "the disk" verify /dev/mapper/disk 0x77 0 2M
ok "the disk" verify /dev/mapper/disk 0xaa 13M 2M
dm_remove_all

diag "so does a stop"
set_up 20
fill /dev/mapper/in 0x22 0 2M
ok "stop" message view stop
ok "gives back" wait_for 20 used_is 0
dm_remove_all

diag "no_discard"
set_up 20 no_discard
like "$(dmsetup table view)" " 8 1 no_discard$" "the table"
fill /dev/mapper/in 0x22 0 2M
ok "a checkpoint" message view checkpoint
bios_begin
fill /dev/mapper/in 0x33 4M 2M
ok "another one" message view checkpoint
is "$(bios active hidden | grep -c ' D ')" 0 "nothing is discarded"
ok "all of it is in use" used_is 64
dm_table view "$(secondary_table - /dev/mapper/active /dev/mapper/hidden /dev/mapper/disk 8)"
ok "without the option it is given back" wait_for 20 used_is 0
dm_remove_all
done_testing
