#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest of QEMU, beside the VM, whose disk is the view, by the VM's NBD server: it
# boots from it and works on it, as the secondary of COLO does, through a checkpoint with
# a reset, and a failover, while the primary writes to the ingress.
. tests/qemu/lib.sh

mib=16

# disk_create FILE GENERATION: the guest's root, nearly full
disk_create() {
	local tree=$scratch/tree.$2
	mkdir -p "$tree"/{bin,proc,dev,sys,desk} && cp "$(command -v busybox)" "$tree/bin" &&
		cp tests/qemu/guest-work "$tree/init" && chmod 755 "$tree/init" &&
		echo "$2" > "$tree/generation" && echo 0 > "$tree/desk/count" &&
		head -c 7M /dev/urandom > "$tree/ballast" &&
		(cd "$tree" && md5sum ballast bin/busybox init > sums) || return
	for link in sh mount cat head md5sum mv sync poweroff; do
		ln -s busybox "$tree/bin/$link"
	done
	rm -f "$1"
	mkfs.ext4 -q -J size=4 -d "$tree" "$1" ${mib}M
}

# What the guest's kernel needs until it has its root.
initramfs() {
	local dir=$scratch/initramfs.d file
	mkdir -p "$dir/bin" "$dir/modules" && cp "$(command -v busybox)" "$dir/bin" &&
		cp tests/qemu/guest-init "$dir/init" && chmod 755 "$dir/init" || return
	for module in virtio_pci virtio_blk crc32c_generic ext4; do
		modprobe -S "$kver" --show-depends $module || return
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' > "$scratch/modules" || return
	while read -r file; do
		cp "$file" "$dir/modules" && echo "${file##*/}" >> "$dir/modules/order" || return
	done < "$scratch/modules"
	(cd "$dir" && find . | cpio --quiet -o -H newc -R 0:0) > "$scratch/initramfs"
}

prepare() {
	local disk
	kver=$(modinfo -F vermagic dm-replication/dm-replication.ko)
	kver=${kver%% *}
	disk_create "$(disk_of secondary disk)" 1 && disk_create "$scratch/second" 2 && initramfs || return
	for disk in active hidden; do
		truncate -s ${mib}M "$(disk_of secondary $disk)"
	done
	truncate -s 1M "$(disk_of secondary meta)"
}

# guest: boots it. What it says is in $scratch/console.
guest() {
	mkfifo "$scratch/serial.in" "$scratch/serial.out"
	cat "$scratch/serial.out" > "$scratch/console" &
	exec {keyboard}<> "$scratch/serial.in"
	local kernel=build/vm/vmlinux-$kver
	[ -e "$kernel" ] || kernel=/boot/vmlinuz-$kver
	qemu guest -machine q35 -accel tcg -cpu max,la57=off,erms=off,fsrm=off -m 256 \
		-kernel "$kernel" -initrd "$scratch/initramfs" \
		-append "console=ttyS0 loglevel=4 quiet mitigations=off cryptomgr.notests
			no_timer_check norandmaps tsc=reliable" \
		-serial "pipe:$scratch/serial" \
		-drive "if=none,id=disk,format=raw,file=nbd://127.0.0.1:$vm_port/view" \
		-device virtio-blk-pci,drive=disk
}

# said TEXT: so many times the guest has
said() {
	tr -d '\r' < "$scratch/console" | grep -c "^guest: $1"
}

says() {
	[ "$(said "$1")" -gt 0 ]
}

# works N: the guest does so much more.
works() {
	local goal=$(($(said work) + $1))
	wait_for 90 eval "[ \"\$(said work)\" -ge $goal ]"
}

# The two exports of the VM. It has to be in the form of nbd.sh's.
export_all() {
	# shellcheck disable=SC2016 # expanded in the VM
	on secondary eval 'export_end
		printf "[view]\nexportname = /dev/mapper/view\nflush = true\nfua = true\n" >> /run/nbd.conf
		nbd-server -C /run/nbd.conf -p /run/nbd.pid && wait_for 20 test -s /run/nbd.pid'
}

# primary_writes FILE
primary_writes() {
	qemu-img convert -n -f raw -O raw "$1" "nbd://127.0.0.1:$vm_port/disk"
}

hidden_chunks() {
	on secondary status_field view 6
}

# The files on the VM's disk are what their sums say.
work_is_whole() {
	local tree=$scratch/after
	mkdir "$tree" && debugfs -R "rdump / $tree" "$(disk_of secondary disk)" &&
		(cd "$tree" && md5sum --quiet -c sums && cd desk && md5sum --quiet -c sums) &&
		[ "$(< "$tree/desk/count")" = $(($(said work) - before)) ]
}

ok "disks" prepare || exit
boot secondary
ok "the VM: a view and an ingress" vm_up || exit
ok "both exported" export_all
diag "$SECONDS s: the VM is up"
ok "the guest starts" guest
ok "it boots from the view" wait_for 90 says "generation 1, done 0"
ok "it works" works 5

diag "$SECONDS s: a checkpoint"
ok "the primary writes another disk" primary_writes "$scratch/second"
like "$(hidden_chunks)" "^[1-9]" "old content is kept: chunks $(hidden_chunks)"
ok "the guest works on" works 5
ok "the guest stands still" qmp guest stop
ok "a checkpoint" on secondary message view checkpoint
ok "the guest is reset" qmp guest system_reset
qmp guest cont
ok "it boots from the other disk, without its work" wait_for 90 says "generation 2, done 0"
before=$(said work)
ok "it works" works 5

diag "$SECONDS s: a failover"
ok "the primary writes over it" io "nbd://127.0.0.1:$vm_port/disk" "write -P 0xff 0 ${mib}M" flush
ok "the guest works on" works 3
ok "failover" on secondary message view failover
ok "the guest works on" works 3
ok "the merge ends" on secondary wait_for 60 stage_is view "done"
ok "the guest works on" works 3
is "$(said generation)" 2 "it has booted twice"
echo >&"$keyboard"
ok "the guest goes down" wait_for 30 says down
wait "${process[guest]}"
is $? 0 "and its QEMU"
unset "process[guest]"
fails "it had no errors" grep -E "I/O error|EXT4-fs (error|warning)|has failed|Call Trace" "$scratch/console"
ok "the VM goes down, and has nothing to complain about" shut_down secondary
ok "the disk's filesystem is sound" e2fsck -f -n "$(disk_of secondary disk)"
ok "the guest's work is on it" work_is_whole
diag "$SECONDS s"
done_testing
