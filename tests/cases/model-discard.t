#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# bounded: yes
# timeout: 600
#
# Rules 1 to 7: random I/O to both faces, with checkpoints and a failover, against
# a model that knows every byte; on quick devices that discard and write zeroes.
. tests/lib.sh

modprobe configfs
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
modprobe null_blk nr_devices=0

# nullb N: /dev/nullbN, 16 MiB of memory
nullb() {
	local dir=/sys/kernel/config/nullb/nullb$1
	mkdir "$dir" && echo 16 > "$dir/size" && echo 1 > "$dir/memory_backed" &&
		echo 1 > "$dir/discard" && echo 1 > "$dir/power"
}

for chunk in 8 128 2048; do
	for i in 0 1 2; do nullb $i; done
	ok "chunks of $chunk sectors" stomp_on /dev/nullb0 /dev/nullb1 /dev/nullb2 \
		$chunk 4000 --discard
	diag "$output"
	rmdir /sys/kernel/config/nullb/nullb?
done
rmmod null_blk
done_testing
