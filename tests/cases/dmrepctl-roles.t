#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "Stages": after a failover the hosts change roles, and what was written since is kept.
# Both hosts are this one; the ingress is the primary's replica without a network.
. tests/lib.sh
. tests/dmrepctl.sh

# Of each host: its disk, metadata, active and hidden.
disk=(/dev/ram0 /dev/ram4) metadata=(/dev/ram1 /dev/ram5)
active=(/dev/ram2 /dev/ram6) hidden=(/dev/ram3 /dev/ram7)

# replicate FROM TO OPTION...: the host FROM is the primary, TO the standby
replicate() {
	dmrepctl create secondary view --secondary "${disk[$2]}" --metadata "${metadata[$2]}" \
		--active "${active[$2]}" --hidden "${hidden[$2]}" --force &&
		dmrepctl create ingress ingress --top view &&
		dmrepctl create primary data --local "${disk[$1]}" --metadata "${metadata[$1]}" \
			--replica /dev/mapper/ingress "${@:3}" &&
		dmrepctl resync data
}

ramdisks 8 16
mkdir "$scratch/mnt"
mke2fs -q -t ext4 -b 4096 "${disk[0]}"
ok "the first host is the primary" replicate 0 1
mount /dev/mapper/data "$scratch/mnt"
echo before > "$scratch/mnt/file"
sync -f "$scratch/mnt"
ok "a checkpoint" eval "dmrepctl checkpoint data && dmrepctl checkpoint view"
echo lost > "$scratch/mnt/file"
sync -f "$scratch/mnt"

diag "the first host dies"
umount "$scratch/mnt"
dmsetup remove data
ok "failover" dmrepctl failover view --yes
mount /dev/mapper/view "$scratch/mnt"
is "$(cat "$scratch/mnt/file")" before "the standby has the last checkpoint"
echo after > "$scratch/mnt/file"
umount "$scratch/mnt"

diag "they change roles"
ok "remove" dmrepctl remove ingress view
fails "the old primary's metadata is not believed of a view" dmrepctl create secondary view \
	--secondary "${disk[0]}" --metadata "${metadata[0]}" --active "${active[0]}" \
	--hidden "${hidden[0]}" --force
ok "format the old primary's metadata" dmrepctl format --force "${metadata[0]}"
ok "format the other" dmrepctl format "${metadata[1]}"
fails "what is on the old disk would be overwritten" replicate 1 0
like "$output" "signature of ext4" "and it says so"
ok "remove" dmrepctl remove ingress view
ok "the second host is the primary" replicate 1 0 --force
mount /dev/mapper/data "$scratch/mnt"
is "$(cat "$scratch/mnt/file")" after "which has what was written after the failover"
sync -f "$scratch/mnt"
ok "a checkpoint" eval "dmrepctl checkpoint data && dmrepctl checkpoint view"
umount "$scratch/mnt"
mount /dev/mapper/view "$scratch/mnt"
is "$(cat "$scratch/mnt/file")" after "and so has the first one's view"
umount "$scratch/mnt"
dmrepctl remove data && dmrepctl remove --all
done_testing
