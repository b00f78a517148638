#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
#
# Rule 4: a slow device slows nobody who does not need it. The view does not wait for the
# secondary when hidden or active has its data, nor the ingress for active, however much
# of the other's I/O waits for that device.
. tests/lib.sh

# A request of the slow device takes 100 ms, and it takes two at once: who sends more waits
# in submit_bio().
slow_disk() {
	nulldisks 1 64 submit_queues=1 hw_queue_depth=2 irqmode=2 completion_nsec=100000000
}

# each_chunk BLOCK: the options of fio to write so much of each chunk
each_chunk() {
	echo "--direct=1 --rw=write --bs=$1 --zonemode=strided --zonesize=$1 --zonerange=4k"
}

# flood NAME BLOCK: from now on far more writes wait than the set has copies
flood() {
	# Several threads, for each waits itself when it submits.
	# shellcheck disable=SC2046 # several options
	fio --name=flood --filename="/dev/mapper/$1" $(each_chunk "$2") --offset=8M --size=2M \
		--offset_increment=2M --thread --numjobs=16 --ioengine=libaio --iodepth=4 \
		--time_based --runtime=600 > "$scratch/flood" 2>&1 &
	flood=$!
	wait_for 60 waiting "$1" || fail "$1: the flood has not risen"
}

waiting() {
	local numbers reads writes
	numbers=$(dm_column "$1" major,minor)
	read -r reads writes < "/sys/dev/block/$numbers/inflight"
	[ $((reads + writes)) -gt 40 ]
}

flood_ends() {
	ok "the flood has gone on" kill -0 "$flood"
	kill "$flood"
	wait "$flood"
}

# quick DESCRIPTION NAME BLOCK FIRST [OPTION...]: 60 writes, from this chunk on one to each
# unless an option says otherwise, take 50 ms each at most
quick() {
	local result took
	# shellcheck disable=SC2046 # several options
	result=$(fio --name=job --filename="/dev/mapper/$2" $(each_chunk "$3") \
		--offset=$(($4 * 4))k --size=256k --io_size=$((60 * $3)) --ioengine=libaio --runtime=10 \
		--minimal "${@:5}")
	took=$(cut -d ';' -f 50 <<< "$result")
	diag "$1: $took ms"
	ok "$1" [ "$took" -lt 3000 ]
}

slow_disk || skip_all "no null_blk"
ramdisks 3 64
for META in '' /dev/ram2; do
	secondary_create view /dev/ram0 /dev/ram1 /dev/nullb0 8
	ingress_create in view
	fill /dev/mapper/in 0x22 0 1M
	flood in 4096
	quick "the view, one at a time" view 512 0
	# Of those to a chunk all but the first wait for its copy, and go on when that is done.
	quick "the view, eight to a chunk" view 512 64 --iodepth=16 --zonesize=4k
	quick "the view, with a flush after each write" view 512 128 --fsync=1
	is "$(status_field view 5)" 128/16384 "all of them needed copies from hidden"
	flood_ends
	dm_remove_all
done

META='' secondary_create view /dev/nullb0 /dev/ram0 /dev/ram1 8
ingress_create in view
flood view 512
quick "the ingress, one at a time" in 4096 0
quick "the ingress, many at once" in 4096 64 --iodepth=16
is "$(status_field view 6)" 120/16384 "all of them needed a copy to hidden"
flood_ends
done_testing
