#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# What it is for: a filesystem on the primary's side, the view of it mounted on the
# secondary's through cycles of checkpoints, and a failover under the mount.
. tests/lib.sh

primary=$scratch/primary standby=$scratch/standby
mkdir "$primary" "$standby"

# What the primary has; the view is to show it after a checkpoint.
digest() {
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}

write_files() {
	local i
	for i in {1..8}; do
		head -c $((RANDOM * 8)) /dev/urandom > "$primary/$1-$i"
	done
	rm -f "$primary/$(($1 - 2))"-*
}

# A consistent checkpoint: the primary's side frozen and flushed meanwhile.
checkpoint() {
	fsfreeze -f "$primary" && blockdev --flushbufs /dev/mapper/in &&
	message view checkpoint && fsfreeze -u "$primary"
}

fs_check() {
	case $1 in
	ext4) e2fsck -fn "$2" ;;
	xfs) xfs_repair -n "$2" ;;
	esac
}

cycles() {
	local fs=$1 options=$2 round before

	rig 8 /dev/ram2
	"mkfs.$fs" -q /dev/mapper/in
	ok "$fs: mount the ingress" mount /dev/mapper/in "$primary"
	for round in 1 2 3; do
		write_files $round
		ok "$fs: checkpoint $round" checkpoint
		before=$(digest "$primary")
		write_files $((round + 10))
		ok "$fs: mount the view" mount -o "$options" /dev/mapper/view "$standby"
		is "$(digest "$standby")" "$before" "$fs: it shows the checkpoint"
		head -c 1M /dev/urandom > "$standby/own"
		rm "$standby/$round-1"
		[ $round -eq 3 ] || ok "$fs: umount" umount "$standby"
	done

	before=$(digest "$standby")
	(while echo "a line" >> "$standby/log"; do sleep 0.01; done) 2> /dev/null &
	local writer=$!
	ok "$fs: failover under the mount" message view failover
	ok "$fs: it ends" wait_for 60 stage_is view "done"
	kill $writer
	wait $writer
	ok "$fs: the writer wrote" test -s "$standby/log"
	mv "$standby/log" "$scratch/log"
	is "$(digest "$standby")" "$before" "$fs: the files stay"
	ok "$fs: umount the view" umount "$standby"
	umount "$primary"
	dm_remove_all

	ok "$fs: the bare disk is clean" fs_check "$fs" /dev/ram2
	ok "$fs: mount it" mount /dev/ram2 "$standby"
	is "$(digest "$standby")" "$before" "$fs: it holds the same"
	ok "$fs: umount it" umount "$standby"
}

ramdisks 3 64
cycles ext4 defaults
ramdisks 3 320
cycles xfs nouuid
done_testing
