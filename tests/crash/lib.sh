# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What crash-replay.t and mutants.t share, beside tests/lib.sh.
# shellcheck disable=SC2154 # scratch and output are lib.sh's

PATH=$PWD/tests/crash:$PATH
sectors=17002		# more than a map sector's chunks of 8, and a bit of a chunk
tried=0			# crash points

# The disks: what is recorded is on NBD devices, what is checked on RAM disks.
crash_setup() {
	# Thousands of tables come and go.
	echo 1 > /sys/kernel/rcu_expedited
	modprobe nbd nbds_max=4 max_part=0 &&
		modprobe brd rd_nr=12 rd_size=$((sectors / 2)) max_part=0
}

# Up to 6.13 a kernel may refuse to make dm-bufio's slab cache while another one like
# it goes. So one stays, where tables come and go at the same time.
keeper_create() {
	META=/dev/ram8 secondary_create keeper /dev/ram9 /dev/ram10 /dev/ram11 8
}

crash_cleanup() {
	echo 0 > /sys/kernel/rcu_expedited
	rmmod nbd
}

# replay SEED CHUNK ROUNDS POINTS [OPTION...]: one life is recorded, and power lost all
# over it. What was recorded is kept if it fails.
replay() {
	local log=$scratch/crash-$1.log status
	record --log "$log" --seed "$1" --chunk "$2" --sectors $sectors --rounds "$3" \
		"${@:5}" && check --log "$log" --seed "$1" --points "$4"
	status=$?
	[ $status -eq 0 ] || ! [ -e "$log" ] || cp "$log" /run/harness
	rm -f "$log"
	return $status
}

# life N ROUNDS POINTS: the Nth of a test, which are of all kinds. $output has what was
# said, $kind what it was.
life() {
	local chunk=8 end=failover options=() status
	(($1 % 2 == 0)) || chunk=128
	(($1 % 4 != 2)) || { end=stop; options=(--stop); }
	# shellcheck disable=SC2034 # for the caller
	kind="chunks of $chunk sectors, ends with a $end"
	capture replay "$RANDOM" $chunk "$2" "$3" "${options[@]}"
	status=$?
	[[ ! $output =~ ([0-9]+)\ crash\ points ]] || ((tried += BASH_REMATCH[1]))
	return $status
}
