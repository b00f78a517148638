# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A VM whose power can fail: its disks lose then what they have in their caches.
# Sourced here, not in the VM, by power-loss.t and the demo.

# In their order. What has metadata in its name is small.
power_names=(metadata active hidden secondary)

# power_disks DIRECTORY MIB: empty ones
power_disks() {
	local name size
	mkdir -p "$1" || return
	for name in "${power_names[@]}"; do
		size=$2M
		[[ $name != *metadata* ]] || size=64K
		truncate -s 0 "$1/$name" && truncate -s "$size" "$1/$name" || return
	done
}

# power_on DIRECTORY ARGUMENT...: of tests/vm/run, for a VM with these disks, which is
# started and goes on in the background. The guest has them as vda, vdb and so on.
power_on() {
	local dir=$1 disk drives='' line
	shift
	rm -f "$dir/pid"
	exec {power_disks}< <(exec tests/crash/disks --dir "$dir" --seed "$RANDOM" \
		--files "$(IFS=,; echo "${power_names[*]}")")
	power_disks_pid=$!
	read -r line <&"$power_disks" && [ "$line" = ready ] || return
	for disk in "${power_names[@]}"; do
		drives+=" -drive if=virtio,format=raw,cache=writeback,"
		drives+="file.driver=nbd,file.server.type=unix,file.server.path=$dir/$disk.sock"
	done
	tests/vm/run --pid "$dir/pid" --qemu "$drives" "$@" &
	power_vm=$!
	power_pid=$dir/pid
}

power_is_on() {
	[ -n "$power_vm" ] && kill -0 "$power_vm" 2> /dev/null
}

# power_cut: now. Then as power_end.
power_cut() {
	local pid
	{ read -r pid < "$power_pid" && kill -KILL "$pid"; } 2> /dev/null
	power_end
}

# power_end: waits for the end of the VM, whose status is left in $status, and what each
# disk lost of what was in its cache in $lost, such as "metadata 3/8 active 120/256 ...".
power_end() {
	wait "$power_vm"
	# shellcheck disable=SC2034 # for the caller
	status=$?
	power_vm=''
	# Without a VM the disks would wait for one.
	# shellcheck disable=SC2034
	read -t 5 -r lost <&"$power_disks" || { power_off; lost=''; }
	exec {power_disks}<&-
	power_disks_pid=''
}

# power_off: nothing of it is to be left, however far it has come.
power_off() {
	# shellcheck disable=SC2086 # none, one or two words
	[ -z "${power_vm:-}${power_disks_pid:-}" ] || kill $power_vm $power_disks_pid 2> /dev/null
}
