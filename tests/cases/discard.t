#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# Rule 5: FLUSH and FUA mean on every face what they mean on a disk. Discard and
# write-zeroes on the ingress save the old content first, then pass down; on the
# view they never expose a third content, neither the view's own data nor zero.
. tests/lib.sh

legs=(active hidden disk)
active=/dev/mapper/active hidden=/dev/mapper/hidden disk=/dev/mapper/disk
view=/dev/mapper/view ingress=/dev/mapper/in

# legs LBPRZ: 16 MiB each of a disk that can discard, write zeroes, FLUSH and
# FUA. LBPRZ says how what was discarded reads: 1 as zero, 2 as 0xff.
legs() {
	local i
	if [ -e /sys/module/scsi_debug ]; then
		dmsetup remove "${legs[@]}"
		rmmod scsi_debug
	fi
	modprobe sd_mod
	modprobe scsi_debug dev_size_mb=48 delay=0 lbpu=1 lbpws=1 lbprz="$1"
	wait_for 20 [ -b /dev/sda ]
	for i in 0 1 2; do
		dm_linear "${legs[i]}" /dev/sda $((i << 15)) 32768
	done
}

# What the view shows is 0x11, but 0x33 from 2 to 6 MiB; the ingress has written
# from 4 to 8 MiB. So there are chunks in neither store, in one, in both.
# set_up [OPTION...]: of the view's table
set_up() {
	fill $active 0xaa
	fill $hidden 0xbb
	fill $disk 0x11
	secondary_create view $active $hidden $disk 128 "$@"
	ingress_create in view
	fill $ingress 0x22 4M 4M
	fill $view 0x33 2M 4M
}

take_down() {
	dmsetup remove in && dmsetup remove view
}

view_is_unchanged() {
	ok "$1: view below" verify $view 0x11 0 2M
	ok "$1: view, in active" verify $view 0x33 2M 4M
	ok "$1: view above" verify $view 0x11 6M
}

# own_or_zero BYTE OFFSET_KIB LENGTH_KIB: the view holds nothing else there.
own_or_zero() {
	local others
	others=$(dd if=$view bs=1k skip="$2" count="$3" iflag=direct status=none |
		tr -d "\\000\\$(printf %o "0x$1")" | wc -c)
	is "$others" 0 "view: nothing but 0x$1 or zero at $2 KiB"
}

# sent EXPECTED DESCRIPTION COMMAND...: these bios reach the legs.
sent() {
	local description=$2
	bios_begin
	capture "${@:3}"
	is "$(bios "${legs[@]}" | tr '\n' ';')" "${1:+$1;}" "$description"
}

# How often and where there were bios of that kind since bios_begin.
count() {
	bios "${@:2}" | grep -c " $1 "
}

discard() {
	blkdiscard -f "$@"
}

# There is no FUA from user space without a flush behind it.
write_fua() {
	dd if=/dev/zero of="$1" bs=4k seek="$2" count=1 oflag=direct,dsync status=none
}

legs 1
set_up

diag "ingress: discard"
sent "disk R 0+128;hidden W 0+128;disk D 0+128" "what is discarded was saved before" \
	discard -o 0 -l 64k $ingress
sent "disk R 256+256;hidden W 256+256;disk D 259+128" "so are the chunks of which it is a part" \
	discard -o $((259 * 512)) -l 64k $ingress
sent "disk D 8192+128" "what was saved already is not saved again" \
	discard -o 4M -l 64k $ingress
ok "discard much" discard -o 1M -l 6M $ingress
view_is_unchanged "after discards"
ok "disk: zero" verify $disk 0 1M 6M
ok "disk: not before" verify $disk 0x11 256k 768k
ok "disk: not behind" verify $disk 0x22 7M 1M

diag "ingress: write zeroes"
sent "disk R 18432+128;hidden W 18432+128;disk N 18432+128" "what is zeroed was saved before" \
	discard -z -o 9M -l 64k $ingress
sent "disk R 18688+256;hidden W 18688+256;disk N 18691+128" "so are the chunks of which it is a part" \
	discard -z -o $((18691 * 512)) -l 64k $ingress
view_is_unchanged "after zeroes"
ok "disk: zero" verify $disk 0 $((18691 * 512)) 64k
ok "disk: not before" verify $disk 0x11 9280k $((3 * 512))
ok "disk: not behind" verify $disk 0x11 $((18819 * 512)) 8k
ok "checkpoint" message view checkpoint
ok "view: zeroes" verify $view 0 9M 64k
ok "view: discarded" verify $view 0 1M 6M
take_down

diag "view: discard"
set_up
bios_begin
ok "of all" discard $view
is "$(count D hidden disk)" 0 "no other store is discarded"
ok "active is told to write zeroes" test "$(count N active)" -gt 0
own_or_zero 11 0 2048
own_or_zero 33 2048 4096
own_or_zero 11 6144 10240
ok "of a part of a chunk" discard -o $((512 * 3)) -l 512 $view
ok "write next to it" fill $view 0x44 $((512 * 5)) 512
own_or_zero 11 0 2
ok "view: the write" verify $view 0x44 $((512 * 5)) 512
own_or_zero 11 3 61
ok "disk: not discarded" verify $disk 0x11 0 4M
ok "disk: not discarded" verify $disk 0x22 4M 4M

diag "view: write zeroes"
sent "active N 24576+128" "a chunk" discard -z -o 12M -l 64k $view
ok "view: zero" verify $view 0 12M 64k
ok "two parts of chunks" discard -z -o $((26635 * 512)) -l 64k $view
ok "view: not before" verify $view 0x11 13M $((11 * 512))
ok "view: zero" verify $view 0 $((26635 * 512)) 64k
ok "view: not behind" verify $view 0x11 $((26763 * 512)) $((117 * 512))
is "$(status_field view 5)" "$((64 + 1 + 1 + 2))/256" "active holds them"
ok "disk: not zeroed" verify $disk 0x11 8M

diag "failover"
dd if=$view bs=1M iflag=direct status=none > "$scratch/view"
dmsetup suspend disk
message view failover
bios_begin
ok "discard in stage failover" timeout 10 blkdiscard -f $view
is "$(count D "${legs[@]}")" 0 "is passed over"
eio "ingress: discard" timeout 10 blkdiscard -f $ingress
dmsetup resume disk
wait_for 20 stage_is view "done"
ok "disk: what the view was" cmp "$scratch/view" <(dd if=$disk bs=1M iflag=direct status=none)
sent "disk D 2048+128" "discard in stage done" discard -o 1M -l 64k $view
sent "disk N 4096+128" "write zeroes in stage done" discard -z -o 2M -l 64k $view
take_down

diag "not started"
secondary_create view $active $hidden $disk 128 manual_start
ingress_create in view
for device in $view $ingress; do
	eio "$device: discard" discard -l 64k "$device"
	eio "$device: write zeroes" discard -z -l 64k "$device"
	eio "$device: flush" sync "$device"
done
take_down

diag "FLUSH and FUA"
# What is discarded on the stores is store-space.t's.
set_up no_discard
sent "active FW 0+0" "running: flush of the view" sync $view
sent "disk FW 0+0" "running: flush of the ingress" sync $ingress
# Once before anything is dropped, and once behind the closed gate.
sent "disk FW 0+0;disk FW 0+0" "checkpoint" message view checkpoint
sent "disk R 16384+128;active W 16384+128;active WF 16384+8;active FW 0+0" "running: FUA write to the view" \
	write_fua $view 2048
sent "active WF 16384+8;active FW 0+0" "and again" write_fua $view 2048
sent "disk R 16384+128;hidden W 16384+128;disk WF 16384+8;disk FW 0+0" "running: FUA write to the ingress" \
	write_fua $ingress 2048
sent "disk WF 16384+8;disk FW 0+0" "and again" write_fua $ingress 2048
dmsetup suspend disk
message view failover
bios_begin
sync $view & # the half of it that goes to the disk has to wait
flushed() {
	[ "$(count FW active)" = 1 ]
}
ok "failover: flush of the view, active's" wait_for 20 flushed
dmsetup resume disk
wait
wait_for 20 stage_is view "done"
is "$(count FW active)" 1 "and no other"
is "$(count FW disk)" 2 "failover: flush of the view, the disk's, and one at the merge's end"
sent "disk FW 0+0" "done: flush of the view" sync $view
sent "disk WF 16384+8;disk FW 0+0" "done: FUA write to the view" write_fua $view 2048
take_down
set_up no_discard
sent "disk FW 0+0;disk FW 0+0" "stop" message view stop
take_down

diag "an active disk on which discarded sectors read 0xff"
legs 2
set_up
ok "discard of the view" discard -o 1M -l 6M $view
own_or_zero 11 0 2048
own_or_zero 33 2048 4096
own_or_zero 11 6144 2048
take_down

done_testing
