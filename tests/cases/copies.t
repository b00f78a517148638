#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# cpus: 2
# timeout: 600
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

diag "as many go on as there are copies"
# A page cache that is flushed sends all of its pages at once, each as one bio: nearly all of
# them wait for a copy. Each is resumed once or twice, however many wait.
probes=/sys/kernel/debug/tracing/kprobe_events
if [ -e $probes ]; then
	ramdisks 4 64
	echo $((1 << 30)) > /proc/sys/vm/dirty_bytes
	echo $((1 << 30)) > /proc/sys/vm/dirty_background_bytes
	echo 360000 > /proc/sys/vm/dirty_writeback_centisecs
	echo "p:resumed_in dm_replication:ingress_resume_io" > $probes
	echo "p:resumed_view dm_replication:view_resume_io" >> $probes

	# resumed FACE: how often ios of it were, so far
	resumed() {
		awk -v name="resumed_$1" '$1 == name { print $2 }' \
			/sys/kernel/debug/tracing/kprobe_profile
	}

	# flush_storm FACE DEVICE MOST: 16 MiB, of which a chunk is resumed at most so often
	flush_storm() {
		local before n chunks=4096 opened
		before=$(resumed "$1")
		# Else the last close writes back.
		exec {opened}< "$2"
		dd if=/dev/zero of="$2" bs=1M count=16 status=none
		ok "$1: a flush" sync "$2"
		exec {opened}<&-
		n=$(($(resumed "$1") - before))
		diag "$1: $n ios were resumed for $chunks chunks"
		ok "$1: many waited" [ $n -gt $((chunks / 2)) ]
		ok "$1: each was resumed $3 times at most" [ $n -le $(($3 * chunks)) ]
	}
	echo 1 > /sys/kernel/debug/tracing/events/kprobes/enable
	META='' secondary_create view /dev/ram0 /dev/ram1 /dev/ram2 8
	ingress_create in view
	flush_storm in /dev/mapper/in 1
	is "$(status_field view 6)" 4096/16384 "all chunks are saved"
	dm_remove_all
	# With metadata it is resumed once more, when the commit is done.
	META=/dev/ram3 secondary_create view /dev/ram0 /dev/ram1 /dev/ram2 8
	ingress_create in view
	flush_storm in /dev/mapper/in 2
	is "$(status_field view 6)" 4096/16384 "all chunks are saved"
	dm_remove_all
	# Pages that are a half of a chunk: one fills it, and the other then needs no copy,
	# whoever of them has waited for which.
	META='' secondary_create view /dev/ram0 /dev/ram1 /dev/ram2 16
	flush_storm view /dev/mapper/view 2
	is "$(status_field view 5)" 2048/8192 "all chunks are filled"
	dm_remove_all
	echo 0 > /sys/kernel/debug/tracing/events/kprobes/enable
	echo > $probes
fi
done_testing
