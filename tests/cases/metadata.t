#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# cpus: 2
#
# "Metadata": what a set with a metadata device has after its table was removed; what
# is written to the device, when and in which order; devices that are refused, or fail.
# What is there after a loss of power is the matter of tests/crash.
. tests/lib.sh

legs=(meta active hidden disk)
view=/dev/mapper/view ingress=/dev/mapper/in meta=/dev/mapper/meta
active=/dev/mapper/active hidden=/dev/mapper/hidden disk=/dev/mapper/disk

# What a disk of 4 MiB in chunks of 4 KiB needs: the superblock, and a block of maps
need=16

create() {
	META=$meta secondary_create view $active $hidden $disk 8 "$@"
}

both() {
	create "$@" && ingress_create in view
}

remove_both() {
	dmsetup remove in && dmsetup remove view
}

again() {
	remove_both && both
}

status_is() {
	is "$(dmsetup status view)" "0 8192 replication secondary $1" "$2"
}

# sent EXPECTED DESCRIPTION COMMAND...: these bios reach the devices.
sent() {
	local description=$2
	bios_begin
	capture "${@:3}"
	is "$(log "${legs[@]}")" "$1;" "$description"
}

# The bios since then to these devices, a FLUSH called F.
log() {
	bios "$@" | sed 's/ F[FW] .*/ F/' | tr '\n' ';'
}

flush() {
	dd if=/dev/null of="$1" oflag=direct conv=notrunc,fsync status=none
}

# A new set: the disk has 0x11 everywhere.
fresh() {
	dd if=/dev/zero of=$meta bs=4k count=1 oflag=direct status=none
	fill $disk 0x11
	both
}

# view_holds: 0x33 from 512 to 1024 KiB, which it wrote itself, over the old content
view_holds() {
	verify $view 0x11 0 512k && verify $view 0x33 512k 512k && verify $view 0x11 1M
}

write_both() {
	fill $ingress 0x22 0 768k
	fill $view 0x33 512k 512k
}

# Disks with a write cache, for what has none gets no FLUSH.
modprobe sd_mod
modprobe scsi_debug dev_size_mb=16 delay=0
wait_for 20 [ -b /dev/sda ]
dm_linear meta /dev/sda 0 $need
for ((i = 0; i < 3; i++)); do
	dm_linear "${legs[i + 1]}" /dev/sda $((8192 * (i + 1))) 8192
done
fill $meta 0

diag "coming back"
fresh
status_is "running 1 8 0/1024 0/1024 0/0 rw -" "a new device"
is "$(dmsetup table view)" \
	"0 8192 replication secondary $(for leg in "${legs[@]}"; do
		dm_column "$leg" major,minor
	done | tr '\n' ' ')8" "the table"
write_both
before=$(dmsetup status view)
is "$before" "0 8192 replication secondary running 1 8 128/1024 192/1024 0/0 rw -" "with both written"
ok "removed and made again" again
is "$(dmsetup status view)" "$before" "it is as it was"
ok "the view holds what it held" view_holds
fill $ingress 0x44 512k 512k
ok "what is in hidden is not saved again" view_holds
ok "checkpoint" message view checkpoint
ok "again" again
status_is "running 2 8 0/1024 0/1024 0/0 rw -" "the next epoch, with empty stores"
ok "the view shows what the ingress wrote" eval "verify $view 0x22 0 512k && verify $view 0x44 512k 512k"
ok "stop" message view stop
ok "again" again
status_is "done 3 8 0/1024 0/1024 0/0 rw -" "done stays"
remove_both

diag "a failover"
fresh
write_both
dm_delay slow /dev/sda 0 3000
dmsetup suspend view
dmsetup load disk --table "0 8192 linear /dev/mapper/slow 24576"
dmsetup suspend disk
dmsetup resume disk
dmsetup resume view
ok "failover" message view failover
before=$SECONDS
is "$(stage view)" failover "it takes a while"
ok "removed" remove_both
ok "before it is over: $((SECONDS - before)) s" [ $((SECONDS - before)) -lt 9 ]
dm_linear disk /dev/sda 24576 8192
dmsetup remove slow
create manual_start
like "$(stage view)" "failover|done" "goes on when there is a table again"
ok "and ends" wait_for 60 stage_is view "done"
ok "the view holds what it held" view_holds
dmsetup remove view
create
status_is "done 1 8 0/1024 0/1024 0/0 rw -" "done stays"
ok "so does the content" view_holds
dmsetup remove view

diag "a failover that fails"
fresh
write_both
dmsetup suspend view
dm_error_writes disk /dev/ram0 2> /dev/null || dmsetup load disk --table \
	"0 8192 flakey /dev/sda 24576 0 3600 1 error_writes"
dmsetup suspend disk
dmsetup resume disk
dmsetup resume view
message view failover
ok "fails" wait_for 20 stage_is view failover-failed
remove_both
create
is "$(stage view) $(status_field view 8) $(status_field view 9)" "failover-failed rw merge-io" \
	"stays, and why"
ok "the view holds what it held" view_holds
dmsetup suspend view
dm_linear disk /dev/sda 24576 8192
dmsetup resume view
message view failover
ok "the retry ends" wait_for 20 stage_is view "done"
ok "with what the view held" view_holds
dmsetup remove view

diag "what is written, and in which order"
fresh
sent "disk R 0+8;hidden W 0+8;hidden F;meta R 8+8;meta W 8+8;meta F;disk W 0+8" \
	"old content and its bit are durable before it is replaced" fill $ingress 0x22 0 4k
sent "disk W 0+8" "once" fill $ingress 0x22 0 4k
sent "active W 0+8" "the view's writes commit nothing" fill $view 0x33 0 4k
sent "active F;meta W 8+8;meta F" "but FLUSH does" flush $view
sent "active F" "if there is anything" flush $view
fill $ingress 0x22 0 4M
fill $view 0x33 0 4M
bios_begin
message view checkpoint
is "$(log meta)" "meta W 0+8;meta F;" "a checkpoint is one write, of the superblock"
like "$(log disk meta)" "disk F;meta W 0\\+8" "after the secondary's flush"
bios_begin
fio --name=in --filename=$ingress --rw=write --bs=4k --size=1m --ioengine=libaio --iodepth=32 \
	--direct=1 > /dev/null
commits=$(bios meta | grep -c ' F[FW] ')
ok "many copies share a commit: $commits for 256" [ "$commits" -gt 0 -a "$commits" -lt 200 ]
remove_both

diag "manual_start"
fill $meta 0
both manual_start
is "$(stage view)" none "none"
ok "nothing is written" verify $meta 0
remove_both
ok "nor by the removal" verify $meta 0
both manual_start
ok "start" message view start
remove_both
both manual_start
is "$(stage view)" running "once started it is running"
remove_both
diag "FUA, where no disk has a cache that would see to a FLUSH"
ramdisks 4 32
# held_on_device: how many chunks active holds as the metadata device has it
held_on_device() {
	dd if=/dev/ram3 bs=4k skip=1 count=1 iflag=direct status=none | perl -e '
		while (read(STDIN, my $sector, 512) == 512) {
			$held += unpack "%64b*", substr($sector, 16, 248);
		}
		print $held'
}
META=/dev/ram3 rig 8
# With libaio no FLUSH follows.
fua() {
	fio --name=fua --filename=$view --rw=randwrite --bs=4k --size=1m --offset="$1" --direct=1 \
		--sync=dsync --ioengine=libaio --iodepth=4
}
ok "writes with FUA" fua 0
is "$(held_on_device)/8192 256/8192" "$(status_field view 5) 256/8192" "are recorded"
remove_both

diag "a FLUSH of the view after writes all over it"
# More map sectors than are copied before a flush: one for each 7.75 MiB.
nulldisks 4 2048 cache_size=64
mem=(/dev/nullb0 /dev/nullb1 /dev/nullb2 /dev/nullb3)
for ((i = 0; i < 4; i++)); do
	dm_linear "${legs[i]}" "${mem[i]}"
done
both
scatter() {
	fio --name=scatter --filename=$view --rw=write:8188k --bs=4k --io_size=968k --offset="$1" \
		--direct=1 --ioengine=libaio --iodepth=32 > /dev/null
}
ok "242 chunks" scatter 0
bios_begin
flush $view
is "$(log active)" "active F;" "are recorded by one flush of active"
like "$(log meta)" "^(meta [RW] [^;]*;)+meta F;$" "and one of the metadata device"
before=$(dmsetup status view)
ok "again" again
is "$(dmsetup status view)" "$before" "all of them"

diag "writes that complete while active is being flushed"
dm_table active "0 $(sectors "${mem[1]}") delay ${mem[1]} 0 0 ${mem[1]} 0 0 ${mem[1]} 0 2000"
ok "242 chunks more" scatter 4k
bios_begin
flush $view &
flush=$!
flushing() {
	[ "$(log active)" = "active F;" ]
}
ok "a flush has begun" wait_for 20 flushing
# One in a map sector that is copied before the flush, one in a map sector that is not and
# that is alone in its block.
fill $view 0x44 8k 4k
fill $view 0x44 $((241 * 8192 + 8))k 4k
is "$(log active meta)" "active F;active W 16+8;active W 3948560+8;" "and two writes are done meanwhile"
ok "the flush ends" wait $flush
sent=$(log active meta)
sent=${sent#*active W 3948560+8;}
# shellcheck disable=SC2016 # for eval
ok "a map that names the second one" eval '[[ $sent == *"active F;"*"meta W 256+8;"* ]]'
# shellcheck disable=SC2016 # for eval
ok "is written after another flush" eval '[[ ${sent%%active F;*} != *"meta W 256+8;"* ]]'
flush $view
before=$(dmsetup status view)
ok "again" again
is "$(dmsetup status view)" "$before" "all of them are there"
remove_both

diag "1 TiB in chunks of 4 KiB"
ramdisks 1 68
length=$((1 << 31)) end=$((1048576 - 1))
for leg in "${legs[@]:1}"; do
	dm_table "$leg" "0 $length zero"
done
META=/dev/ram0 secondary_create view $active $hidden $disk 8 && ingress_create in view
fill $ingress 0 0 64k
fill $view 0 ${end}M 1M
before=$(dmsetup status view)
remove_both
started=${EPOCHREALTIME/./}
META=/dev/ram0 secondary_create view $active $hidden $disk 8
took=$(((${EPOCHREALTIME/./} - started) / 1000))
ok "is loaded in $took ms" [ $took -lt $((20000 * REPL_PATIENCE)) ]
is "$(dmsetup status view)" "$before" "with its maps"
dmsetup remove view
done_testing
