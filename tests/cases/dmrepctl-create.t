#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
#
# dmrepctl create, format and remove: what would be overwritten or lost is not touched,
# and who wants it done is told why, and how.
. tests/lib.sh
. tests/dmrepctl.sh

A=/dev/ram0 H=/dev/ram1 S=/dev/ram2 M=/dev/ram3 other=/dev/ram4
mib=4
ramdisks 5 $mib

create=(create secondary view --active "$A" --hidden "$H" --secondary "$S")

zero() {
	dd if=/dev/zero of="$1" bs=1M count=$mib oflag=direct status=none
}

checksums() {
	for device in /dev/ram?; do
		dd if="$device" bs=1M iflag=direct status=none | sha1sum
	done
}

nothing_there() {
	is "$(dm_names)" "" "there is no device"
}

diag "a set without metadata"
says 0 "0 8192 replication secondary - $A $H $S 8" "${create[@]}" --metadata none --dry-run
says 0 "0 8192 replication secondary - $A $H $S 128 1 manual_start" \
	"${create[@]}" -m - -c 64K --manual-start -n
nothing_there
says 0 "" "${create[@]}" --metadata none
says 0 "0 8192 replication ingress /dev/mapper/view" create ingress in --top view -n
says 0 "" create ingress in --top view
is "$(dmsetup table view)" "0 8192 replication secondary - 1:0 1:1 1:2 8" "the view's table"
like "$(dm_column view uuid)" "^DMREPL-SECONDARY-[0-9a-f]{32}$" "the view's UUID"
like "$(dm_column in uuid)" "^DMREPL-INGRESS-[0-9a-f]{32}$" "the ingress's UUID"
is "$(stage view)" running "it runs"

diag "what is in use"
says 1 "dmrepctl: view: there is a device of this name already" "${create[@]}" -m none
used="it is in use: on it there is view"
both="it is in use: on it there is (in, view|view, in)"
says_like 3 "dmrepctl: secondary device $S: $both" create secondary view2 -s $S -a $M -H $other -m none
says 3 "dmrepctl: active device $A: $used" create secondary view2 -s $M -a $A -H $other -m none
says_like 3 "dmrepctl: metadata device $H: $both" format $H
says_like 3 "dmrepctl: metadata device $H: $both" format $H --force
says 1 "dmrepctl: in: this is no view, but a device of the mode ingress; the top is a view" \
	create ingress in2 --top in

diag "remove"
says 2 "dmrepctl: remove: what? A NAME, or --all" remove
says 2 "dmrepctl: remove: either a NAME or --all" remove --all view
says 1 "dmrepctl: nobody: there is no such device; dmrepctl list has those that are" remove nobody
says 3 "dmrepctl: view: the ingress in is on it; dmrepctl remove in view" remove view
exec {held}< /dev/mapper/in
says_like 3 "dmrepctl: in: it is in use: process $$ \(.*\) has it open" remove view in
exec {held}<&-

diag "what has a device open for a moment, as udev has"
# opened SECONDS NAME COUNT: a program called agent has it open, which is open so often then
opened() {
	( exec -a agent sleep "$1" ) 5< "/dev/mapper/$2" &
	wait_for 20 is_open "$2" "$3"
}
opened 2 in 1
says 0 "" remove in
opened 2 view 1
says 0 "" remove view
nothing_there
dmrepctl "${create[@]}" -m none && dmrepctl create ingress in --top view
opened 1000 view 2
opener=$!
says 3 "dmrepctl: view: it is in use: process $opener (sleep: agent 1000) has it open" remove view in
is "$(dm_names | wc -l)" 2 "both are there still"
for _ in 1 2 3; do
	sleep 1000 5< /dev/mapper/view &
	openers+=($!)
done
wait_for 20 is_open view 5
says_like 3 "dmrepctl: view: it is in use: (process [0-9]+ \([a-z0-9: ]+\)(, )?){3} and 1 more have it open" \
	remove view in
kill $opener "${openers[@]}"
dm_linear above /dev/mapper/view
says 3 "dmrepctl: view: it is in use: on it there is above" remove view in
dmsetup remove above
modprobe loop
loop=$(losetup --find --show /dev/mapper/view)
says 3 "dmrepctl: view: it is in use: on it there is ${loop#/dev/}" remove view in
losetup -d "$loop"
says 0 "" remove view in
nothing_there
says 0 "" "${create[@]}" -m none
fill /dev/mapper/view 0x11 0 64k
says_like 3 "dmrepctl: view: it has no metadata device, so what was written to it would be lost.*" \
	remove view
says 0 "" remove view --force
zero $A
says 0 "" "${create[@]}" -m none
says 0 "" create ingress in --top /dev/mapper/view
mke2fs -q -t ext4 -b 4096 /dev/mapper/view > /dev/null 2>&1
mkdir "$scratch/mnt"
mount /dev/mapper/view "$scratch/mnt"
says 3 "dmrepctl: view: it is in use: view is mounted on $scratch/mnt" remove --all
umount "$scratch/mnt"
message view stop
says 0 "" remove --all
says 0 "" remove --all
nothing_there

diag "signatures"
# Active has the superblock that the view had, and so has the disk.
ext4="there is a signature of ext4 on it, which would be overwritten; if that may be, --force"
before=$(checksums)
says 3 "dmrepctl: active device $A: $ext4" "${create[@]}" -m none
says 3 "dmrepctl: hidden device $A: $ext4" create secondary view -s $S -a $H -H $A -m none
says 3 "dmrepctl: metadata device $A: $ext4" create secondary view -s $S -a $M -H $H -m $A
says 3 "dmrepctl: metadata device $A: $ext4" format $A
mkswap $other > /dev/null
says 3 "dmrepctl: hidden device $other: ${ext4/ext4/swap}" create secondary view -s $S -a $M -H $other -m none
swapon $other
says 3 "dmrepctl: hidden device $other: it is in use: ram4 is swapped to" \
	create secondary view -s $S -a $M -H $other -m none --force
swapoff $other
zero $other
# One partition, of the type 0x83, as on a PC.
printf '\0\0\0\0\x83\0\0\0\x08\0\0\0\0\x10' | dd of=$other bs=1 seek=446 conv=notrunc status=none
printf '\x55\xaa' | dd of=$other bs=1 seek=510 conv=notrunc status=none
says 3 "dmrepctl: active device $other: ${ext4/a signature of ext4/a partition table, dos,}" \
	create secondary view -s $S -a $other -H $H -m none
zero $other
nothing_there
is "$(checksums)" "$before" "nothing was written"
mount -t ext4 $A "$scratch/mnt"
says 3 "dmrepctl: active device $A: it is in use: ram0 is mounted on $scratch/mnt" \
	"${create[@]}" -m none --force
umount "$scratch/mnt"
says 0 "" "${create[@]}" -m none --force
says 0 "" remove view
zero $A

diag "metadata"
dd if=/dev/urandom of=$M bs=4k count=4 oflag=direct status=none
other_content="it is no metadata device: it has other content; dmrepctl format $M says what, and with --force makes it a new one"
says 3 "dmrepctl: metadata device $M: $other_content" "${create[@]}" -m $M
says 3 "dmrepctl: metadata device $M: $other_content" "${create[@]}" -m $M --force
before=$(checksums)
says_like 3 "dmrepctl: metadata device $M: it is no metadata device: it has other content: at byte [01] there is( [0-9a-f]{2}){16} \".{16}\"; its first 4 KiB would be overwritten; if that may be, --force" \
	format $M
is "$(checksums)" "$before" "nothing was written"
says 0 "" format --force $M
ok "the first 4 KiB are zero" cmp -n 4096 $M /dev/zero
fails "and no more" cmp -n 8192 $M /dev/zero
says 0 "" "${create[@]}" -m $M
uuid=$(dm_column view uuid)
fill /dev/mapper/view 0x33 0 64k
mke2fs -q -t ext4 -b 4096 /dev/mapper/view > /dev/null 2>&1
epoch=$(status_field view 3) active=$(status_field view 5)
says 0 "" remove view
says_like 3 "dmrepctl: metadata device $M: it has a set in stage running, whose view would be lost.*" \
	format $M
says 3 "dmrepctl: metadata device $M: its set has chunks of 4 KiB; take that, or, if it is not needed any more, dmrepctl format $M" \
	"${create[@]}" -m $M -c 8K
dm_linear short $S 0 8184
says 3 "dmrepctl: metadata device $M: it belongs to a secondary of 8192 sectors, not 8184; if /dev/mapper/short is its disk, make that as long as it was" \
	create secondary view -s /dev/mapper/short -a $A -H $H -m $M
says_like 1 "dmrepctl: active device /dev/mapper/short: it has 4 MiB \(8184 sectors\), and has to be as long.*" \
	create secondary view -s $other -a /dev/mapper/short -H $H -m $M
dmsetup remove short
# Active holds the beginning of a filesystem, rightly.
says 0 "" "${create[@]}" -m $M
is "$(dm_column view uuid)" "$uuid" "it comes back with its UUID"
is "$(status_field view 3) $(status_field view 5)" "$epoch $active" "and with what it had"
message view stop
says 0 "" remove view
says 0 "dmrepctl: metadata device $M: its view was the disk at the end; if its primary goes on, that has to copy everything, over what was written since, so format its metadata device too; or let the two hosts change roles" \
	format $M
zero $A
dd if=/dev/urandom of=$M bs=1 count=1 seek=100 conv=notrunc status=none
printf DmReplMd | dd of=$M bs=1 seek=8 conv=notrunc status=none
says 3 "dmrepctl: metadata device $M: its superblock is damaged: the checksum is wrong; dmrepctl check $M tells more" \
	"${create[@]}" -m $M
says_like 3 "dmrepctl: metadata device $M: it has a set, but its superblock is damaged.*--force" format $M
says 0 "" format $M --force

diag "format of what is no metadata device"
overwritten="would be overwritten; if that may be, --force"
zero $other
printf 'raw database' | dd of=$other bs=1 seek=1000 conv=notrunc status=none
says 3 "dmrepctl: metadata device $other: it is no metadata device: it has other content: at byte 1000 there is 72 61 77 20 64 61 74 61 62 61 73 65 00 00 00 00 \"raw database....\"; its first 4 KiB $overwritten" \
	format $other
zero $other
says 0 "" format $other
dm_table large "0 2164804 zero"
says 0 "" format /dev/mapper/large
dmsetup remove large
dm_table large "0 $((2 << 21)) zero"
says 3 "dmrepctl: metadata device /dev/mapper/large: it has 2 GiB, and no metadata needs more than 1 GiB, so it may be a disk with data, of which the first 4 KiB $overwritten" \
	format /dev/mapper/large
says 0 "" format --force /dev/mapper/large
dmsetup remove large
says 0 "" "${create[@]}" -m $M
message view stop
dm_linear alias $M
dm_linear again /dev/mapper/alias
says 3 "dmrepctl: metadata device /dev/mapper/again: it lies on ram3, which belongs to the live table of view; what is on it $overwritten" \
	format /dev/mapper/again
says 3 "dmrepctl: metadata device /dev/mapper/view: it is a device of dm-replication itself, view, of the mode secondary; what is on it $overwritten" \
	format /dev/mapper/view
fails "the metadata is there still" cmp -n 4096 $M /dev/zero
dm_linear above /dev/mapper/view
says 0 "" format /dev/mapper/above
dmsetup remove above
dmsetup remove again
dmsetup remove alias
says 0 "" remove view
says_like 0 ".*" format $M
zero $A

diag "what device-mapper itself refuses"
nulldisks 1 $mib zoned=1 zone_size=1 zone_nr_conv=0
says_like 1 "dmrepctl: view: it cannot be created: .*zone.*" create secondary view -s $S -a /dev/nullb0 -H $H -m none
nothing_there

diag "sizes"
dm_linear tiny $M 0 8
says 1 "dmrepctl: metadata device /dev/mapper/tiny: it has 4 KiB, and needs 8 KiB" \
	"${create[@]}" -m /dev/mapper/tiny
dmsetup remove tiny
dm_linear small $M 0 24
for leg in disk active hidden; do
	dm_table $leg "0 $((1 << 31)) zero"
done
big=(create secondary view -s /dev/mapper/disk -a /dev/mapper/active -H /dev/mapper/hidden)
says 1 "dmrepctl: metadata device /dev/mapper/small: it has 12 KiB, and needs 66.1 MiB" \
	"${big[@]}" -m /dev/mapper/small
dmsetup remove small
says 1 "dmrepctl: metadata device $M: it has 4 MiB, and needs 66.1 MiB; or --chunk-size 128 KiB" \
	"${big[@]}" -m $M
says_like 0 "0 2147483648 replication secondary $M /dev/mapper/active .* 256" \
	"${big[@]}" -m $M -c 128k -n
for leg in disk active hidden; do
	dm_table $leg "0 $((1 << 36)) zero"
done
says 1 "dmrepctl: secondary device /dev/mapper/disk: it is too long for this chunk size; --chunk-size 8 KiB or more will do" \
	"${big[@]}" -m none
for leg in disk active hidden; do
	dmsetup remove $leg
done

diag "wrong usage"
power="it is a power of two from 4 KiB to 1 MiB"
for size in 0 4095 2K 2M 12K 4X x ""; do
	says 2 "dmrepctl: --chunk-size $size: $power" "${create[@]}" -m none --chunk-size "$size"
done
see="see dmrepctl help create secondary"
says 2 "dmrepctl: create secondary: --metadata is missing; $see" "${create[@]}"
says 2 "dmrepctl: create secondary: --active is missing; $see" create secondary v -s $S -H $H -m none
says 2 "dmrepctl: create secondary: something is missing; it takes: NAME" create secondary
says 2 "dmrepctl: create secondary: w is one too many; it takes: NAME" create secondary v w
says 2 "dmrepctl: create secondary: --active is given twice" create secondary v -a $A --active $A
says_like 2 "dmrepctl: a/b: a device's name has .*" create secondary a/b -m none
says_like 2 "dmrepctl: : a device's name has .*" create secondary "" -m none
says 2 "dmrepctl: $A: it is given twice, as active and as hidden; they are different devices" \
	create secondary view -s $S -a $A -H $A -m none
truncate -s 32M "$scratch/file"
one=$(losetup --find --show "$scratch/file")
two=$(losetup --find --show "$scratch/file")
says 2 "dmrepctl: active device $one and hidden device $two: they are loop devices of the same part of one file; each needs a file of its own" \
	create secondary view -s $S -a "$one" -H "$two" -m none
losetup -d "$one"
losetup -d "$two"
one=$(losetup --find --show --sizelimit 16M "$scratch/file")
two=$(losetup --find --show --offset 16M "$scratch/file")
says_like 0 "0 [0-9]+ replication secondary .*" \
	create secondary view -s $S -a "$one" -H "$two" -m none --force --dry-run
losetup -d "$one"
losetup -d "$two"
says 1 "dmrepctl: active device /dev/x: it cannot be opened: No such file or directory" \
	create secondary view -s $S -a /dev/x -H $H -m none
says_like 1 "dmrepctl: active device /dev/null: it is no block device.*" \
	create secondary view -s $S -a /dev/null -H $H -m none
says 1 "dmrepctl: nobody: there is no such device; dmrepctl list has those that are" \
	create ingress in --top nobody
says 2 "dmrepctl: create ingress: --top is missing; see dmrepctl help create ingress" \
	create ingress in
says_like 1 "dmrepctl: metadata device /dev/x: it cannot be opened.*" format /dev/x
says 1 "dmrepctl: this needs root, for device-mapper does: try sudo" as_nobody "${create[@]}" -m none

diag "without the module"
rmmod dm_replication
not_loaded="dmrepctl: the module dm-replication is not loaded, so there are no devices; modprobe dm-replication loads it, and so do dmrepctl create and dmrepctl up"
says 1 "$not_loaded" status
says 1 "$not_loaded" list --reportformat json
says_like 1 "dmrepctl: the module dm-replication is not loaded, and modprobe does not find it: .*" \
	"${create[@]}" -m none
echo "install dm-replication insmod $REPL_MODULE" > /etc/modprobe.d/dm-replication.conf
says 0 "" "${create[@]}" -m none
is "$(stage view)" running "it has been loaded"
says 0 "" remove view

diag "a metadata device that fails"
dm_linear broken $M
zero $M
dm_error_writes broken $M
says 1 "dmrepctl: view: it could not be started, and is removed again: metadata device /dev/mapper/broken: it cannot be written" \
	"${create[@]}" -m /dev/mapper/broken
is "$(dm_names)" broken "nothing is left of it"
says 0 "" "${create[@]}" -m /dev/mapper/broken --manual-start
is "$(stage view)" none "with --manual-start it waits"
dmsetup remove view
dmsetup remove broken

done_testing
