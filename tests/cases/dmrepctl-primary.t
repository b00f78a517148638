#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300
#
# dmrepctl and a primary: what it looks for before it makes one, and what it waits for.
. tests/lib.sh
. tests/dmrepctl.sh

L=/dev/ram0 R=/dev/mapper/replica M=/dev/ram2 other=/dev/ram3
primary=/dev/mapper/p
mkdir "$scratch/mnt"
ramdisks 4 16
dm_linear replica /dev/ram1
create=(create primary p --local "$L" --replica "$R")
mke2fs -q -t ext4 -b 4096 $L

nothing_there() {
	is "$(dm_names)" replica "there is no primary"
}

# status_is EXPECTED DESCRIPTION
status_is() {
	is "$(dmsetup status p)" "0 32768 replication primary $1" "$2"
}

diag "arguments"
says 0 "0 32768 replication primary - $L $R 2048" "${create[@]}" -m none -n
says 0 "0 32768 replication primary - - $R 8192 5 manual_start insync manual_resync replica_timeout 5" \
	create primary p -l none -r $R -m none --region-size 4M --replica-timeout 5 --insync \
	--manual-resync --manual-start --dry-run
for size in 32K 8M 96K x; do
	says 2 "dmrepctl: --region-size $size: it is a power of two from 64 KiB to 4 MiB" \
		"${create[@]}" -m none --region-size $size
done
for seconds in 0 3601 5s -1 ""; do
	says 2 "dmrepctl: --replica-timeout $seconds: this is no number of seconds from 1 to 3600" \
		"${create[@]}" -m none --replica-timeout="$seconds"
done
says 2 "dmrepctl: create primary: --replica is missing; see dmrepctl help create primary" \
	create primary p -l $L -m none
says 2 "dmrepctl: --metadata $M: without a local device there is nothing to keep; take none" \
	create primary p -l none -r $R -m $M
says 2 "dmrepctl: $L: it is given twice, as local and as replica; they are different devices" \
	create primary p -l $L -r $L -m none

diag "sizes"
dm_linear short $other 0 32760
says 1 "dmrepctl: replica device /dev/mapper/short: it has 16 MiB (32760 sectors), and has to be as long as the primary, 16 MiB (32768 sectors); it may be longer" \
	create primary p -l $L -r /dev/mapper/short -m none
says 0 "0 32760 replication primary - /dev/mapper/short $R 2048" \
	create primary p -l /dev/mapper/short -r $R -m none -n
dmsetup remove short
dm_linear tiny $M 0 8
says 1 "dmrepctl: metadata device /dev/mapper/tiny: it has 4 KiB, and needs 8 KiB" \
	"${create[@]}" -m /dev/mapper/tiny
dmsetup remove tiny

diag "what is on the devices, and in use"
mke2fs -q -t ext4 -b 4096 $R
mke2fs -q -t ext4 -b 4096 $M
ext4="there is a signature of ext4 on it, which would be overwritten; if that may be, --force"
says 3 "dmrepctl: replica device $R: $ext4 dmrepctl: --force copies the local device over it; if the two are equal already, byte by byte: --insync" \
	"${create[@]}" -m none
says 3 "dmrepctl: metadata device $M: $ext4" "${create[@]}" -m $M --insync
says_like 0 ".* 1 insync" "${create[@]}" -m none --insync -n
mount $L "$scratch/mnt"
says 3 "dmrepctl: local device $L: it is in use: ram0 is mounted on $scratch/mnt" "${create[@]}" -m none --force
umount "$scratch/mnt"
says 0 "" format --force $M
nothing_there

diag "a server that takes no flushes"
modprobe nbd nbds_max=2
cat > "$scratch/nbd.conf" <<-END
	[generic]
		listenaddr = 127.0.0.1
	[without]
		exportname = $other
	[with]
		exportname = $other
		flush = true
END
says 1 "dmrepctl: replica device /dev/nbd0: it has 0 B; connect it first, if it is another host's disk" \
	create primary p --local $L --replica /dev/nbd0 -m none
nbd-server -C "$scratch/nbd.conf" -p "$scratch/nbd.pid" > /dev/null 2>&1
ok "the server" wait_for 120 test -s "$scratch/nbd.pid"
ok "without" nbd-client -N without 127.0.0.1 /dev/nbd0
ok "with" nbd-client -N with 127.0.0.1 /dev/nbd1
says 0 "dmrepctl: replica device /dev/nbd0: its server takes no flushes, so unless it has no cache a checkpoint may lack what it has not written yet; nbd-server needs flush = true 0 32768 replication primary - $L /dev/nbd0 2048" \
	create primary p --local $L --replica /dev/nbd0 -m none -n
says 0 "0 32768 replication primary - $L /dev/nbd1 2048" \
	create primary p --local $L --replica /dev/nbd1 -m none -n
nbd-client -d /dev/nbd0 > /dev/null
nbd-client -d /dev/nbd1 > /dev/null
kill "$(< "$scratch/nbd.pid")"

diag "a primary"
says 0 "" "${create[@]}" -m $M --force --manual-start
status_is "none - 0/16 rw -" "not started"
says 1 "dmrepctl: p: checkpoint: Backup job was cancelled unexpectedly" checkpoint p
says 1 "dmrepctl: p: resync: Block replication is not running" resync p
says 0 "" resync-rate p 256K/s
says 0 "" start p
says 1 "dmrepctl: p: checkpoint: the replica is not in sync" checkpoint p
mount $primary "$scratch/mnt"
says 0 "" resync --no-wait p
dmrepctl resync p > "$scratch/waiting" 2>&1 &
waiting=$!
ok "what there is to copy is said" wait_for 20 grep -Eq "^p: copying [0-9.]+ MiB$" "$scratch/waiting"
kill -INT $waiting
wait $waiting
is $? 1 "interrupted it fails"
is "$(tail -n 1 "$scratch/waiting")" "dmrepctl: p: the copying goes on; dmrepctl resync p waits for its end, dmrepctl status p shows how far it is" \
	"and says that the copying goes on"
ok "which it does" sync_is p resync
says 0 "" resync-rate p 0
says_like 0 "(p: copying .*)?p: in sync(, [0-9.]+ [KM]?i?B copied in [0-9]+ s)?" resync p
says 0 "" checkpoint p
pass "though it is mounted"
sync -f "$scratch/mnt"
ok "the disks are equal" equal $L /dev/ram1
says 0 none get-error p
says 0 "p primary running insync 0" status --noheadings -o name,mode,stage,sync,dirty_regions p
says 0 "Name Mode Stage Epoch Active Hidden Merge% Sync #Dirty Meta Error Top
p primary running insync 0 rw -" status
says_like 0 ".*exists p .* sync=insync metadata=rw error=-.*" events --now
like "$(dmrepctl metrics)" 'dm_replication_insync\{name="p",mode="primary"\} 1' "metrics"
says 0 "$M: it is good" check $M
like "$(dmrepctl dump $M | squeeze)" "kind primary primary $(dm_column p uuid) stage running .*" "dump"

diag "a replica that fails"
dm_error replica
ok "a write" touch "$scratch/mnt/file"
sync -f "$scratch/mnt"
ok "it is degraded" wait_for 20 sync_is p degraded
says 1 "dmrepctl: p: checkpoint: the replica is not in sync" checkpoint p
says_like 1 "dmrepctl: p: the replica does not answer, with [0-9]+ of 16 regions dirty; dmrepctl resync p tries again" \
	resync p
says_like 1 "dmrepctl: p: the replica does not answer, with [0-9]+ of 16 regions dirty; dmrepctl resync p tries again" \
	resync --no-wait p
says 1 "I/O error occurred replica-io" get-error p
says 0 "" clear-error p
says 0 none get-error p
says 3 "dmrepctl: p: the replica is not in sync, and would stay so; dmrepctl resync p first, or --force" stop p
dm_linear replica /dev/ram1
says 0 "" resync --no-wait p
fails "it answers" sync_is p degraded
says_like 0 "(p: copying .*)?p: in sync.*" resync p
says 0 "" resync --no-wait p
ok "the disks are equal" equal $L /dev/ram1

diag "another one"
says 1 "dmrepctl: replica device $R: p has it already" swap-replica p $R
mke2fs -q -t ext4 -b 4096 $other
says 3 "dmrepctl: replica device $other: $ext4" swap-replica p $other
says 3 "dmrepctl: replica device $M: it is in use: p is mounted on $scratch/mnt" swap-replica p $M --force
dm_linear short $other 0 32760
says_like 1 "dmrepctl: replica device /dev/mapper/short: it has 16 MiB .*" swap-replica p /dev/mapper/short
dmsetup remove short
says_like 0 "(p: copying .*)?p: in sync.*" swap-replica p $other --force
like "$(dmsetup table p)" " 1:0 1:3 2048 1 manual_start$" "its table"
sync -f "$scratch/mnt"
ok "the disks are equal" equal $L $other
dm_linear alias $other
says 0 "p: in sync" swap-replica p /dev/mapper/alias --insync
like "$(dmsetup table p)" " 1:0 $(dm_column alias major):$(dm_column alias minor) 2048 2 manual_start insync$" \
	"its table"
ok "a write" touch "$scratch/mnt/file"
sync -f "$scratch/mnt"
ok "the disks are equal" equal $L $other

diag "the end"
says 0 "" stop p
status_is "done - 0/16 rw -" "mounted or not"
says 1 "dmrepctl: p: stage done: it does not write to the replica any more" checkpoint p
says 0 "dmrepctl: p: stage done: there is nothing to do" stop p
says 0 "dmrepctl: p: stage done: there is nothing to do" resync p
says 1 "dmrepctl: p: stage done: it does not write to a replica any more" swap-replica p $R
umount "$scratch/mnt"
says 0 "" remove p
dmsetup remove alias
nothing_there

diag "metadata that has been before"
says 0 "" format $M
says 0 "" "${create[@]}" -m $M --force
says_like 0 "(p: copying .*)?p: in sync.*" resync p
uuid=$(dm_column p uuid)
says 0 "" remove p
says_like 3 "dmrepctl: metadata device $M: it knows where the disks of a primary are equal; .*--force" format $M
says 3 "dmrepctl: metadata device $M: its primary has regions of 1 MiB; take that, or, if it is not needed any more, dmrepctl format $M" \
	"${create[@]}" -m $M --region-size 64K
says 3 "dmrepctl: metadata device $M: it belongs to a primary, not a secondary; if it is not needed any more, dmrepctl format $M" \
	create secondary view -s $R -a $other -H $L -m $M --force
# The replica bears what the local device does, rightly.
says 0 "" "${create[@]}" -m $M
is "$(dm_column p uuid)" "$uuid" "it comes back with its UUID"
status_is "running insync 0/16 rw -" "and in sync"
says 0 "" stop p
says 0 "" remove p
says 0 "dmrepctl: p: it comes back in stage done: it shows its disk, and nothing is replicated. To replicate again, dmrepctl remove p, dmrepctl format $M, then make it anew: all of it is copied over the replica then. See \"Stages\" in replication.rst" \
	"${create[@]}" -m $M
is "$(status_field p 2)" "done" "as it was"
says 0 "" remove p
says 0 "" format $M
says 0 "" "${create[@]}" -m $M --insync
says 0 "" remove p

diag "metadata that fails"
dm_linear meta $M
says 0 "" "${create[@]}" -m /dev/mapper/meta
dm_error_writes meta $M
eio "a write" pattern write $primary 0x11 0 4k
fail="its metadata device has failed, so that nobody would know of the other replica after a crash"
says 3 "dmrepctl: p: $fail; if that may be, --force" swap-replica p $other
says_like 0 "(p: copying .*)?p: in sync.*" swap-replica p $other --force
says 0 "" remove p
dmsetup remove meta

diag "the filter"
says 0 "" create primary p -l none -r $R -m none
status_is "running - 0/0 - -" "it runs"
says 1 "dmrepctl: p: resync: there is no local device to resynchronise from" resync p
says 0 "" swap-replica p $other --no-wait
says 0 "" remove p

diag "wrong usage"
says 2 "dmrepctl: x: this is no rate, such as 10M a second; 0 is no limit" resync-rate p x
says 2 "dmrepctl: 5T: this is no rate, such as 10M a second; 0 is no limit" resync-rate p 5T
says 1 "dmrepctl: replica: this is no device of dm-replication; dmrepctl list has those that are" resync replica
done_testing
