#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# Disks that have grown since the devices on them were made: up and create make these again
# with the length that they had. But not with metadata that may be another disk's, for that of
# a small one fits any larger one.
. tests/lib.sh
. tests/dmrepctl.sh

ramdisks 7 8
mkdir "$scratch/mnt"
conf=/etc/dmrepctl.conf
cat > $conf <<-END
	data {
		mode = "primary"
		local = "/dev/mapper/local"
		replica = "/dev/mapper/replica"
		metadata = "/dev/ram5"
	}
	view {
		mode = "secondary"
		secondary = "/dev/mapper/disk"
		active = "/dev/mapper/active"
		hidden = "/dev/mapper/hidden"
		metadata = "/dev/ram6"
		ingress = "in"
	}
END
names=(local replica disk active hidden)

# sizes_are SECTORS: of all disks
sizes_are() {
	local i
	for i in "${!names[@]}"; do
		dm_linear "${names[i]}" "/dev/ram$i" 0 "$1" || return
	done
}

# grown NAME ROLE DISK: what is said of it, as a regular expression
grown() {
	echo "dmrepctl: $conf: $1: $2 device $3: it has grown to 8 MiB \(16384 sectors\); $1 stays as long as it was, 4 MiB \(8192 sectors\)"
}

lengths() {
	echo "$(sectors /dev/mapper/view) $(sectors /dev/mapper/in) $(sectors /dev/mapper/data)"
}

both="$(grown view secondary /dev/mapper/disk) $(grown data local /dev/mapper/local)"

ok "the disks" sizes_are 8192
says 0 "" up
says_like 0 "(data: copying .*)?data: in sync.*" resync data
mke2fs -q -t ext4 -b 4096 /dev/mapper/data
mount /dev/mapper/data "$scratch/mnt"
echo precious > "$scratch/mnt/file"
sync -f "$scratch/mnt"
fill /dev/mapper/view 0x77 1M 64k
for i in {0..4}; do fill "/dev/ram$i" 0x99 4M; done

diag "all disks grow while they are in use"
ok "they are longer" sizes_are 16384
ok "the view is what it was" verify /dev/mapper/view 0x77 1M 64k
says 0 "view: it is up already data: it is up already" up
dmsetup remove in
says 0 "in: 0 8192 replication ingress /dev/mapper/view" up --dry-run
says 0 "data: it is up already" up

diag "after a reboot"
umount "$scratch/mnt"
says 0 "" down
says_like 0 "$(grown view secondary /dev/mapper/disk) view: 0 8192 .* in: 0 8192 .* $(grown data local /dev/mapper/local) data: 0 8192 .*" \
	up --dry-run
says_like 0 "$both" up
is "$(lengths)" "8192 8192 8192" "all have the length that they had"
ok "the view is what it was" verify /dev/mapper/view 0x77 1M 64k
is "$(status_field data 3) $(dirty data)" "insync 0" "nothing is copied again"
mount /dev/mapper/data "$scratch/mnt"
is "$(< "$scratch/mnt/file")" precious "its filesystem is there"
umount "$scratch/mnt"
fill /dev/mapper/in 0x44 3M
for i in {0..4}; do
	ok "/dev/ram$i has not changed behind it" verify "/dev/ram$i" 0x99 4M
done
says 0 "" down

diag "by create"
primary=(create primary data -l /dev/mapper/local -r /dev/mapper/replica -m /dev/ram5)
view=(create secondary view -s /dev/mapper/disk -a /dev/mapper/active -H /dev/mapper/hidden -m /dev/ram6)
says 0 "dmrepctl: local device /dev/mapper/local: it has grown to 8 MiB (16384 sectors); data stays as long as it was, 4 MiB (8192 sectors)" \
	"${primary[@]}"
says 0 "dmrepctl: secondary device /dev/mapper/disk: it has grown to 8 MiB (16384 sectors); view stays as long as it was, 4 MiB (8192 sectors)" \
	"${view[@]}"
says 0 "" create ingress in --top view
is "$(lengths)" "8192 8192 8192" "the same lengths"
says 0 "" down

diag "only the disk has grown, or others have shrunk"
ok "the disks" sizes_are 8192
dm_linear disk /dev/ram2 0 16384
says_like 0 "$(grown view secondary /dev/mapper/disk)" up
says 0 "" down
dm_linear hidden /dev/ram4 0 8000
says 1 "dmrepctl: hidden device /dev/mapper/hidden: it has 3.9 MiB (8000 sectors), and has to be as long as the view, 4 MiB (8192 sectors)" \
	"${view[@]}"
dm_linear replica /dev/ram1 0 8000
says 1 "dmrepctl: replica device /dev/mapper/replica: it has 3.9 MiB (8000 sectors), and has to be as long as the primary, 4 MiB (8192 sectors); it may be longer" \
	"${primary[@]}"
dm_linear disk /dev/ram2 0 8000
says 3 "dmrepctl: metadata device /dev/ram6: it belongs to a secondary of 8192 sectors, not 8000; if /dev/mapper/disk is its disk, make that as long as it was" \
	"${view[@]}"

diag "another disk"
ok "the disks are long" sizes_are 16384
dm_linear other /dev/ram2
before=$(sha256sum /dev/ram[0-6])
belongs="metadata device /dev/ram6: it belongs to a secondary of 8192 sectors, not"
view[4]=/dev/mapper/other
for force in "" --force; do
	# shellcheck disable=SC2086 # or none
	says 3 "dmrepctl: $belongs 16384; if /dev/mapper/other is its disk, and has grown, take --size 8192s" \
		"${view[@]}" $force
done
sed -i "s|/dev/mapper/disk|/dev/mapper/other|" $conf
says 3 "dmrepctl: $conf: view: $belongs 16384; if /dev/mapper/other is its disk, and has grown, take size = \"8192s\"" \
	up view
says 3 "dmrepctl: $belongs 8184; if /dev/mapper/other is its disk, take --size 8192s" \
	"${view[@]}" --size 8184s
says 1 "dmrepctl: secondary device /dev/mapper/other: it has 16384 sectors, fewer than --size 16385s" \
	"${view[@]}" --size 16385s
says 2 "dmrepctl: --size 4M1: it is a number of whole sectors, of 512 bytes each" "${view[@]}" --size 4M1
says 2 "dmrepctl: --size 1000: it is a number of whole sectors, of 512 bytes each" "${view[@]}" --size 1000
is "$(sha256sum /dev/ram[0-6])" "$before" "nothing was written"
is "$(dm_names | grep -c -x -e view -e data -e in)" 0 "nothing was made"
says 0 "" "${view[@]}" --size 4M
is "$(sectors /dev/mapper/view)" 8192 "it is as long as it is to be"
ok "it is what it was" verify /dev/mapper/view 0x77 1M 64k
says 0 "" remove view
sed -i "s|.*/dev/mapper/other.*|&\n size = \"8192s\"|" $conf
says 0 "" up view
ok "it is what it was" verify /dev/mapper/view 0x77 1M 64k
says 0 "view: it is up already" up view
says 0 "" down view

diag "a disk that the kernel knows by more than its path"
# made DISK: a new set of its first 4 MiB is made, and removed again
made() {
	dmrepctl format --force /dev/ram6 && create_on "$1" && dmrepctl remove view
}
create_on() {
	dmrepctl create secondary view -s "$1" -a /dev/ram3 -H /dev/ram4 -m /dev/ram6 --force
}
stays() {
	echo "dmrepctl: secondary device $1: it has grown to 8 MiB (16384 sectors); view stays as long as it was, 4 MiB (8192 sectors)"
}
dm_remove_all
for i in one two; do
	dmsetup create $i -u LVM-$i --table "0 8192 linear /dev/ram2 0"
done
ok "a set" made /dev/mapper/one
for i in one two; do dm_linear $i /dev/ram2; done
dmsetup rename one three
dmsetup rename two one
says 3 "dmrepctl: $belongs 16384; if /dev/mapper/one is its disk, and has grown, take --size 8192s" \
	create_on /dev/mapper/one
says 0 "$(stays /dev/mapper/three)" create_on /dev/mapper/three
says 0 "" remove view
dm_remove_all

modprobe loop
truncate -s 40M "$scratch/file"
loop=$(losetup -P -f --show "$scratch/file")
addpart "$loop" 1 8192 8192
addpart "$loop" 2 32768 8192
ln -s "${loop}p1" "$scratch/first"
ok "a set on a partition" made "${loop}p1"
for i in 1 2; do delpart "$loop" $i; done
addpart "$loop" 1 8192 16384
addpart "$loop" 2 32768 16384
says 3 "dmrepctl: $belongs 16384; if ${loop}p2 is its disk, and has grown, take --size 8192s" \
	create_on "${loop}p2"
says 0 "$(stays "$scratch/first")" create_on "$scratch/first"
says 0 "" remove view
losetup -d "$loop"

diag "a disk that the kernel knows by its path alone"
ok "a disk" nulldisks 1 4
ok "a set" made /dev/nullb0
ok "another disk gets the path" nulldisks 1 8
fill /dev/nullb0 0x99
says 3 "dmrepctl: $belongs 16384; if /dev/nullb0 is its disk, and has grown, take --size 8192s" \
	create_on /dev/nullb0
ok "the other disk is what it was" verify /dev/nullb0 0x99
mkdir -p /dev/disk/by-id
ln -s /dev/nullb0 /dev/disk/by-id/serial
ok "a disk with a name of its own" nulldisks 1 4
ok "a set" made /dev/disk/by-id/serial
ok "it grows" nulldisks 1 8
says 0 "$(stays /dev/disk/by-id/serial)" create_on /dev/disk/by-id/serial
says 0 "" remove view
rm /dev/disk/by-id/serial
done_testing
