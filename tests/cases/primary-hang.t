#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
# cpus: 1
# waits: yes
#
# "The primary": whoever writes while the replica hangs waits for replica_timeout, once,
# whatever the replica is stacked on.
. tests/lib.sh

primary=/dev/mapper/primary region=2048

ramdisks 2 64

diag "a dm device over nbd, whose server stops"
modprobe nbd nbds_max=1
# The socket is soon full; then nbd's driver sleeps in the task that submits to it.
echo "4096 16384 131072" > /proc/sys/net/ipv4/tcp_wmem
echo "4096 16384 131072" > /proc/sys/net/ipv4/tcp_rmem
cat > "$scratch/nbd.conf" <<-END
	[generic]
		listenaddr = 127.0.0.1
	[disk]
		exportname = /dev/ram1
		flush = true
		fua = true
END
ok "the server" nbd-server -C "$scratch/nbd.conf" -p "$scratch/nbd.pid"
wait_for 60 test -s "$scratch/nbd.pid"
ok "the client" nbd-client -N disk 127.0.0.1 /dev/nbd0
# An I/O scheduler would have a worker send most of it.
echo none > /sys/block/nbd0/queue/scheduler
dm_linear stable /dev/nbd0
META=- primary_create primary /dev/ram0 /dev/mapper/stable $region insync replica_timeout 4
fill $primary 0x11 0 1M
server=$(< "$scratch/nbd.pid")
server+=" $(pgrep -P "$server")"
# shellcheck disable=SC2086 # a word each
kill -STOP $server
fio --name=w --filename=$primary --rw=write --bs=64k --iodepth=256 --size=24m \
	--ioengine=libaio --direct=1 --eta=never --minimal --output="$scratch/fio" & writer=$!
ok "many writes wait for the timeout, once" wait_for 20 eval "! kill -0 $writer 2> /dev/null"
is "$(status_field primary 3)" degraded "degraded"
# shellcheck disable=SC2086
kill -CONT $server
ok "they have succeeded" wait $writer
ok "in sync when the server goes on" wait_for 60 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary
dmsetup remove stable
nbd-client -d /dev/nbd0 > /dev/null
kill "$(< "$scratch/nbd.pid")"
done_testing
