#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kmemleak: yes
# timeout: 600
#
# "Metadata": a device that does not fit or is damaged is refused with its reason, and
# untouched. When it fails while running, nothing is acknowledged any more that might
# be lost; the mode falls, an event comes, status says so (rule 10).
. tests/lib.sh

A=/dev/ram0 H=/dev/ram1 S=/dev/ram2 M=/dev/ram3
meta=/dev/mapper/meta view=/dev/mapper/view in=/dev/mapper/in

# 4 MiB in chunks of 4 KiB: the superblock, and a block of maps
need=16

table() {
	secondary_table "${2:-$M}" $A $H $S "${1:-8}"
}

checksum() {
	sha1sum < $M
}

# refused REASON [CHUNK [DEVICE]]
refused() {
	local before
	before=$(checksum)
	dm_log > /dev/null
	fails "refused: $1" dmsetup create view --table "$(table "${@:2}")"
	is "$(dm_log | sed -n 's/^table: [0-9:]*: replication: //p')" \
		"Metadata device $1" "the reason"
	is "$(checksum)" "$before" "and untouched"
	[ -z "$(dm_column view name)" ] || dmsetup remove view
}

# A good one, with maps, to be spoiled
fresh() {
	fill $M 0
	META=$M rig 8
	fill $in 0x22 0 1M
	fill $view 0x33 512k 1M
	dmsetup remove in
	dmsetup remove view
}

# spoil OFFSET BYTES: another value there
spoil() {
	printf '%s' "$2" | dd of=$M bs=1 seek="$1" conv=notrunc,fsync status=none
}

# A new set, with both faces written, on a metadata device that can be made to fail
running() {
	dm_linear meta $M
	dd if=/dev/zero of=$meta bs=4k count=1 oflag=direct status=none
	fill $S 0x11
	META=$meta rig 8
	fill $in 0x22 0 1M
	fill $view 0x33 512k 1M
}

# With libaio no FLUSH follows, which would fail as well.
fua() {
	fio --name=fua --filename=$view --rw=write --bs=4k --offset=3M --size=4k --direct=1 \
		--sync=dsync --ioengine=libaio
}

# recorded ERROR: its number is in the superblock.
recorded() {
	[ "$(dd if=$M bs=4k count=1 iflag=direct status=none | od -An -tu4 -j56 -N4)" -eq "$1" ]
}

ramdisks 5 4
number=$(stat -c %Hr:%Lr $M)
dm_linear small $M 0 $((need - 1))

diag "refused"
fill $M 0 && spoil 4095 x
refused "$number: it has other content; to have it formatted, zero its first 4 KiB (-EINVAL)"
fill $M 0
refused "$(dm_column small major):$(dm_column small minor): it has 15 sectors; 16 are needed (-ENOSPC)" \
	8 /dev/mapper/small
dmsetup remove small
fresh
refused "$number: it belongs to a set with chunks of 8 sectors, not 16 (-EINVAL)" 16
spoil 0 x
refused "$number: its superblock is damaged: the checksum is wrong (-EILSEQ)"
fresh
spoil 511 x
refused "$number: its superblock is damaged: the checksum is wrong (-EILSEQ)"
fresh
spoil 4096 x
refused "$number: its map sector 0 is damaged: the checksum is wrong (-EILSEQ)"
fresh
spoil 4600 x
refused "$number: its map sector 0 is damaged: the checksum is wrong (-EILSEQ)"
fresh
S=/dev/ram4
dm_linear shorter /dev/ram4 0 8184
S=/dev/mapper/shorter
refused "$number: it belongs to a secondary of 8192 sectors, the table has 8184; make the table with 8192, its devices may be longer (-EINVAL)"
S=/dev/ram2
dmsetup remove shorter
META=$M secondary_create view $A $H $S 8
fails "a live one's: refused" dmsetup create other --table "0 8192 replication secondary $M $A $H /dev/ram4 8"
dmsetup remove other 2> /dev/null
is "$(status_field view 5) $(status_field view 6)" "256/1024 256/1024" "which goes on with its maps"
dmsetup remove view
dmsetup create view -u first --table "$(table)"
dmsetup remove view
fill $M 0
dmsetup create view -u first --table "$(table)"
dmsetup remove view
dm_log > /dev/null
fails "another view's: refused" dmsetup create view -u second --table "$(table)"
like "$(dm_log)" "Metadata device $number: it belongs to the view with UUID first" "the reason"
[ -z "$(dm_column view name)" ] || dmsetup remove view

diag "failing while it runs"
running
sync $view
events=$(dm_column view events)
dm_log > /dev/null
dm_error_writes meta $M
eio "an ingress write that needs a commit fails" fill $in 0x44 2M 4k
ok "and leaves the secondary unmodified" verify $S 0x11 2M 4k
is "$(status_field view 8) $(status_field view 9)" "fail metadata-io" "the status"
ok "an event" [ "$(dm_column view events)" -gt "$events" ]
is "$(dm_log | grep -c "metadata mode fail, was rw")" 1 "a line in the log"
eio "ingress writes fail" fill $in 0x44 0 4k
ok "the view can be read" eval "verify $view 0x11 0 512k && verify $view 0x33 512k 1M && verify $view 0x11 1536k"
ok "and written" fill $view 0x55 2M 4k
eio "but FLUSH fails" sync $view
eio "and FUA" fua
is "$(message view checkpoint 2> /dev/null; echo "$error")" "Input/output error" "a checkpoint fails"
is "$(message view stop 2> /dev/null; echo "$error")" "Input/output error" "so does stop"
is "$(stage view)" running "the stage stays"
ok "a failover goes on in memory" message view failover
ok "to its end" wait_for 20 stage_is view "done"
eio "with no FLUSH" sync $view
dmsetup suspend view
dmsetup load view --table "0 8192 linear $S 0"
dmsetup resume view
ok "given another table the disk has it all" eval "verify $view 0x11 0 512k && verify $view 0x33 512k 1M &&
	verify $view 0x11 1536k 512k && verify $view 0x55 2M 4k"
dm_remove_all

diag "an error of another device"
dm_linear hidden $H
H=/dev/mapper/hidden
fill $M 0
META=$M secondary_create view $A $H $S 8 && ingress_create in view
dm_error_writes hidden /dev/ram1
eio "a failed copy" fill $in 0x44 0 4k
ok "is recorded, without waiting for anything else" wait_for 5 recorded 1
dm_remove_all
H=/dev/ram1

diag "failing at a checkpoint"
running
dm_error_writes meta $M
is "$(message view checkpoint 2> /dev/null; echo "$error")" "Input/output error" "it fails"
ok "the view is where it was" eval "verify $view 0x11 0 512k && verify $view 0x33 512k 1M"
eio "no ingress write comes through that the next start would show" fill $in 0x44 0 4k
dm_remove_all

diag "failing at the start"
dm_linear meta $M
dd if=/dev/zero of=$meta bs=4k count=1 oflag=direct status=none
dm_error_writes meta $M
META=$meta secondary_create view $A $H $S 8
is "$(stage view) $(status_field view 8)" "none fail" "it is not started"
is "$(message view start 2> /dev/null; echo "$error")" "Input/output error" "nor by a message"
dmsetup remove view
done_testing
