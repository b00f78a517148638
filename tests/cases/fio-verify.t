#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# cpus: 2
#
# Rules 3 and 4: fio with verify on both faces at once, random and unaligned to
# chunks, 16 deep. Each block size fixed: with a range of them fio's own verify is
# limited to what it did not overwrite, and says so.
. tests/lib.sh

# job FACE BLOCK_SIZE BYTES
job() {
	fio --name="$1" --filename="/dev/mapper/$1" --rw=randrw --bs="$2" \
		--ioengine=libaio --direct=1 --iodepth=16 --size=32M --io_size="$3" \
		--randseed="$RANDOM" --verify=crc32c --verify_fatal=1 --do_verify=1 \
		--output="$scratch/$1" > "$scratch/$1.out" 2>&1
}

both() {
	job in "$1" "$2" &
	local in=$! view
	job view "$1" "$2"
	view=$?
	wait $in
	[ $((view + $?)) -eq 0 ] && return
	cat "$scratch"/{in,view}
	return 1
}

ramdisks 3 32
for chunk in 8 128 2048; do
	rig $chunk
	ok "chunks of $chunk sectors, small I/O" both 1536 2M
	ok "once more, after a checkpoint" message view checkpoint
	ok "chunks of $chunk sectors, large I/O" both 96k 16M
	dm_remove_all
	ramdisks 3 32
done
done_testing
