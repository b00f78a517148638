#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# "Words": chunks of 4 KiB to 1 MiB. "Metadata": at most 2 bits a chunk plus 5 %
# and a constant in memory. And what the queues of both faces promise is true.
. tests/lib.sh

active=/dev/mapper/active hidden=/dev/mapper/hidden disk=/dev/mapper/disk
view=/dev/mapper/view ingress=/dev/mapper/in
legs=(active hidden disk)
TiB=$((1 << 31)) # in sectors

take_down() {
	dmsetup remove in && dmsetup remove view
}

# fakes SECTORS: legs of that size, without any memory behind them
fakes() {
	dmsetup create --concise "active,,,,0 $1 zero;hidden,,,,0 $1 zero;disk,,,,0 $1 zero"
}

# with_ends SECTORS: legs whose first and last MiB are real, and all else fails
with_ends() {
	local i
	for i in 0 1 2; do
		dm_table "${legs[i]}" "0 2048 linear /dev/ram$i 0
2048 $(($1 - 4096)) error
$(($1 - 2048)) 2048 linear /dev/ram$i 2048"
	done
}

# The legs are the RAM disks.
plain() {
	local i
	for i in 0 1 2; do
		dm_linear "${legs[i]}" /dev/ram$i
	done
}

# The bytes of all maps together.
map_bytes() {
	awk '/repl_map_create/ { bytes += $2 } END { print bytes + 0 }' /proc/vmallocinfo
}

# map_is_small SECTORS CHUNK
map_is_small() {
	local chunks=$((($1 + $2 - 1) / $2)) bytes
	fakes "$1"
	secondary_create view $active $hidden $disk "$2"
	bytes=$(map_bytes)
	is "$(status_field view 5)" "0/$chunks" "$(($1 >> 11)) MiB in chunks of $2 sectors: $chunks chunks"
	ok "$bytes bytes are enough" [ "$bytes" -ge $((chunks / 4)) ]
	ok "and not too much" [ "$bytes" -le $((chunks / 4 + chunks / overhead + 8192)) ]
	dmsetup remove view "${legs[@]}"
}

# too_long SECTORS CHUNK SENTENCE
too_long() {
	fakes "$1"
	dm_log > /dev/null
	fails "$(($1 >> 11)) MiB in chunks of $2 sectors" secondary_create view $active $hidden $disk "$2"
	is "$(dm_log | sed -n 's/^table: [^ ]* replication: //p')" "$3 (-EINVAL)" "the log"
	dmsetup remove "${legs[@]}"
}

# sent EXPECTED DESCRIPTION COMMAND...: these bios reach the legs.
sent() {
	local description=$2
	bios_begin
	capture "${@:3}"
	is "$(bios "${legs[@]}" | tr '\n' ';')" "$1;" "$description"
}

# moves EXPECTED DESCRIPTION COMMAND...: so many sectors, in whatever bios
moves() {
	local description=$2
	bios_begin
	capture "${@:3}"
	is "$(bios "${legs[@]}" | awk -F '[ +]' '
		{
			if (!n[$1 " " $2])
				order[++kinds] = $1 " " $2
			n[$1 " " $2] += $4
		}
		END {
			for (i = 1; i <= kinds; i++)
				printf "%s %d;", order[i], n[order[i]]
		}')" "$1;" "$description"
}

# queue DEVICE: its limits, one word each
queue() {
	local queue
	queue=/sys/dev/block/$(stat -L -c %Hr:%Lr "$1")/queue
	echo "$(< "$queue/logical_block_size") $(< "$queue/minimum_io_size")" \
		"$(< "$queue/write_cache") $(< "$queue/fua")" \
		"$([ "$(< "$queue/discard_max_bytes")" = 0 ] || echo discard)" \
		"$([ "$(< "$queue/write_zeroes_max_bytes")" = 0 ] || echo zeroes)"
}

diag "memory"
free_mib() {
	awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo
}
# Each has the memory that its length asks for, and not 8 MiB.
before=$(free_mib)
for ((i = 0; i < 40; i++)); do
	dmsetup create --concise "a$i,,,,0 2048 zero;h$i,,,,0 2048 zero;s$i,,,,0 2048 zero"
	secondary_create v$i /dev/mapper/a$i /dev/mapper/h$i /dev/mapper/s$i 8
done
taken=$((before - $(free_mib)))
is "$(dm_names | grep -c '^v')" 40 "40 views of 1 MiB"
# A device of device-mapper's own takes as much as its copies do.
ok "they take $taken MiB" [ $taken -le 100 ]
for ((i = 0; i < 40; i++)); do
	dmsetup remove v$i a$i h$i s$i
done

# Of the rest most are locks, which take more where lockdep looks at them.
overhead=80
[ ! -e /proc/lockdep ] || overhead=25
map_is_small 2048 8
map_is_small $((1 << 21)) 8
map_is_small $((TiB / 4)) 8
map_is_small $((TiB / 4 + 1)) 16
map_is_small $((64 * TiB)) 2048
too_long $((16 * TiB + 1)) 8 "Chunk size 8 is too small for 34359738369 sectors; take 16 or more"
too_long $((100 * TiB)) 32 "Chunk size 32 is too small for 214748364800 sectors; take 64 or more"
too_long $((4096 * TiB + 1)) 2048 \
	"Length 8796093022209 is more than the largest chunk size, 2048 sectors, can do"
is "$(map_bytes)" 0 "no map is left"

diag "16 TiB in chunks of 4 KiB"
ramdisks 3 4
fill /dev/ram0 0xaa
fill /dev/ram1 0xbb
fill /dev/ram2 0x11
with_ends $((16 * TiB))
last=$(((16 << 40) - 4096))
ok "view" secondary_create view $active $hidden $disk 8
ok "ingress" ingress_create in view
bytes=$(map_bytes) chunks=$((1 << 32))
ok "$bytes bytes of memory" [ "$bytes" -le $((chunks / 4 + chunks / overhead + 8192)) ]
fill $ingress 0x22 0 4k
fill $ingress 0x22 $last 512
is "$(dmsetup status view)" \
	"0 34359738368 replication secondary running 1 8 0/4294967296 2/4294967296 0/0 - -" "status"
ok "view: what the ingress wrote over is there" verify $view 0x11 0 1M
ok "view: at the end, too" verify $view 0x11 $((last - 4096))
fill $view 0x33 4k 4k
fill $view 0x33 $((last + 512)) 512
is "$(status_field view 5)" 2/4294967296 "active holds two"
message view failover
ok "failover" wait_for 60 stage_is view "done"
is "$(status_field view 7)" 3/3 "three chunks were merged"
ok "disk: first" verify $disk 0x11 0 4k
ok "disk: second" verify $disk 0x33 4k 4k
ok "disk: before the last" verify $disk 0x11 $((last - 4096)) 4k
ok "disk: last" verify $disk 0x11 $last 512
ok "disk: last" verify $disk 0x33 $((last + 512)) 512
ok "disk: last" verify $disk 0x11 $((last + 1024))

take_down
dmsetup remove "${legs[@]}"

diag "the last chunk is shorter than the others"
for chunk in 2048 128; do
	# The stores are longer than the disk, which ends 3 sectors before them.
	length=$((8192 - 3)) n=$((8192 / chunk))
	start=$(((4 << 20) - chunk * 512)) end=$((length * 512))
	fill /dev/ram0 0xaa
	fill /dev/ram1 0xbb
	fill /dev/ram2 0x11
	dm_linear active /dev/ram0
	dm_linear hidden /dev/ram1
	dm_linear disk /dev/ram2 0 $length
	secondary_create view $active $hidden $disk $chunk
	ingress_create in view

	part=$((chunk - 3))
	moves "disk R $part;hidden W $part;disk W 1" \
		"chunks of $chunk sectors: write to the last sector of the ingress" \
		fill $ingress 0x22 $((end - 512)) 512
	ok "view" verify $view 0x11
	moves "hidden R $part;active W $((part + 1))" "write to the last but one of the view" \
		fill $view 0x33 $((end - 1024)) 512
	ok "view" verify $view 0x11 0 $((end - 1024))
	ok "view" verify $view 0x33 $((end - 1024)) 512
	ok "view" verify $view 0x11 $((end - 512))
	is "$(dmsetup status view)" "0 $length replication secondary running 1 $chunk 1/$n 1/$n 0/0 - -" "status"
	ok "checkpoint" message view checkpoint
	ok "view" verify $view 0x11 0 $((end - 512))
	ok "view" verify $view 0x22 $((end - 512))
	# All of the last chunk: nothing to fill.
	moves "active W $part" "write to all of the last chunk of the view" \
		pattern write $view 0x44 $start "" 1M
	fill $ingress 0x55 $((end - 1024)) 512
	message view failover
	ok "failover" wait_for 20 stage_is view "done"
	take_down
	ok "disk" verify $disk 0x11 0 $start
	ok "disk: last chunk" verify $disk 0x44 $start
	ok "nothing behind the disk's end" verify /dev/ram2 0x11 $end
	ok "nor behind active's" verify /dev/ram0 0xaa $end
	ok "nor behind hidden's" verify /dev/ram1 0xbb $end
	dmsetup remove "${legs[@]}"
done

diag "a disk smaller than a chunk"
fill /dev/ram2 0x11
dm_linear disk /dev/ram2 0 1
secondary_create view /dev/ram0 /dev/ram1 $disk 8
ingress_create in view
fill $ingress 0x22
ok "view" verify $view 0x11
is "$(dmsetup status view)" "0 1 replication secondary running 1 8 0/1 1/1 0/0 - -" "status"
message view failover
ok "failover" wait_for 20 stage_is view "done"
ok "disk" verify $disk 0x11
take_down
dmsetup remove disk

diag "whole bios: 1 MiB in chunks of 4 KiB"
plain
fill $disk 0x11
secondary_create view $active $hidden $disk 8
ingress_create in view
MiB() {
	pattern "$1" "$2" 0x22 "$3" 1M 1M
}
sent "disk R 0+2048" "view: read from the secondary" MiB verify $view 0
sent "active W 2048+2048" "view: first write" MiB write $view 1M
sent "active W 2048+2048" "view: another write" MiB write $view 1M
sent "active R 2048+2048" "view: read from active" MiB verify $view 1M
sent "disk R 1024+1024;active R 2048+1024" "view: read from both" MiB verify $view 512k
bios_begin
MiB write $ingress 0
sent_by_copy=$(bios "${legs[@]}")
ok "ingress: first write, few reads" [ "$(grep -c '^disk R' <<< "$sent_by_copy")" -le 4 ]
ok "ingress: first write, few writes to hidden" [ "$(grep -c '^hidden W' <<< "$sent_by_copy")" -le 4 ]
is "$(grep '^disk W' <<< "$sent_by_copy")" "disk W 0+2048" "ingress: first write, one write to the disk"
is "$(grep '^hidden W' <<< "$sent_by_copy" | awk -F + '{ n += $2 } END { print n }')" 2048 \
	"ingress: what was saved"
sent "disk W 0+2048" "ingress: another write" MiB write $ingress 0
sent "hidden R 0+2048" "view: read from hidden" MiB verify $view 0
message view stop
sent "disk R 0+2048" "done: read" MiB verify $view 0
sent "disk W 0+2048" "done: write" MiB write $view 0
take_down

diag "queue limits"
rmmod null_blk 2> /dev/null
modprobe sd_mod
modprobe scsi_debug dev_size_mb=16 delay=0 lbpu=1 lbpws=1 lbprz=1
modprobe null_blk nr_devices=1 gb=1 bs=4096 memory_backed=1
wait_for 20 [ -b /dev/sda ]

# limits CHUNK VIEW INGRESS DESCRIPTION
limits() {
	secondary_create view $active $hidden $disk "$1"
	ingress_create in view
	is "$(queue $view)" "$2" "$4: view"
	is "$(queue $ingress)" "$3" "$4: ingress"
	take_down
}
# Newer RAM disks can discard.
ram=''
[[ $(queue $disk) != *discard* ]] || ram=discard
limits 128 "512 65536 write through 0 $ram " "512 65536 write through 0 $ram " "RAM disks"
limits 2048 "512 1048576 write through 0 $ram " "512 1048576 write through 0 $ram " "chunks of 1 MiB"
dm_linear active /dev/nullb0 0 8192
fails "active has blocks of 4 KiB, which its disk has not" \
	secondary_create view $active $hidden $disk 128
plain
dm_linear hidden /dev/nullb0 0 8192
fails "hidden has blocks of 4 KiB, which its disk has not" \
	secondary_create view $active $hidden $disk 128
plain
dm_linear disk /dev/nullb0 0 8192
limits 128 "4096 65536 write through 0  " "4096 65536 write through 0  " "the disk has blocks of 4 KiB"
plain
# A discard is passed down to the disk, at the latest in stage done: what the
# stores can do does not matter. Zeroes may be written anywhere.
dm_linear disk /dev/sda 0 8192
limits 128 "512 65536 write back 1 discard " "512 65536 write back 1 discard " \
	"the disk can do everything"
dm_linear hidden /dev/sda 8192 8192
limits 128 "512 65536 write back 1 discard " "512 65536 write back 1 discard zeroes" \
	"so can hidden"
dm_linear active /dev/sda 16384 8192
limits 128 "512 65536 write back 1 discard zeroes" "512 65536 write back 1 discard zeroes" \
	"so can active"
dm_linear hidden /dev/ram1
limits 128 "512 65536 write back 1 discard " "512 65536 write back 1 discard " \
	"all can but hidden"
dm_linear disk /dev/ram2
limits 128 "512 65536 write back 1 $ram " "512 65536 write through 0 $ram " "active alone can"

done_testing
