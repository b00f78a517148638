#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The harness itself: every way in which tests/vm/run is to fail is seen to fail.

. tests/tap.sh

# vm NAME ARGUMENT...: a run in the background; what it says is in $scratch/NAME,
# its status in $scratch/NAME.status.
vm() {
	local name=$1
	shift
	{
		tests/vm/run --log "$scratch/$name.log" "$@" > "$scratch/$name" 2>&1
		echo $? > "$scratch/$name.status"
	} &
}

said() {
	cat "$scratch/$1"
}

status() {
	cat "$scratch/$1.status"
}

# A device that somebody has open: neither it nor the module goes away.
hold='
	. tests/lib.sh
	ramdisks 3 16
	secondary_create held /dev/ram0 /dev/ram1 /dev/ram2 8
	sleep 1000 < /dev/mapper/held &
	sleep 1
	trap - EXIT
	printf "one\ntwo\n"
	exit 200'

# shellcheck disable=SC2016 # expanded in the VM
SEED=42 vm good bash -c 'echo "$REPL_ROOT $SEED $1"; test -d /sys/module/dm_replication' good "a  b"
vm held bash -c "$hold"
wait
vm warning --no-module bash -c 'echo "WARNING: not really" > /dev/kmsg'
vm crash --no-module bash -c 'echo before; echo c > /proc/sysrq-trigger; sleep 100'
vm killed --no-module --pid "$scratch/pid" \
	bash -c 'echo "WARNING: not really" > /dev/kmsg; sleep 100'
until grep -qs 'not really' "$scratch/killed.log"; do
	sleep 0.1
done
kill -KILL "$(cat "$scratch/pid")"
wait
vm slow --no-module --timeout 20 sleep 1000
wait

is "$(said good)" "$PWD 42 a  b" "a script has its arguments and its environment"
is "$(status good)" 0 "a good run succeeds"

like "$(said warning)" "the kernel complained: .*WARNING: not really" "a kernel warning is reported"
is "$(status warning)" 1 "and fails the run"

like "$(said killed)" "the kernel complained: .*WARNING: not really" "also of a VM that is killed on purpose"
is "$(status killed)" 125 "and fails the run"

like "$(said held)" "# harness: device-mapper devices are left over: held" "a device left over is reported"
like "$(said held)" "# harness: the module does not unload" "so is a module that does not unload"
is "$(said held | head -n 2 | od -c)" "$(printf 'one\ntwo\n' | od -c)" "output comes back byte for byte"
is "$(status held)" 200 "so does the script's status"

like "$(said crash)" "^before" "output before a crash is not lost"
like "$(said crash)" "# harness: the VM died" "a crash is reported"
like "$(said crash)" "# kernel: .*Call Trace" "with the kernel's log"
is "$(status crash)" 125 "and fails the run"

like "$(said slow)" "# harness: the time limit of [0-9]+ seconds was reached" "a run that takes too long is reported"
is "$(status slow)" 124 "and fails"

done_testing
