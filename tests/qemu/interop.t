#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# QEMU's COLO, unmodified, on one side, and the target on the other: a QEMU primary
# writes into our ingress, and our primary into the disk of a QEMU secondary.
. tests/qemu/lib.sh

mib=8

# The pattern that qemu-io writes, 0x11, all over a file.
disk_create() {
	qemu-img create -q -f raw "$1" ${mib}M && qemu-io -f raw -c "write -P 0x11 0 ${mib}M" "$1"
}

prepare() {
	local disk
	disk_create "$(disk_of secondary disk)" &&
		cp "$(disk_of secondary disk)" "$scratch/local" &&
		cp "$(disk_of secondary disk)" "$scratch/replica" || return
	for disk in active hidden; do
		truncate -s ${mib}M "$(disk_of secondary $disk)"
	done
	truncate -s 1M "$(disk_of secondary meta)" "$(disk_of secondary log)"
	# The disk of our primary differs from the replica's.
	qemu-img create -q -f raw "$(disk_of secondary local)" ${mib}M
	for disk in active hidden; do
		qemu-img create -q -f qcow2 "$scratch/$disk" ${mib}M || return
	done
}

# view_is FILE: what is read from our view
view_is() {
	local sum
	sum=$(on secondary eval 'dd if=/dev/mapper/view bs=1M iflag=direct status=none | md5sum')
	[ "$sum" = "$(md5sum < "$1")" ]
}

# The quorum of a COLO primary: it reads from the first child, and a write succeeds if
# one child has it.
colo_primary() {
	local child='{"driver": "raw", "node-name": "local",
		"file": {"driver": "file", "filename": "'"$scratch/local"'"}}'
	qemu primary -M none -S &&
		qmp primary blockdev-add '{"driver": "quorum", "node-name": "colo",
			"read-pattern": "fifo", "vote-threshold": 1, "children": ['"$child"']}' &&
		qemu_export primary colo
}

colo_primary_replicates() {
	qmp primary blockdev-add '{"driver": "replication", "mode": "primary",
		"node-name": "replica", "file": {"driver": "nbd", "export": "disk",
		"server": {"type": "inet", "host": "127.0.0.1", "port": "'"$vm_port"'"}}}' &&
		qmp primary x-blockdev-change '{"parent": "colo", "node": "replica"}' &&
		qmp primary xen-set-replication '{"enable": true, "primary": true}'
}

colo_secondary() {
	local hidden='{"driver": "qcow2", "backing": "disk",
		"file": {"driver": "file", "filename": "'"$scratch/hidden"'"}}'
	qemu secondary -M none -S &&
		qmp secondary blockdev-add '{"driver": "raw", "node-name": "disk",
			"file": {"driver": "file", "filename": "'"$scratch/replica"'"}}' &&
		qmp secondary nbd-server-start '{"addr": {"type": "inet",
			"data": {"host": "127.0.0.1", "port": "'"$our_port"'"}}}' &&
		qmp secondary nbd-server-add '{"device": "disk", "writable": true}' &&
		qmp secondary blockdev-add '{"driver": "replication", "mode": "secondary",
			"node-name": "colo", "top-id": "colo", "file": {"driver": "qcow2",
			"file": {"driver": "file", "filename": "'"$scratch/active"'"},
			"backing": '"$hidden"'}}' &&
		qmp secondary nbd-server-add '{"device": "colo", "writable": true}' &&
		qmp secondary xen-set-replication '{"enable": true, "primary": false}'
}

colo_status() {
	qmp "$1" query-xen-replication-status
}

# cmp_export URI FILE: it has the content of the file.
cmp_export() {
	qemu-img compare -q -f raw -F raw "$1" "$2"
}

# No job is left that merges.
colo_merged() {
	! qmp secondary query-named-block-nodes '{"flat": true}' | grep -q mirror_top
}

ok "disks" prepare || exit
boot secondary
ok "a QEMU primary with a local disk alone" colo_primary
colo=$(export_of primary colo)
ok "the VM: a view and an ingress, exported" vm_up || exit

diag "$SECONDS s: a QEMU primary, our secondary"
ok "QEMU replicates to the ingress" colo_primary_replicates
ok "QEMU's guest writes" io "$colo" "write -P 0x22 1M 3M" "write -P 0x33 5120k 8k" \
	"write -P 0x34 5123584 1536" "write -P 0x35 8388096 512" flush
ok "the disks are equal" cmp "$scratch/local" "$(disk_of secondary disk)"
qemu-img create -q -f raw "$scratch/old" ${mib}M && io "$scratch/old" "write -P 0x11 0 ${mib}M" > /dev/null
ok "the view is what it was" view_is "$scratch/old"
is "$(colo_status primary)" '{"error": false}' "QEMU has no error"

ok "a write to the view" on secondary fill /dev/mapper/view 0x66 3M 2M
ok "QEMU's checkpoint" qmp primary xen-colo-do-checkpoint
ok "ours" on secondary message view checkpoint
ok "the view is the primary's disk" view_is "$scratch/local"
cp "$scratch/local" "$scratch/checkpoint"

ok "QEMU's guest writes" io "$colo" "write -P 0x44 0 2M" "write -P 0x45 4M 100k" flush
ok "a write to the view" on secondary fill /dev/mapper/view 0x55 1M 64k
io "$scratch/checkpoint" "write -P 0x55 1M 64k" > /dev/null
ok "the view is the checkpoint and its own write" view_is "$scratch/checkpoint"
ok "failover" on secondary message view failover
ok "it ends" on secondary wait_for 60 stage_is view "done"
ok "the disk is that too" cmp "$scratch/checkpoint" "$(disk_of secondary disk)"
ok "QEMU's guest goes on" io "$colo" "write -P 0x77 7M 1M" flush "read -P 0x77 7M 1M"
ok "the view has none of it" view_is "$scratch/checkpoint"
ok "nor has the disk" cmp "$scratch/checkpoint" "$(disk_of secondary disk)"
ok "QEMU takes its replica out" \
	qmp primary x-blockdev-change '{"parent": "colo", "child": "children.1"}'
ok "QEMU's guest goes on" io "$colo" "read -P 0x77 7M 1M" "write -P 0x78 0 4k" flush
ok "QEMU ends" qemu_end primary

diag "$SECONDS s: our primary, a QEMU secondary"
ok "QEMU, with its disk exported" colo_secondary
colo=nbd://127.0.0.1:$our_port/colo
# shellcheck disable=SC2016 # expanded in the VM
ok "our primary, over nbd-client" on secondary eval "port=$our_port"'
	export_end && dmsetup remove in && dmsetup remove view || return
	replica=/dev/nbd0
	modprobe nbd nbds_max=1 && nbd-client -N disk 10.0.2.2 $port $replica &&
		META=$(disk log) primary_create primary "$(disk local)" $replica 128'
ok "it is in sync" on secondary wait_for 60 sync_is primary insync
ok "a checkpoint of the primary" on secondary message primary checkpoint
ok "the disks are equal" cmp "$(disk_of secondary local)" "$scratch/replica"
ok "the view of QEMU is what it was" io "$colo" "read -P 0x11 0 ${mib}M"
ok "QEMU's checkpoint" qmp secondary xen-colo-do-checkpoint
ok "the view is the primary's disk" io "$colo" "read -P 0 0 ${mib}M"

ok "the primary writes" on secondary eval 'fill /dev/mapper/primary 0x22 1M 3M &&
	fill /dev/mapper/primary 0x33 5M 8k && fill /dev/mapper/primary 0x34 5123584 1536'
ok "so does QEMU's guest" io "$colo" "write -P 0x66 3M 2M"
ok "the view has nothing of the primary's" \
	io "$colo" "read -P 0 0 3M" "read -P 0x66 3M 2M" "read -P 0 5M 3M"
ok "a checkpoint of the primary" on secondary message primary checkpoint
ok "QEMU's checkpoint" qmp secondary xen-colo-do-checkpoint
ok "the view is the primary's disk" \
	io "$colo" "read -P 0 0 1M" "read -P 0x22 1M 3M" "read -P 0x34 5123584 1536" "read -P 0x33 5M 3584"
ok "the disks are equal" cmp "$(disk_of secondary local)" "$scratch/replica"
cp "$scratch/replica" "$scratch/checkpoint"

ok "the primary writes" on secondary fill /dev/mapper/primary 0x44 0 2M
ok "so does QEMU's guest" io "$colo" "write -P 0x55 6M 64k" flush
io "$scratch/checkpoint" "write -P 0x55 6M 64k" > /dev/null
ok "QEMU keeps the primary out" qmp secondary nbd-server-remove '{"name": "disk", "mode": "hard"}'
ok "QEMU's failover" \
	qmp secondary xen-set-replication '{"enable": false, "primary": false, "failover": true}'
ok "the primary goes on" on secondary fill /dev/mapper/primary 0x77 7M 1M
ok "it is degraded" on secondary sync_is primary degraded
like "$(on secondary message primary get_error)" "I/O error occurred replica-io" "it has the error"
wait_for 60 colo_merged
is "$(colo_status secondary)" '{"error": false}' "QEMU's failover has ended"
ok "the view is the checkpoint and its own write" cmp_export "$colo" "$scratch/checkpoint"
ok "QEMU ends" qemu_end secondary
ok "the disk is that too" cmp "$scratch/checkpoint" "$scratch/replica"
ok "the VM goes down, and has nothing to complain about" shut_down secondary
diag "$SECONDS s"
done_testing
