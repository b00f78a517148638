#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# bounded: yes
#
# "Zeroes": regions of the local disk that are zeroes are not sent to the replica, and take no
# space on a standby of sparse files.
. tests/lib.sh

primary=/dev/mapper/primary region=2048

# copy: 32 MiB of the device "local" to "replica"; two regions have data, one but in its last sector
copy() {
	fill /dev/mapper/replica 0x55
	fill /dev/mapper/local 0
	fill /dev/mapper/local 0x11 5M 1M
	dd if=/dev/urandom of=/dev/mapper/local bs=512 count=1 seek=$((10 * 2048 - 1)) oflag=direct status=none
	bios_begin
	META=- primary_create primary /dev/mapper/local /dev/mapper/replica $region
	ok "$1: in sync" wait_for 60 sync_is primary insync
	ok "$1: the legs are equal" equal /dev/mapper/local /dev/mapper/replica
	dmsetup remove primary
	written=$(bios replica | awk '$2 ~ /W/ { split($3, at, "+"); n += at[2] } END { print n / 2048 }')
}

modprobe sd_mod
modprobe scsi_debug dev_size_mb=64 delay=0 lbpu=1 lbpws=1 lbprz=1
wait_for 20 [ -b /dev/sda ]
dm_linear local /dev/sda 0 65536
dm_linear replica /dev/sda 65536 65536
copy "a replica that writes zeroes"
is "$written" 2 "what has data is written"
is "$(bios replica | grep -c ' N ')" 30 "all else is written as zeroes"
dm_remove_all
rmmod scsi_debug

nulldisks 2 32
dm_linear local /dev/nullb0
dm_linear replica /dev/nullb1
copy "a replica that discards"
is "$written" 2 "what has data is written"
is "$(bios replica | grep -c ' D ')" 30 "all else is discarded"
dm_remove_all

modprobe scsi_debug dev_size_mb=64 delay=0 lbpu=1 lbprz=0
wait_for 20 [ -b /dev/sda ]
echo 0 > /sys/block/sda/device/scsi_disk/*/max_write_same_blocks
dm_linear local /dev/sda 0 65536
dm_linear replica /dev/sda 65536 65536
copy "a replica that discards, and leaves what was there"
is "$written" 32 "all is written"
like "$(bios replica | grep -c ' D ')" '^[1-4]$' "and nothing more discarded"
dm_remove_all
rmmod scsi_debug

ramdisks 2 32
diag "a replica that offers discards, and fails them all with an error"
modprobe nbd nbds_max=1
ip link set lo up
nbdkit --filter=error -i 127.0.0.1 memory 32M error-trim=EIO error-trim-rate=100%
wait_for 20 nbd-client 127.0.0.1 /dev/nbd0 > /dev/null 2>&1
blockdev --setra 0 /dev/nbd0
fill /dev/ram0 0x11 5M 1M
META=- primary_create primary /dev/ram0 /dev/nbd0 $region
ok "in sync" wait_for 60 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/nbd0
dm_remove_all
nbd-client -d /dev/nbd0 > /dev/null

dm_linear local /dev/ram0
dm_linear replica /dev/ram1
copy "a replica that can do neither"
is "$written" 32 "all is written"
dm_remove_all

diag "a standby of sparse files"
modprobe loop
mkdir "$scratch/files"
mount -t tmpfs -o size=200M tmpfs "$scratch/files"
for i in 0 1 2 3; do
	truncate -s 32M "$scratch/files/$i"
	losetup "/dev/loop$i" "$scratch/files/$i"
done
# takes FILE: how many MiB
takes() {
	du -m "$scratch/files/$1" | cut -f 1
}
fill /dev/loop0 0x11 5M 1M
META=- secondary_create view /dev/loop2 /dev/loop3 /dev/loop1 8
ingress_create in view
META=- primary_create primary /dev/loop0 /dev/mapper/in $region
ok "in sync" wait_for 60 sync_is primary insync
ok "the legs are equal" equal /dev/loop0 /dev/loop1
ok "zeroes take no space on the secondary: $(takes 1) MiB" [ "$(takes 1)" -le 2 ]
ok "nor in hidden: $(takes 3) MiB" [ "$(takes 3)" -le 2 ]
ok "the view has what was there" verify /dev/mapper/view 0
message view checkpoint
ok "all is discarded on the primary" blkdiscard -f $primary
ok "the legs are equal" equal /dev/loop0 /dev/loop1
ok "the view has what was there" verify /dev/mapper/view 0x11 5M 1M
ok "the rest of it" verify /dev/mapper/view 0 6M 26M
ok "hidden has no more than that: $(takes 3) MiB" [ "$(takes 3)" -le 2 ]
dm_remove_all
losetup -D
umount "$scratch/files"
done_testing
