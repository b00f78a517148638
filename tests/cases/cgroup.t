#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
#
# Rule 4: a limit on the I/O of one cgroup slows nobody else. What a face sends to the
# devices underneath is on no cgroup's account, for others wait for it; a limit that is
# set on the face itself holds.
. tests/lib.sh

nulldisks 4 64 || skip_all "no null_blk"
cgroup=$scratch/cgroup
limits() {
	mkdir "$cgroup" && mount -t cgroup2 none "$cgroup" &&
		{ echo +io > "$cgroup/cgroup.subtree_control"; } 2> /dev/null &&
		mkdir "$cgroup/slow" && [ -e "$cgroup/slow/io.max" ]
}
limits || skip_all "no limits on I/O"

# limit DEVICE LIMIT: of the cgroup
limit() {
	echo "$(stat -L -c %Hr:%Lr "$1") $2" > "$cgroup/slow/io.max"
}

# slowly COMMAND...: in the cgroup
slowly() {
	echo "$BASHPID" > "$cgroup/slow/cgroup.procs" && exec "$@"
}

# queued DEVICE RW: 64 bios at once, from the beginning on
queued() {
	slowly fio --name=job --filename="$1" --rw="$2" --bs=4k --size=256k --direct=1 \
		--ioengine=libaio --iodepth=64 --iodepth_batch=64 > "$scratch/fio" 2>&1
}

# Waits until the device has been sent something, or has ended it.
begun() {
	local reads writes
	read -r reads _ _ _ writes _ < "/sys/dev/block/$(dm_column "$1" major,minor)/stat"
	[ $((reads + writes)) -gt "$2" ] ||
		[ "$(awk '{ print $1 + $2 }' "/sys/dev/block/$(dm_column "$1" major,minor)/inflight")" -gt 0 ]
}

one_write() {
	timeout $((20 * REPL_PATIENCE)) dd if=/dev/zero of="$1" bs=4k seek="$2" count=1 \
		oflag=direct status=none
}

in_time() {
	timeout $((20 * REPL_PATIENCE)) "$@"
}

secondary_create view /dev/nullb0 /dev/nullb1 /dev/nullb2 8
ingress_create in view

# Its reads would take half a minute.
limit /dev/nullb2 riops=2
( queued /dev/mapper/view read ) &
reader=$!
wait_for 20 begun view 0
ok "an ingress write does not wait for reads of a limited reader" one_write /dev/mapper/in 60
ok "nor does a checkpoint" in_time dmsetup message view 0 checkpoint
ok "the reader ends" wait $reader

limit /dev/nullb0 wiops=2
( queued /dev/mapper/view write ) &
writer=$!
wait_for 20 begun view 64
ok "a checkpoint does not wait for writes of a limited writer" \
	in_time dmsetup message view 0 checkpoint
ok "the writer ends" wait $writer

limit /dev/nullb2 wiops=2
( queued /dev/mapper/in write ) &
writer=$!
wait_for 20 begun in 1
ok "nor does one for those of the ingress" in_time dmsetup message view 0 checkpoint
ok "the writer ends" wait $writer

# For a lower bound, begin as the limit does: at an idle device.
limit /dev/mapper/view riops=2
begin=$SECONDS
( slowly dd if=/dev/mapper/view of=/dev/null bs=4k count=12 iflag=direct status=none ) &
reader=$!
ok "an ingress write while a reader has a limit on the view" one_write /dev/mapper/in 5
ok "a checkpoint" in_time dmsetup message view 0 checkpoint
ok "the reader ends" wait $reader
ok "but has been held by its limit" [ $((SECONDS - begin)) -ge 3 ]
dm_remove_all

# A primary's too: a write to the local device alone keeps its region from being copied.
dm_error gone $((64 << 11))
primary_create primary /dev/nullb0 /dev/mapper/gone 2048 manual_resync
ok "a primary without its replica" wait_for 20 sync_is primary degraded
limit /dev/nullb0 wiops=2
( queued /dev/mapper/primary write ) &
writer=$!
wait_for 20 begun primary 0
ok "writes of a limited writer to the local device alone end" in_time tail --pid=$writer -f /dev/null
wait $writer
dm_remove_all
rmdir "$cgroup/slow"
umount "$cgroup"
done_testing
