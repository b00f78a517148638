# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests with two hosts: two VMs with disks and a network, which the test drives from
# outside, command by command. A host is a process that can be killed, and started
# again with the same disks.
#
# What a command may be in a host is in tests/hosts/agent, beside all of tests/lib.sh.
#
# A test may set netdev, to what QEMU is to make of the network.

# shellcheck source=tests/tap.sh
. tests/tap.sh

# Administrators' programs are not on everybody's path.
PATH=$PATH:/usr/sbin:/sbin
patience=${DM_REPL_PATIENCE:-1}

declare -A runner share address mac
names=(primary secondary)
address=([primary]=10.0.0.1 [secondary]=10.0.0.2)
mac=([primary]=52:54:00:00:00:01 [secondary]=52:54:00:00:00:02)

# Two UDP ports that nobody has. With UDP each host can go and come back without
# the other's noticing anything but silence.
mapfile -t port < <(perl -MIO::Socket::INET -e '
	@s = map { IO::Socket::INET->new(Proto => "udp", LocalAddr => "127.0.0.1") } 1, 2;
	print $_->sockport, "\n" for @s')

# disk_of HOST DISK: the file
disk_of() {
	echo "$scratch/$1-$2"
}

# boot HOST: starts it, with all disks that it has, and does not wait for it.
boot() {
	local host=$1 mine=0 qemu='' file boots
	[ "$host" = primary ] || mine=1
	boots=("$scratch/$host".boot*)
	share[$host]=$(mktemp -d "$scratch/$host.boot${#boots[@]}.XXX")
	for file in "$scratch/$host"-*; do
		qemu+=" -drive if=none,format=raw,id=${file##*-},file=$file"
		qemu+=" -device virtio-blk-pci,drive=${file##*-},serial=${file##*-}"
	done
	qemu+=" -netdev ${netdev:-socket,udp=127.0.0.1:${port[1 - mine]},localaddr=127.0.0.1:${port[mine]}}"
	qemu+=",id=net -device virtio-net-pci,netdev=net,mac=${mac[$host]}"
	qemu+=" -pidfile ${share[$host]}/pid"
	# shellcheck disable=SC2086,SC2154 # DM_REPL_VM has words; the test sets transport
	tests/vm/run ${DM_REPL_VM:-} --timeout 600 --memory 768 --cpus 1 \
		--share "${share[$host]}" --log "${share[$host]}/log" --qemu "$qemu" \
		tests/hosts/agent "$host" "${address[$host]}" "${address[secondary]}" "$transport" \
		> "${share[$host]}/said" 2>&1 &
	runner[$host]=$!
}

# on HOST COMMAND...: the command runs there, in a shell that stays; what it says is
# said here, and its status is ours.
on() {
	local dir=${share[$1]} end=$((SECONDS + 120 * patience)) status
	printf '%q ' "${@:2}" > "$dir/new"
	mv "$dir/new" "$dir/command"
	until [ -e "$dir/done" ]; do
		if ! kill -0 "${runner[$1]}" 2> /dev/null || [ $SECONDS -ge $end ]; then
			echo "$1 does not answer"
			return 1
		fi
		read -r -t 0.02 _ <&"$never"
	done
	status=$(< "$dir/done")
	rm "$dir/done"
	cat "$dir/output"
	return "$status"
}
mkfifo "$scratch/never"
exec {never}<> "$scratch/never"

# crash HOST: it is gone, from one moment to the next.
crash() {
	kill -KILL "$(< "${share[$1]}/pid")"
	wait "${runner[$1]}"
	unset "runner[$1]"
	! grep 'the kernel complained' "${share[$1]}/said"
}

# shut_down HOST: it takes down what it has, and the harness has a look at it.
shut_down() {
	local status
	printf '%q ' quit > "${share[$1]}/command"
	wait "${runner[$1]}"
	status=$?
	unset "runner[$1]"
	[ $status -eq 0 ] || cat "${share[$1]}/said"
	return $status
}

finish() {
	local status=$? host
	trap - EXIT
	for host in "${names[@]}"; do
		[ -z "${runner[$host]:-}" ] || kill "${runner[$host]}" 2> /dev/null || continue
		[ -z "${runner[$host]:-}" ] || wait "${runner[$host]}"
		[ $failures -eq 0 ] || diag "$(tail -n 25 "${share[$host]}"/{said,log})"
	done
	rm -rf "$scratch"
	[ $status -ne 0 ] || [ $failures -eq 0 ] || status=1
	exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM HUP
