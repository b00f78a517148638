#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
#
# An unreadable sector of the secondary does not keep the primary from writing there, which
# heals the disk. What can be read of the old content is saved; reads of the rest fail on
# the view, with or without a restart, and never show anything else. A failover leaves out
# what was lost, and says so. A secondary that fails all I/O for a moment has lost nothing.
. tests/lib.sh

ramdisks 4 16
META=/dev/ram3
modprobe sd_mod
modprobe scsi_debug dev_size_mb=16 delay=0 || skip_all "this kernel has no scsi_debug"
wait_for 20 [ -b /dev/sda ]
debug=/sys/module/scsi_debug/parameters
opts=/sys/bus/pseudo/drivers/scsi_debug/opts

# What the secondary lies on.
LOWER=/dev/sda

# bad_reads FIRST SECTORS: reads fail there, as on a disk with bad sectors, until "good".
bad_reads() {
	echo "$1" > $debug/medium_error_start
	echo "$2" > $debug/medium_error_count
	echo 2 > $opts
}

# bad FIRST SECTORS: so do writes.
bad() {
	dm_table disk "0 $1 linear $LOWER 0
$1 $2 error
$(($1 + $2)) $((32768 - $1 - $2)) linear $LOWER $(($1 + $2))"
}

good() {
	echo 0 > "$opts"
	dm_linear disk "$LOWER"
}

# set_up CHUNK
set_up() {
	[ "$META" = - ] || dd if=/dev/zero of="$META" bs=4k count=1 oflag=direct status=none
	good
	fill /dev/mapper/disk 0x11
	create "$1"
	dmesg_since > /dev/null
}

create() {
	secondary_create view /dev/ram0 /dev/ram1 /dev/mapper/disk "$1"
	ingress_create in view
}

error_is() {
	[ "$(status_field view 9)" = "$1" ]
}

take_down() {
	dmsetup remove in && dmsetup remove view
}

# Sector 4099 of the chunk of 64 KiB that begins at sector 4096 (2 MiB).
diag "a sector in a chunk of 64 KiB"
set_up 128
bad_reads 4099 1
ok "the primary writes next to it" fill /dev/mapper/in 0x22 $((4104 * 512)) 4k
is "$(status_field view 9)" secondary-io "the status"
like "$(dmesg_since)" "1 sectors from 4099 on cannot be read: lost until the next checkpoint" \
	"the log"
ok "and the sector itself" fill /dev/mapper/in 0x22 $((4096 * 512)) 4k
good
ok "the disk is healed" verify /dev/mapper/disk 0x22 $((4096 * 512)) 4k
eio "the view cannot read it" dd if=/dev/mapper/view of=/dev/null bs=512 skip=4099 count=1 iflag=direct
eio "nor what it is a part of" dd if=/dev/mapper/view of=/dev/null bs=4k skip=512 count=1 iflag=direct
ok "it reads what is before" verify /dev/mapper/view 0x11 0 $((4099 * 512))
ok "and behind" verify /dev/mapper/view 0x11 $((4100 * 512))

take_down
create 128
eio "nor can it after a restart" dd if=/dev/mapper/view of=/dev/null bs=512 skip=4099 count=1 iflag=direct
ok "it reads what is before" verify /dev/mapper/view 0x11 0 $((4099 * 512))
ok "and behind" verify /dev/mapper/view 0x11 $((4100 * 512))

ok "the view writes elsewhere in the chunk" fill /dev/mapper/view 0x33 $((4160 * 512)) 4k
sync /dev/mapper/view
eio "it still cannot read the sector" dd if=/dev/mapper/view of=/dev/null bs=512 skip=4099 count=1 iflag=direct
ok "but the rest" verify /dev/mapper/view 0x11 $((4100 * 512)) $((60 * 512))
ok "and what it has written" verify /dev/mapper/view 0x33 $((4160 * 512)) 4k
take_down
create 128
eio "so after a restart" dd if=/dev/mapper/view of=/dev/null bs=512 skip=4099 count=1 iflag=direct
ok "with the rest" verify /dev/mapper/view 0x33 $((4160 * 512)) 4k
ok "the view writes the sector" fill /dev/mapper/view 0x44 $((4099 * 512)) 512
ok "and reads it" verify /dev/mapper/view 0x44 $((4099 * 512)) 512
sync /dev/mapper/view
take_down
create 128
ok "so after a restart" verify /dev/mapper/view 0x44 $((4099 * 512)) 512
ok "a checkpoint" message view checkpoint
ok "all can be read" verify /dev/mapper/view 0x22 $((4096 * 512)) 8k
take_down

diag "chunks of 4 KiB"
set_up 8
bad_reads 4096 64
ok "the primary writes all of it" fill /dev/mapper/in 0x22 $((4096 * 512)) 32k
good
eio "the view cannot read it" dd if=/dev/mapper/view of=/dev/null bs=4k skip=515 count=1 iflag=direct
ok "it reads what is before" verify /dev/mapper/view 0x11 0 2M
ok "and behind" verify /dev/mapper/view 0x11 $((4160 * 512))
ok "the view writes some of it" fill /dev/mapper/view 0x33 $((4104 * 512)) 8k
ok "and reads it" verify /dev/mapper/view 0x33 $((4104 * 512)) 8k
take_down
create 8
eio "after a restart it cannot read the other" dd if=/dev/mapper/view of=/dev/null bs=4k skip=515 count=1 iflag=direct
dmesg_since > /dev/null
fill /dev/mapper/view 0x55 8M 1M
message view failover
ok "a failover" wait_for 20 stage_is view "done"
is "$(status_field view 9)" merge-lost "the status"
like "$(dmesg_since)" "8 lost sectors from 4096 on are not rolled back" \
	"the log"
ok "the disk has the view's writes" verify /dev/mapper/disk 0x33 $((4104 * 512)) 8k
ok "and these" verify /dev/mapper/disk 0x55 8M 1M
ok "what is lost is the primary's" verify /dev/mapper/disk 0x22 $((4128 * 512)) 16k
ok "and this" verify /dev/mapper/disk 0x22 $((4096 * 512)) 4k
take_down

diag "a write that does not reach the secondary"
set_up 128
bad 4096 8
eio "fails" dd if=/dev/zero of=/dev/mapper/in bs=4k seek=512 count=1 oflag=direct
good
ok "the rest of the chunk is the old one" verify /dev/mapper/view 0x11 $((4104 * 512))
take_down

diag "more than can be noted"
set_up 128
bad_reads 0 32768
ok "a write is taken" fill /dev/mapper/in 0x22 0 1M
fails "and others are not" fill /dev/mapper/in 0x22 4M 4M
good
ok "and the disk has its old content there" verify /dev/mapper/disk 0x11 7M 1M
ok "which the view shows" verify /dev/mapper/view 0x11 7M 1M
take_down

# away CHUNK: a set with chunks of so many sectors, whose secondary is away while the primary writes 1 MiB.
away() {
	diag "a secondary that fails all I/O for a moment, with chunks of $(($1 / 2)) KiB"
	set_up "$1"
	dm_error disk
	eio "a write fails" fill /dev/mapper/in 0x22 4M 1M
	is "$(status_field view 9)" cow-io "the status"
	eio "as does one of a part of a chunk on the view" fill /dev/mapper/view 0x33 $((5 * 2048 * 512 + 512)) 512
	good
	ok "the disk is as it was" verify /dev/mapper/disk 0x11
	ok "and so is the view" verify /dev/mapper/view 0x11
	ok "the primary writes again" fill /dev/mapper/in 0x22 4M 1M
	ok "which the view does not show" verify /dev/mapper/view 0x11
	take_down
	create "$1"
	ok "nor after a restart" verify /dev/mapper/view 0x11
	ok "a failover" message view failover
	ok "ends" wait_for 30 stage_is view "done"
	ok "and the disk is rolled back" verify /dev/mapper/disk 0x11
	take_down
}
away 128
away 8
dm_remove_all

# gone_part NAME FIRST SECTORS: this part of the disk, so many sectors of sda, is away while the
# primary writes 1 MiB from 4 MiB on.
gone_part() {
	set_up 128
	dm_error "$1"
	eio "a write fails" fill /dev/mapper/in 0x22 4M 1M
	dm_linear "$1" /dev/sda "$2" "$3"
	ok "the disk is as it was" verify /dev/mapper/disk 0x11 5M
	ok "and so is the view" verify /dev/mapper/view 0x11
	ok "the primary writes again" fill /dev/mapper/in 0x22 4M 1M
	ok "a failover" message view failover
	ok "ends" wait_for 30 stage_is view "done"
	is "$(status_field view 9)" cow-io "the error is that of the write"
	ok "and the disk is rolled back" verify /dev/mapper/disk 0x11
	dm_remove_all
}
for i in 0 1 2; do
	dm_linear leg$i /dev/sda $((i * 10240)) 10240
done
diag "a leg of a striped disk is away for a moment"
dm_table striped "0 30720 striped 3 128 /dev/mapper/leg0 0 /dev/mapper/leg1 0 /dev/mapper/leg2 0"
LOWER=/dev/mapper/striped
gone_part leg1 10240 10240
# The second begins at 4.5 MiB, in the middle of what is written.
diag "a part of a linear disk is away for a moment"
dm_linear leg0 /dev/sda 0 9216
dm_linear leg1 /dev/sda 9216 21504
dm_table linear "0 9216 linear /dev/mapper/leg0 0
9216 21504 linear /dev/mapper/leg1 0"
LOWER=/dev/mapper/linear
gone_part leg1 9216 21504
dm_linear leg0 /dev/sda 0 9216
dm_linear leg1 /dev/sda 9216 21504
dm_table linear "0 9216 linear /dev/mapper/leg0 0
9216 21504 linear /dev/mapper/leg1 0"
gone_part leg0 0 9216
LOWER=/dev/sda

diag "a bad area of a disk that takes long for each block"
set_up 128
dm_delay disk /dev/sda 500 0
bad_reads 4096 128
fill /dev/mapper/in 0x22 2M 4k 2> /dev/null &
writer=$!
sleep 2
before=$SECONDS
ok "a failover" message view failover
ok "waits some seconds for it, not $((SECONDS - before))" [ $((SECONDS - before)) -lt 40 ]
fails "the write failed" wait $writer
ok "it ends" wait_for 60 stage_is view "done"
good
ok "the disk is as it was" verify /dev/mapper/disk 0x11
take_down

diag "a merge that has left something out is interrupted"
set_up 8
bad_reads 4096 8
ok "the primary writes" fill /dev/mapper/in 0x22 2M 4k
echo 0 > "$opts"
message view clear_error
fill /dev/mapper/view 0x55 6M 2M
dm_table disk "0 12288 linear /dev/sda 0
12288 20480 delay /dev/sda 12288 0 /dev/sda 12288 3000"
ok "a failover" message view failover
ok "it has come to the chunk" wait_for 20 error_is merge-lost
take_down
good
create 8
ok "it ends after a restart" wait_for 60 stage_is view "done"
is "$(status_field view 9)" merge-lost "and still says so"
take_down
dm_remove_all

# A loop device says of a bad sector what a device that is gone says.
diag "bad sectors of a disk that says no more than that"
modprobe loop
LOWER=$(losetup -f --show --direct-io=on /dev/sda)
set_up 8
bad_reads 4096 16
ok "the primary writes two chunks of 4 KiB" fill /dev/mapper/in 0x22 2M 8k
is "$(status_field view 9)" secondary-io "the status"
good
ok "the disk is healed" verify /dev/mapper/disk 0x22 2M 8k
eio "the view cannot read the one" dd if=/dev/mapper/view of=/dev/null bs=4k skip=512 count=1 iflag=direct
eio "nor the other" dd if=/dev/mapper/view of=/dev/null bs=4k skip=513 count=1 iflag=direct
ok "it reads what is before" verify /dev/mapper/view 0x11 0 2M
ok "and behind" verify /dev/mapper/view 0x11 $((4112 * 512))
take_down
set_up 128
bad_reads 32767 1
ok "the primary writes next to the last sector" fill /dev/mapper/in 0x22 $((32704 * 512)) 4k
good
eio "the view cannot read that" dd if=/dev/mapper/view of=/dev/null bs=512 skip=32767 count=1 iflag=direct
ok "but all before" verify /dev/mapper/view 0x11 0 $((32767 * 512))
take_down
dm_remove_all
losetup -d "$LOWER"
LOWER=/dev/sda

diag "without metadata"
META=-
set_up 8
bad_reads 4096 8
ok "the primary writes" fill /dev/mapper/in 0x22 2M 4k
good
eio "the view cannot read that" dd if=/dev/mapper/view of=/dev/null bs=4k skip=512 count=1 iflag=direct
ok "but behind" verify /dev/mapper/view 0x11 $((4104 * 512))
ok "a checkpoint" message view checkpoint
ok "after it it can" verify /dev/mapper/view 0x22 2M 4k
take_down
dm_remove_all
done_testing
