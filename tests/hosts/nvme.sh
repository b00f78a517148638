# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# NVMe over TCP, for tests/hosts/agent: the kernel's own target and host. The host
# looks for a target that it has lost, and its device stays.

nqn=nqn.2024-01.test:disk
nvmet=/sys/kernel/config/nvmet

# shellcheck disable=SC2154 # of tests/hosts/agent
export_disk() {
	local subsystem=$nvmet/subsystems/$nqn port=$nvmet/ports/1
	modprobe -a configfs nvmet nvmet_tcp || return
	mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config || return
	mkdir $subsystem && mkdir $subsystem/namespaces/1 &&
		echo 1 > $subsystem/attr_allow_any_host &&
		# The host knows the namespace again by these.
		echo 11111111-2222-3333-4444-555555555555 > $subsystem/namespaces/1/device_uuid &&
		echo 11111111-2222-3333-4444-555555555555 > $subsystem/namespaces/1/device_nguid &&
		echo -n /dev/mapper/in > $subsystem/namespaces/1/device_path &&
		echo 1 > $subsystem/namespaces/1/enable &&
		mkdir $port && echo tcp > $port/addr_trtype && echo ipv4 > $port/addr_adrfam &&
		echo "$address" > $port/addr_traddr && echo 4420 > $port/addr_trsvcid &&
		ln -s $subsystem $port/subsystems/
}

export_end() {
	[ -e $nvmet/ports/1 ] || return 0
	rm $nvmet/ports/1/subsystems/$nqn && rmdir $nvmet/ports/1 &&
		rmdir $nvmet/subsystems/$nqn/namespaces/1 $nvmet/subsystems/$nqn
}

# A host that gives a connection up has nothing sent any more.
export_again() {
	:
}

# Leaves the device in $replica.
import() {
	replica=/dev/nvme0n1
	modprobe nvme_tcp || return
	# shellcheck disable=SC2154 # of tests/hosts/agent
	wait_for 20 nvme connect -t tcp -a "$peer" -s 4420 -n $nqn --hostnqn=$nqn-host \
		--keep-alive-tmo=4 --reconnect-delay=1 --ctrl-loss-tmo=600 &&
		wait_for 20 test -b $replica
}

# reimport TIMEOUT: the primary's replica is there again.
reimport() {
	wait_for 60 grep -q live /sys/class/nvme/nvme0/state && primary_timeout "$1"
}

transport_end() {
	export_end
	dmsetup remove primary 2> /dev/null
	[ -z "${replica:-}" ] || nvme disconnect -n $nqn
}
