# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests with one host in a VM, which tests/hosts/lib.sh calls secondary, and with QEMUs
# here that have no guest but a block layer, or a guest of their own.

# shellcheck source=tests/hosts/lib.sh
. tests/hosts/lib.sh

# shellcheck disable=SC2034 # for hosts/lib.sh
transport=nbd
# What the VM's NBD server has is here on port $vm_port of 127.0.0.1; what is here on
# 127.0.0.1 the VM finds on 10.0.2.2. Port $our_port is for that.
mapfile -t ports < <(perl -MIO::Socket::INET -e '
	@s = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") } 1, 2;
	print $_->sockport, "\n" for @s')
# shellcheck disable=SC2034 # for the tests
vm_port=${ports[0]} our_port=${ports[1]}
names=(secondary)
address[secondary]=10.0.2.15
# shellcheck disable=SC2034
netdev=user,hostfwd=tcp:127.0.0.1:$vm_port-10.0.2.15:10809

# The VM, up to its view and ingress. QEMU's network does not know where to send what is
# for the VM before that has said something.
vm_up() {
	on secondary secondary_up && on secondary busybox ping -c 1 -W 20 10.0.2.2
}

declare -A process

# qemu NAME [ARGUMENT...]: starts one, which qmp NAME talks to.
qemu() {
	local monitor=$scratch/$1.qmp
	# shellcheck disable=SC2054 # the commas are QEMU's
	local command=(qemu-system-x86_64 -nodefaults -no-user-config -display none
		-qmp "unix:$monitor,server=on,wait=off" "${@:2}")
	"${command[@]}" < /dev/null > "$scratch/$1.out" 2>&1 &
	process[$1]=$!
	until [ -S "$monitor" ]; do
		kill -0 "${process[$1]}" || return
		read -r -t 0.02 _ <&"$never" || :
	done
}

# qmp NAME COMMAND [ARGUMENTS]: the arguments are JSON.
qmp() {
	tests/qemu/qmp "$scratch/$1.qmp" "${@:2}"
}

# qemu_end NAME: it ends by itself.
qemu_end() {
	local status
	qmp "$1" quit
	wait "${process[$1]}"
	status=$?
	unset "process[$1]"
	return $status
}

# export_of NAME NODE: the URI of an export of its NBD server
export_of() {
	echo "nbd+unix:///$2?socket=$scratch/$1.nbd"
}

# qemu_export NAME NODE...: starts its NBD server, on a socket here.
qemu_export() {
	local node
	qmp "$1" nbd-server-start '{"addr": {"type": "unix", "data": {"path": "'"$scratch/$1.nbd"'"}}}'
	for node in "${@:2}"; do
		qmp "$1" nbd-server-add '{"device": "'"$node"'", "writable": true}' || return
	done
}

# io URI COMMAND...: commands of qemu-io. A read with -P that finds something else fails.
io() {
	local commands=() command
	for command in "${@:2}"; do
		commands+=(-c "$command")
	done
	qemu-io -f raw "${commands[@]}" "$1"
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local end=$((SECONDS + $1 * patience))
	until "${@:2}"; do
		[ $SECONDS -lt $end ] || return
		read -r -t 0.05 _ <&"$never" || :
	done
}

finish_all() {
	local status=$? name
	trap - EXIT
	for name in "${!process[@]}"; do
		kill -KILL "${process[$name]}"
		wait "${process[$name]}"
		[ $failures -eq 0 ] || diag "$name: $(tail -n 25 "$scratch/$name.out")"
	done 2> /dev/null
	(exit $status)
	finish
}
trap finish_all EXIT
