#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# cpus: 2
#
# Rule 8: what is copied at the same time is bounded; and who has to wait for
# copies comes before those who come later, so nobody waits for ever.
. tests/lib.sh

ramdisks 3 32
# Each of its requests takes 50 ms, by a clock of its own.
modprobe configfs
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
modprobe null_blk nr_devices=0
slow=/sys/kernel/config/nullb/nullb0
mkdir $slow
for setting in size=32 memory_backed=1 irqmode=2 completion_nsec=50000000 hw_queue_depth=1024 \
	power=1; do
	echo "${setting#*=}" > "$slow/${setting%%=*}"
done
secondary_create view /dev/ram0 /dev/nullb0 /dev/ram2 8
ingress_create in view

# Each write saves a chunk, in 50 ms. There are three times as many writers as copies, so most
# have to wait, but none much longer than those before him.
result=$(fio --name=job --filename=/dev/mapper/in --rw=randwrite --bs=4k --size=24m \
	--direct=1 --ioengine=libaio --iodepth=96 --minimal)
runtime=$(cut -d ';' -f 50 <<< "$result")
longest=$(($(cut -d ';' -f 56 <<< "$result") / 1000))
diag "$runtime ms in all, the longest $longest ms"
ok "many do not wait one by one" [ "$runtime" -lt 100000 ]
ok "none is overtaken for ever" [ $((12 * longest)) -lt "$runtime" ]
is "$(status_field view 6)" 6144/8192 "all chunks are saved"
dm_remove_all
rmdir $slow
rmmod null_blk
done_testing
