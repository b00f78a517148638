#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# dmrepctl up and down: what the files describe is there, or is not; what cannot be as
# it is described is refused, and then nothing has changed.
. tests/lib.sh
. tests/dmrepctl.sh

A=/dev/ram0 H=/dev/ram1 S=/dev/ram2 M=/dev/ram3 L=/dev/ram4 R=/dev/ram5 P=/dev/ram6 X=/dev/ram7
ramdisks 8 4
conf=$scratch/conf
mkdir "$scratch/mnt"

# view_section [LINE...], primary_section [LINE...]: with these lines in it
view_section() {
	printf '%s\n' "view {" 'mode = "secondary"' "active = \"$A\"" "hidden = \"$H\"" \
		"secondary = \"$S\"" "metadata = \"$M\"" "$@" "}"
}

primary_section() {
	printf '%s\n' "disk {" 'mode = "primary"' "local = \"$L\"" "replica = \"$R\"" \
		"metadata = \"$P\"" "$@" "}"
}

# both_sections: the primary first, which is made last
both_sections() {
	{ primary_section 'replica_timeout = 10'; view_section 'ingress = [ "in", "in2" ]'; } > "$conf"
}

there_is() {
	is "$(dm_names | tr '\n' ' ')" "${1:+$1 }" "there is ${1:-nothing}"
}

# conf up|down WORD...: with our file
conf() {
	dmrepctl "$1" --config "$conf" "${@:2}"
}

diag "up"
both_sections
says 0 "view: 0 8192 replication secondary $M $A $H $S 8
in: 0 8192 replication ingress /dev/mapper/view
in2: 0 8192 replication ingress /dev/mapper/view
disk: 0 8192 replication primary $P $L $R 2048 2 replica_timeout 10" conf up --dry-run
there_is ""
says 0 "" conf up view
there_is "in in2 view"
says 0 "view: it is up already" conf up
there_is "disk in in2 view"
is "$(dmsetup table disk)" "0 8192 replication primary 1:6 1:4 1:5 2048 2 replica_timeout 10" "its table"
says 0 "view: it is up already disk: it is up already" conf up
says 0 "" remove in2
says 0 "disk: it is up already" conf up
there_is "disk in in2 view"
says 1 "dmrepctl: nobody: it is not described; there is view, disk" conf up disk nobody

diag "what is up in another way"
another() {
	says 3 "dmrepctl: $conf: $1; dmrepctl down, then up, makes it so" conf up
	there_is "disk in in2 view"
}
view_section 'chunk_size = "8K"' > "$conf"
says 3 "dmrepctl: $conf: view: it is up with the chunk_size 4 KiB, and described with 8 KiB; dmrepctl down, then format --force of the metadata device, then up, makes it so, as a new one" \
	conf up
there_is "disk in in2 view"
view_section 'manual_start = 1' > "$conf"
another "view: it is up with the options none, and described with manual_start"
A=$L view_section > "$conf"
says 3 "dmrepctl: $conf: view: it is up with the active device 1:0, and described with $L (1:4); dmrepctl down, then format --force of the metadata device, then up, makes it so, as a new one" \
	conf up
M=none view_section > "$conf"
another "view: it is up with the metadata device 1:3, and described with none (-)"
primary_section 'replica_timeout = 11' > "$conf"
another "disk: it is up with the options replica_timeout 10, and described with replica_timeout 11"
R=$X primary_section > "$conf"
says 3 "dmrepctl: $conf: disk: it is up with the replica device 1:5, and described with $X (1:7); dmrepctl swap-replica makes it so" \
	conf up
both_sections
dmrepctl remove disk
says 0 "" create primary disk --local $L --replica $R --metadata $P --replica-timeout 10 --insync
says 0 "view: it is up already disk: it is up already" conf up
{ M=none view_section; printf '%s\n' "in {" 'mode = "primary"' "local = \"$L\"" "replica = \"$R\"" \
	"metadata = \"$P\"" "}"; } > "$conf"
says 3 "dmrepctl: $conf: in: there is a device in of the mode ingress, not primary; remove it first, or give this one another name" \
	conf up in

diag "down"
both_sections
exec {held}< /dev/mapper/disk
says 3 "dmrepctl: disk: it is in use: process $$ (dmrepctl-up.t) has it open" conf down
exec {held}<&-
mke2fs -q -t ext4 -b 4096 /dev/mapper/view > /dev/null 2>&1
mount /dev/mapper/view "$scratch/mnt"
says 3 "dmrepctl: view: it is in use: view is mounted on $scratch/mnt" conf down
there_is "disk in in2 view"
says 0 "" conf down disk
umount "$scratch/mnt"
view_section 'ingress = "in"' > "$conf"
says 3 "dmrepctl: view: the ingress in2 is on it; dmrepctl remove in2 view" conf down
both_sections
says 0 "disk: it is down already" conf down
there_is ""
says 0 "view: it is down already disk: it is down already" conf down

diag "one that cannot be made keeps none from being made"
both_sections
printf 'third { mode = "secondary" secondary = "/dev/x" active = "/dev/y" hidden = "/dev/z" metadata = "none" }' >> "$conf"
missing="dmrepctl: $conf: third: active device /dev/y: it cannot be opened: No such file or directory"
says_like 1 "$missing view: 0 8192 .* disk: 0 8192 .*" conf up --dry-run
there_is ""
says 1 "$missing" conf up
there_is "disk in in2 view"
says 1 "$missing view: it is up already disk: it is up already" conf up
says 1 "$missing" conf up third
says 0 "third: it is down already" conf down
there_is ""
P=$L both_sections
says 2 "dmrepctl: $conf: disk: $L: it is given twice, as metadata and as local; they are different devices" conf up
there_is "in in2 view"
both_sections
says 0 "disk: it is down already" conf down
dmsetup create held --table "0 8192 linear $L 0"
says_like 3 "dmrepctl: $conf: disk: local device $L: it is in use: .*" conf up
there_is "held in in2 view"
dmsetup remove held
says 0 "disk: it is down already" conf down

diag "files that make no sense: nothing is made"
both_sections
printf 'third { mode = "secondary" secondary = "/dev/x" active = "/dev/y" hidden = "/dev/z" metadata = "none" }' >> "$conf"
sed -i 's/hidden = "\/dev\/z"/hidden = 7 frob = 1/' "$conf"
says 2 "dmrepctl: $conf: third: hidden = \"7\": it is the path of a device, from the / on" conf up view
there_is ""
{ view_section; L=$H primary_section; } > "$conf"
says 2 "dmrepctl: $conf: disk: local device $H: view has it too, as hidden; no two can share one" conf up
there_is ""
# Active has had the superblock of the view's filesystem.
M=none view_section > "$conf"
ext4="there is a signature of ext4 on it, which would be overwritten"
says 3 "dmrepctl: $conf: view: active device $A: $ext4; if that may be, force = 1" conf up
there_is ""
M=none view_section 'force = 1' > "$conf"
says 0 "" conf up
says_like 0 "view: it is up already" conf up
fill /dev/mapper/view 0x11 0 64k
says_like 3 "dmrepctl: view: it has no metadata device, so what was written to it would be lost.*" conf down
says 0 "" conf down --force
there_is ""

diag "the files in /etc"
says 1 "dmrepctl: nothing is described: there is neither /etc/dmrepctl.conf nor /etc/dmrepctl.conf.d/*.conf; see dmrepctl.conf(5)" up
mkdir /etc/dmrepctl.conf.d
view_section > /etc/dmrepctl.conf.d/view.conf
primary_section > /etc/dmrepctl.conf
echo "} no configuration" > /etc/dmrepctl.conf.d/view.conf.orig
says 0 "" up
there_is "disk view"
says_like 0 "dmrepctl: disk: dmrepctl.conf describes it with the replica $R; that has to be $X before the next dmrepctl up (disk: copying .*)?disk: in sync.*" \
	swap-replica disk $X --force
says_like 0 "(disk: copying .*)?disk: in sync.*" swap-replica disk $R --force
cp /etc/dmrepctl.conf /etc/dmrepctl.conf.d/another.conf
says_like 2 "dmrepctl: /etc/dmrepctl.*conf: disk: there are two devices of the name disk; the other one is in /etc/dmrepctl.*conf, disk" \
	down
rm /etc/dmrepctl.conf
says 0 "" down
there_is ""
done_testing
