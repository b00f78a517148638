#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tests/bench/lines.sh [--peers] [LINE...]
#
# Runs in the VM with tests/vm/run --exact. Measures these lines of the speed
# table, or all: ours and, if so told, what people use instead. Prints for each
#
#	figure LINE SUBJECT VALUE UNIT
#
# where the unit is ki, thousands of guest instructions an I/O (one takes 1 ns by
# the guest's clock), or ms that tasks ran. What the lines mean is in tests/bench/table.
#
# tests/bench/lines.sh --profile LINE
#
# Begins with this line, of ours, says "profile: go", and waits to be ended.
# shellcheck source=tests/lib.sh
. tests/lib.sh

size=128M			# what is read or written of a device
length=$((128 * 2048))		# the same in sectors

# A little more than that, for the peers' stores have headers in them. The fourth is
# for metadata.
ramdisks 4 136
for disk in /dev/ram{0..2}; do
	fill "$disk" 0x5a
done

broken() {
	echo "# bench: $*"
	exit 1
}

job() {
	fio --name=job --filename="$1" --rw="$2" --bs="$3" --size=$size --loops="${4:-1}" \
		--direct=1 --ioengine=libaio --iodepth=16 --minimal
}

# measure LINE SUBJECT DEVICE RW BLOCK_SIZE [LOOPS]
measure() {
	local output
	[ "$1" != "$profile" ] || profile "${@:3}"
	output=$(job "${@:3}") || broken "$1 $2: fio failed: $output"
	# In terse output: KiB and ms of the reads, and of the writes.
	awk -F ';' -v line="$1" -v subject="$2" -v block="${5%k}" '
		/^3;/ { printf "figure %s %s %.3f ki\n", line, subject,
			($9 + $50) * 1000 / (($6 + $47) / block) }' <<< "$output"
}

# profile [DEVICE RW BLOCK_SIZE ...]: the time to look, once the job is under way.
profile() {
	local numbers
	cp /proc/kallsyms /run/harness/
	if [ $# -gt 0 ]; then
		job "$1" "$2" "$3" 1000 > /dev/null &
		numbers=$(stat -L -c %Hr:%Lr "$1")
		until read -r _ _ reads _ _ _ writes _ < "/sys/dev/block/$numbers/stat" &&
		      [ $((reads + writes)) -gt 1000 ]; do
			sleep 0.01
		done
	fi
	echo "profile: go"
	[ $# -eq 0 ] || sleep 1000
}

# Sets $ran to the ns that all tasks have run. The clock goes on while the CPU is
# idle, which depends on the host; this does not.
ran() {
	local cpu
	while read -r cpu _ _ _ _ _ _ ran _; do
		[ "$cpu" != cpu0 ] || return
	done < /proc/schedstat
}

# took LINE SUBJECT: the ms that tasks ran since $ran.
took() {
	local begin=$ran
	ran
	echo "figure $1 $2 $(((ran - begin) / 1000000)) ms"
}

# touch DEVICE: writes all of it that is measured.
touch_all() {
	fill "$1" 0xa5 0 $size
}

#
# Subjects: each makes its devices over the RAM disks.
#

# With metadata if there is $META.
ours() {
	{ dm_remove_all && fill /dev/ram3 0 0 4k && rig 8; } || broken "no rig"
}

# With metadata, and in sync.
primary() {
	{ dm_remove_all && fill /dev/ram3 0 0 4k &&
		META=/dev/ram3 primary_create primary /dev/ram0 /dev/ram1 2048 insync; } ||
		broken "no primary"
}

linear() {
	dm_remove_all
	dm_linear linear /dev/ram2
}

# snapshot P|N: with and without metadata
snapshot() {
	dm_remove_all
	modprobe dm_snapshot
	# A persistent store begins with a header; zeros are a new one.
	fill /dev/ram0 0 0 4k
	# In this order: an origin learns at its resume where bios have to be split.
	dm_table snap "0 $length snapshot /dev/ram2 /dev/ram0 $1 8"
	dm_table origin "0 $length snapshot-origin /dev/ram2"
}

mirror() {
	dm_remove_all
	modprobe dm_mirror
	dm_table mirror "0 $length mirror core 2 1024 nosync 2 /dev/ram0 0 /dev/ram1 0"
}

raid1() {
	dm_remove_all
	mdadm --quiet --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 \
		--bitmap=internal --homehost=any /dev/ram0 /dev/ram1 > /dev/null 2>&1 ||
		broken "no md"
}

raid1_stop() {
	mdadm --quiet --stop /dev/md0
	fill /dev/ram0 0x5a 0 1M
	fill /dev/ram1 0x5a 0 1M
}

#
# Lines, in groups that share their devices
#

# group LINE...: is any of them wanted?
peers='' profile=''
case ${1:-} in
--peers)	peers=y; shift ;;
--profile)	profile=$2; shift ;;
esac
wanted=("$@")
group() {
	local line
	[ ${#wanted[@]} -gt 0 ] || return 0
	for line; do
		[[ " ${wanted[*]} " != *" $line "* ]] || return 0
	done
	return 1
}

peers() {
	[ -n "$peers" ]
}

# writes LINE RW BLOCK_SIZE AGAIN FACE PEER KINDS: LINE-first and LINE-again, the latter
# with so many loops. The peer is snap or origin, of each kind N or P.
writes() {
	local kind
	group "$1-first" "$1-again" || return 0
	ours
	measure "$1-first" ours "$5" "$2" "$3"
	measure "$1-again" ours "$5" "$2" "$3" "$4"
	peers || return 0
	linear
	measure "$1-first" linear $linear "$2" "$3"
	measure "$1-again" linear $linear "$2" "$3" "$4"
	for kind in $7; do
		snapshot "$kind"
		measure "$1-first" "${6/snap/snapshot}-$kind" "/dev/mapper/$6" "$2" "$3"
		measure "$1-again" "${6/snap/snapshot}-$kind" "/dev/mapper/$6" "$2" "$3" "$4"
	done
}

view=/dev/mapper/view in=/dev/mapper/in linear=/dev/mapper/linear
snap=/dev/mapper/snap origin=/dev/mapper/origin primary=/dev/mapper/primary

if group view-read-secondary; then
	ours
	measure view-read-secondary ours $view randread 4k
	if peers; then
		linear
		measure view-read-secondary linear $linear randread 4k
		snapshot P
		measure view-read-secondary snapshot $snap randread 4k
	fi
fi
if group view-read-active; then
	ours
	touch_all $view
	measure view-read-active ours $view randread 4k
	if peers; then
		linear
		measure view-read-active linear $linear randread 4k
		snapshot P
		touch_all $snap
		measure view-read-active snapshot $snap randread 4k
	fi
fi
if group view-read-hidden; then
	ours
	touch_all $in
	measure view-read-hidden ours $view randread 4k
	if peers; then
		linear
		measure view-read-hidden linear $linear randread 4k
		snapshot P
		touch_all $origin
		measure view-read-hidden snapshot $snap randread 4k
	fi
fi
writes view-write randwrite 4k 1 $view snap "N P"
writes ingress-write randwrite 4k 1 $in origin "N P"
writes ingress-1m write 1024k 8 $in origin "N P"
META=/dev/ram3
writes view-write-meta randwrite 4k 1 $view snap P
writes ingress-write-meta randwrite 4k 1 $in origin P
writes ingress-1m-meta write 1024k 8 $in origin P
META=''
if group view-read-1m; then
	ours
	measure view-read-1m ours $view read 1024k 8
	if peers; then
		linear
		measure view-read-1m linear $linear read 1024k 8
	fi
fi
if group done-read done-write; then
	ours
	message view stop || broken "no stop"
	measure done-read ours $view randread 4k
	measure done-write ours $view randwrite 4k
	if peers; then
		linear
		measure done-read linear $linear randread 4k
		measure done-write linear $linear randwrite 4k
	fi
fi
if group merge-128m; then
	ours
	touch_all $view
	dmsetup remove in
	[ -z "$profile" ] || profile
	ran
	message view failover
	while event=$(dm_column view events) && ! stage_is view "done"; do
		dmsetup wait view "$event" > /dev/null
	done
	took merge-128m ours
	if peers; then
		dm_remove_all
		ran
		dd if=/dev/ram0 of=/dev/ram2 bs=1M count=128 iflag=direct oflag=direct status=none
		took merge-128m dd
		snapshot P
		touch_all $snap
		dmsetup suspend origin
		dmsetup remove snap
		dmsetup load origin --table "0 $length snapshot-merge /dev/ram2 /dev/ram0 P 8"
		ran
		dmsetup resume origin
		# Done when nothing but its metadata is allocated; no event says so.
		until read -r _ _ _ used metadata < <(dmsetup status origin) &&
		      [ "${used%/*}" = "$metadata" ]; do
			sleep 0.01
		done
		took merge-128m snapshot-merge
	fi
fi
if group primary-read primary-write; then
	primary
	job $primary write 1024k > /dev/null
	measure primary-read ours $primary randread 4k
	measure primary-write ours $primary randwrite 4k
fi
if peers && group primary-read primary-write; then
	linear
	measure primary-read linear $linear randread 4k
	measure primary-write linear $linear randwrite 4k
	mirror
	job /dev/mapper/mirror write 1024k > /dev/null
	measure primary-read mirror /dev/mapper/mirror randread 4k
	measure primary-write mirror /dev/mapper/mirror randwrite 4k
	raid1
	job /dev/md0 write 1024k > /dev/null
	measure primary-read md-raid1 /dev/md0 randread 4k
	measure primary-write md-raid1 /dev/md0 randwrite 4k
	raid1_stop
fi
echo "versions $(uname -r), $(fio --version)"
