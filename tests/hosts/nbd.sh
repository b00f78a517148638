# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# NBD, for tests/hosts/agent. A connection that was lost stays so: its device is given
# up, and another one takes its place in the primary's table.

# shellcheck disable=SC2154 # of tests/hosts/agent
export_disk() {
	cat > /run/nbd.conf <<-END
		[generic]
			listenaddr = $address
		[disk]
			exportname = /dev/mapper/in
			flush = true
			fua = true
	END
	# It writes through the page cache: let a flush not have much to write.
	echo $((4 << 20)) > /proc/sys/vm/dirty_bytes
	echo $((1 << 20)) > /proc/sys/vm/dirty_background_bytes
	nbd-server -C /run/nbd.conf -p /run/nbd.pid && wait_for 20 test -s /run/nbd.pid
}

export_end() {
	local pids
	[ -s /run/nbd.pid ] || return 0
	# Each connection has a process of its own.
	pids="$(pgrep -P "$(cat /run/nbd.pid)") $(cat /run/nbd.pid)"
	# shellcheck disable=SC2086 # words
	kill -KILL $pids
	for pid in $pids; do
		wait_for 10 eval "! kill -0 $pid 2> /dev/null" || return
	done
	rm /run/nbd.pid
}

# The server is to have nothing any more of what an earlier connection brought: it
# could still write it, after what is newer.
export_again() {
	export_end && export_disk
}

# Leaves the device in $replica.
import() {
	modprobe nbd nbds_max=8 && nbd_next=$((${nbd_next:--1} + 1)) || return
	replica=/dev/nbd$nbd_next
	# shellcheck disable=SC2154 # of tests/hosts/agent
	wait_for 20 nbd-client -N disk -t $((30 * REPL_PATIENCE)) "$peer" "$replica"
}

# reimport TIMEOUT: the primary's replica is there again.
reimport() {
	nbd-client -d "$replica"
	import && primary_timeout "$1"
}

transport_end() {
	export_end
	dmsetup remove primary 2> /dev/null
	[ -z "${replica:-}" ] || nbd-client -d "$replica"
}
