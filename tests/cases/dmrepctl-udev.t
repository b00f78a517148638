#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300
#
# The udev rules: what lies on several devices is found on the primary alone, or on
# none, and on what it was found on before when that is over. Links by name. What is on disks
# that dmrepctl.conf describes is not known before, so that nobody activates it at boot.
. tests/lib.sh
. tests/dmrepctl.sh

udevd=/lib/systemd/systemd-udevd
[ -x $udevd ] || skip_all "there is no udevd"
modprobe loop
for rules in 11 62; do
	install -D -m 644 "tools/dmrepctl/$rules-dm-replication.rules" \
		"/etc/udev/rules.d/$rules-dm-replication.rules"
done
# Names as LVM and the persistent ones are given, before that and after it.
cat > /etc/udev/rules.d/56-test.rules <<-END
	KERNEL=="loop1", SYMLINK+="vg/disk"
	KERNEL=="loop2", SYMLINK+="vg/disk-old"
END
echo 'KERNEL=="loop3", SYMLINK+="disk/by-test/a.b:c"' > /etc/udev/rules.d/61-test.rules
unset DM_DISABLE_UDEV
$udevd --debug > "$scratch/udevd" 2>&1 &
udevd_pid=$!

# Events of what is on a disk come when it is closed, too.
settle() {
	udevadm settle --timeout $((60 * REPL_PATIENCE))
}

# knows DEVICE: the type that udev knows
knows() {
	udevadm info --query property "$1" | sed -n 's/^ID_FS_TYPE=//p'
}

# found_on: the device that the filesystem's UUID leads to, by its name
found_on() {
	local node
	node=$(readlink -f "/dev/disk/by-uuid/$uuid") || return
	case $node in
	/dev/dm-*) cat "/sys/block/${node#/dev/}/dm/name" ;;
	*) echo "$node" ;;
	esac
}

# nowhere: the same, none
nowhere() {
	! [ -e "/dev/disk/by-uuid/$uuid" ]
}

ok "udevd runs" wait_for 20 udevadm control --ping
for i in 0 1 2 3; do
	truncate -s 16M "/dev/shm/disk$i"
	losetup "/dev/loop$i" "/dev/shm/disk$i"
done
mke2fs -q -t ext4 -b 4096 /dev/loop0
settle
uuid=$(blkid -s UUID -o value /dev/loop0)
is "$(knows /dev/loop0)" ext4 "udev knows what is on the disk"
is "$(found_on)" /dev/loop0 "by its UUID the disk is found"

diag "a primary"
says 0 "" create primary disk -l /dev/loop0 -r /dev/loop1 -m none
ok "it comes in sync" wait_for 20 sync_is disk insync
settle
is "$(found_on)" disk "by its UUID the primary is found"
is "$(readlink -f /dev/replication/disk)" "$(readlink -f /dev/mapper/disk)" "and by its name"
is "$(knows /dev/mapper/disk)" ext4 "udev knows what is on it"
udevadm trigger --action=change /dev/loop0 /dev/loop1
settle
is "$(knows /dev/loop0)$(knows /dev/loop1)" "" "it does not look at the disks"
is "$(found_on)" disk "which are not found"
says 0 "" remove disk
settle
is "$(knows /dev/loop0)" ext4 "when it has gone the disk is looked at again"
like "$(found_on)" "^/dev/loop[01]$" "and found"
fails "the link by name has gone" [ -e /dev/replication/disk ]
losetup -d /dev/loop1

diag "a view"
says 0 "" create secondary view -s /dev/loop0 -a /dev/loop2 -H /dev/loop3 -m none
says 0 "" create ingress in --top view
settle
ok "nothing is found by its UUID" nowhere
for name in view in; do
	is "$(readlink -f /dev/replication/$name)" "$(readlink -f /dev/mapper/$name)" "$name is found by its name"
	is "$(knows /dev/mapper/$name)" "" "udev does not look at it"
	is "$(udevadm info --query property /dev/mapper/$name | grep -c -x -e SYSTEMD_READY=1 -e UDISKS_IGNORE=1)" \
		2 "it is ready, and no business of udisks"
done
is "$(knows /dev/loop0)" "" "udev does not look at the disk"
ok "the view is mounted by its name" mount /dev/replication/view /mnt
umount /mnt
settle
ok "nothing is found by its UUID after that" nowhere
says 0 "" remove in view --force
settle
# Or active, where the mount has written the superblock.
like "$(found_on)" "^/dev/loop[02]$" "when it has gone the disk is found"

diag "at boot: disks that are described"
udevadm trigger --action=change /dev/loop0
losetup /dev/loop1 /dev/shm/disk1
for i in 0 1 2 3; do
	mke2fs -q -F -t ext4 -b 4096 "/dev/loop$i"
done
known() {
	udevadm trigger --action=change /dev/loop[0-3]
	settle
	echo "$(knows /dev/loop0) $(knows /dev/loop1) $(knows /dev/loop2) $(knows /dev/loop3)"
}
is "$(known)" "ext4 ext4 ext4 ext4" "without the file what is on them is known"
cat > /etc/dmrepctl.conf <<-END
	v {
		mode = "secondary"
		secondary = "/dev/vg/disk" # not "/dev/loop0"
		active = "/dev/disk/by-test/a.b:c"
	}
END
is "$(known)" "ext4  ext4 " "with it, of those that are in it nothing is known"
mkdir /etc/dmrepctl.conf.d
echo 'p { local = "/dev/loop0" }' > /etc/dmrepctl.conf.d/p.conf
is "$(known)" "  ext4 " "there may be several files"
like "$(udevadm info --query property /dev/loop0)" "UDISKS_IGNORE=1" "udisks is told"
rm -r /etc/dmrepctl.conf /etc/dmrepctl.conf.d
is "$(known)" "ext4 ext4 ext4 ext4" "and without it again"

# What it says when it reads them; of an event it says the device's name first.
is "$(grep '^/etc/udev/rules.d/[0-9]*-dm-replication' "$scratch/udevd")" "" "udev understands the rules"
kill $udevd_pid
wait $udevd_pid 2> /dev/null
losetup -D
rm -f /run/udev/control /dev/shm/disk?
export DM_DISABLE_UDEV=1
done_testing
