#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
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
ok "many writes wait for the timeout, once" wait_for 60 eval "! kill -0 $writer 2> /dev/null"
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

# begin SECONDS: in sync, the replica being /dev/mapper/replica
begin() {
	dm_linear replica /dev/ram1
	META=- primary_create primary /dev/ram0 /dev/mapper/replica $region insync \
		replica_timeout $(($1 * REPL_PATIENCE))
	dm_log > /dev/null
}

# waits SECONDS MIB...: writes to one MiB after the other for so long. Leaves in $waits how
# many milliseconds those took that took long, in their order.
waits() {
	local end=$((SECONDS + $1 * REPL_PATIENCE)) took at
	shift
	waits=''
	while [ $SECONDS -lt $end ]; do
		for at; do
			began=${EPOCHREALTIME/./}
			dd if=/dev/zero of=$primary bs=4k count=1 seek=$((at * 256)) oflag=direct status=none
			took=$((${EPOCHREALTIME/./} / 1000 - began / 1000))
			[ $took -lt $((1000 * REPL_PATIENCE)) ] || waits+=" $took"
		done
		sleep 0.05
	done
	diag "what took long, ms:$waits"
}

diag "a replica that answers reads at once, and writes too late"
begin 2
dm_delay replica /dev/ram1 0 $((3000 * REPL_PATIENCE))
waits 20 0 10 20 30
is "$(wc -w <<< "$waits")" 1 "one write waits, once"
log=$(dm_log)
like "$log" "the replica has not answered for $((2 * REPL_PATIENCE)) s \(replica_timeout\): a write at sector" \
	"the log says for what, and which limit"
like "$log" "raise replica_timeout" "and what to do"
like "$log" "a write that tries it again at sector" "the replica is tried again by a write"
dm_linear replica /dev/ram1
message primary resync > /dev/null 2>&1
ok "in sync when it is quick again" wait_for 60 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary

diag "a replica that takes what is tried, and not what comes after it"
begin 6
dm_table replica "0 2048 linear /dev/ram1 0
2048 129024 delay /dev/ram1 2048 0 /dev/ram1 2048 $((7000 * REPL_PATIENCE))"
waits 8 5
is "$(wc -w <<< "$waits")" 1 "the first write waits for the timeout"
# Only what it takes is dirty by now, but for what it has not taken.
waits 30 0 5 6
long=0
for took in $waits; do
	[ "$took" -lt $((3500 * REPL_PATIENCE)) ] || long=$((long + 1))
done
is $long 0 "none waits as long again"
dm_linear replica /dev/ram1
message primary resync > /dev/null 2>&1
ok "in sync when it is quick again" wait_for 60 sync_is primary insync
ok "the legs are equal" equal /dev/ram0 /dev/ram1
dmsetup remove primary

diag "a replica whose flushes take long, but not too long, after it has stalled"
nulldisks 2 32 cache_size=1
# flushes_take MS
flushes_take() {
	dm_table replica "0 65536 delay /dev/nullb1 0 0 /dev/nullb1 0 0 /dev/nullb1 0 $(($1 * REPL_PATIENCE))"
}
flushes_take 0
META=- primary_create primary /dev/nullb0 /dev/mapper/replica $region insync \
	replica_timeout $((8 * REPL_PATIENCE))
dm_log > /dev/null
flushes_take 9000
dd if=/dev/zero of=$primary bs=4k count=1 oflag=direct conv=fsync status=none
is "$(status_field primary 3)" degraded "degraded"
flushes_take 3000
end=$((SECONDS + 30 * REPL_PATIENCE))
while [ $SECONDS -lt $end ]; do
	dd if=/dev/zero of=$primary bs=4k count=1 oflag=direct conv=fsync status=none
	sleep 0.2
done
ok "in sync" wait_for 10 sync_is primary insync
degraded=$(dm_log | grep -c ': degraded, was')
ok "and stays so: degraded $degraded times" [ "$degraded" -le 2 ]
dmsetup remove primary
dmsetup remove replica

diag "a replica that comes and goes"
begin 30
for _ in {1..4}; do
	dm_error replica
	fill $primary 0x22 0 64k
	wait_for 10 sync_is primary degraded
	dm_linear replica /dev/ram1
	began=${EPOCHREALTIME/./}
	wait_for 60 sync_is primary insync
	took=$(((${EPOCHREALTIME/./} - began) / 1000))
	diag "in sync after $took ms"
done
ok "is tried less often" [ "$took" -ge 5000 ]
like "$(dm_log)" "the replica has failed a write at sector 0 with error -5" "the log says what failed"
ok "the legs are equal" equal /dev/ram0 /dev/ram1
done_testing
