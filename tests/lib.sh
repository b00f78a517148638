# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What test cases share. A case is a bash script, tests/cases/NAME.t, that runs
# as root in the VM (see tests/vm/run), begins with
#
#	. tests/lib.sh
#
# and says in TAP what it found. At its exit every device that it made is removed.

PATH=$PWD/tests/tools:$PATH
# There is no udev in the VM: dmsetup makes and removes nodes itself.
export DM_DISABLE_UDEV=1

# The cleanup at the end takes down every device-mapper device that there is.
if ! [ -e /run/harness/start ]; then
	echo "Bail out! Test cases run in the VM only: tests/vm/run $0"
	exit 1
fi

# shellcheck source=tests/tap.sh
. tests/tap.sh

# wait_for SECONDS COMMAND...: polls until the command succeeds; fails if it
# does not within that time (on a kernel that is not slow for a reason).
wait_for() {
	local end=$((SECONDS + $1 * REPL_PATIENCE + 1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

#
# The kernel's log
#

exec {kmsg}< /dev/kmsg

# Prints the lines that the kernel has logged since the last call.
dmesg_since() {
	dd bs=8192 iflag=nonblock <&"$kmsg" 2> /dev/null | sed -n 's/^[0-9]*,[^;]*;//p'
}
dmesg_since > /dev/null

# The same, but device-mapper's lines only, without its name in front.
dm_log() {
	dd bs=8192 iflag=nonblock <&"$kmsg" 2> /dev/null |
		sed -n 's/^[0-9]*,[^;]*;device-mapper: //p'
}

#
# Underlying devices
#

# ramdisks N MIB: N empty RAM disks, /dev/ram0 and so on. A page of theirs is
# allocated when it is first written: before measuring, fill them.
ramdisks() {
	! [ -e /sys/module/brd ] || rmmod brd || return
	modprobe brd rd_nr="$1" rd_size=$(($2 * 1024)) max_part=0
}

# nulldisks N MIB [SETTING=VALUE...]: N new disks in memory, /dev/nullb0 and so on, which,
# unlike RAM disks, discard and write zeroes. The settings are null_blk's.
nulldisks() {
	local all=/sys/kernel/config/nullb dir i setting
	modprobe configfs && modprobe null_blk nr_devices=0 || return
	mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config || return
	for dir in "$all"/nullb*/; do
		[ ! -d "$dir" ] || rmdir "$dir" || return
	done
	for ((i = 0; i < $1; i++)); do
		dir=$all/nullb$i
		mkdir "$dir" || return
		for setting in "size=$2" memory_backed=1 discard=1 "${@:3}" power=1; do
			echo "${setting#*=}" > "$dir/${setting%%=*}" || return
		done
	done
}

sectors() {
	blockdev --getsz "$1"
}

# dm_table NAME TABLE: makes the device, or gives it another table.
dm_table() {
	if dmsetup info "$1" > /dev/null 2>&1; then
		dmsetup load "$1" --table "$2" &&
			dmsetup suspend --nolockfs "$1" &&
			dmsetup resume "$1"
	else
		dmsetup create "$1" --table "$2"
	fi
}

# dm_linear NAME DEVICE [FIRST_SECTOR [SECTORS]]
dm_linear() {
	local first=${3:-0} length=${4:-}
	: "${length:=$(($(sectors "$2") - first))}"
	dm_table "$1" "0 $length linear $2 $first"
}

# dm_error NAME [SECTORS]: all I/O fails. An existing device keeps its size.
dm_error() {
	dm_table "$1" "0 ${2:-$(sectors "/dev/mapper/$1")} error"
}

# dm_error_writes NAME DEVICE: reads pass, writes fail.
dm_error_writes() {
	dm_table "$1" "0 $(sectors "$2") flakey $2 0 0 3600 1 error_writes"
}

# dm_delay NAME DEVICE READ_MS [WRITE_MS]
dm_delay() {
	dm_table "$1" "0 $(sectors "$2") delay $2 0 $3 $2 0 ${4:-$3}"
}

dm_names() {
	# "No devices found" is one line without a tab.
	dmsetup ls | sed -n 's/\t.*//p'
}

# dm_column NAME COLUMN: one of those that dmsetup info -c knows
dm_column() {
	dmsetup info -c --noheadings -o "$2" "$1" 2> /dev/null
}

# Removes every device-mapper device, those that others have open after those
# others: an ingress before its top, the top before its stores. Fails if any
# stays.
dm_remove_all() {
	local before='' now name suspended open end
	while now=$(dmsetup info -c --noheadings --separator ' ' -o name,suspended,open) &&
	      [ "$now" != "No devices found" ]; do
		if [ "$now" != "$before" ]; then
			before=$now
			end=$((SECONDS + 10))
		fi
		[ $SECONDS -lt $end ] || return 1
		while read -r name suspended open; do
			# I/O that a suspended device holds keeps it open.
			[ "$suspended" != Suspended ] || dmsetup resume "$name"
			[ "$open" != 0 ] || dmsetup remove "$name"
		done <<< "$now"
	done
}

#
# Data, always with direct I/O. Numbers may end in k, M or G.
#

# fill DEVICE BYTE [OFFSET [LENGTH]]: writes that byte all over the range, which
# is the whole device by default.
fill() {
	pattern write "$1" "$2" "${3:-0}" "${4:-}"
}

# verify DEVICE BYTE [OFFSET [LENGTH]]: fails, and says where, if the range
# holds anything else.
verify() {
	pattern verify "$1" "$2" "${3:-0}" "${4:-}"
}

# eio DESCRIPTION COMMAND...: the command fails with EIO.
eio() {
	if ! capture "${@:2}"; then
		like "$output" "Input/output error" "$1"
	else
		fail "$1"
		diag "unexpected success of: ${*:2}"
		return 1
	fi
}

#
# Bios, as the kernel's own tracing sees them
#

tracing=/sys/kernel/debug/tracing

# From here on bios are recorded.
bios_begin() {
	echo 1 > $tracing/events/block/block_bio_queue/enable
	echo > $tracing/trace
}

# bios NAME...: what was sent to these dm devices since then, in order. Each bio is
# a line "NAME KIND SECTOR+SECTORS"; the kind is R, W, D for discard or N for
# zeroes, with F in front of it for a flush and behind it for FUA.
bios() {
	stat -L -c 'device %n %Hr,%Lr' "${@/#//dev/mapper/}" | awk '
		$1 == "device" {
			sub(".*/", "", $2)
			name[$3] = $2
			next
		}
		{
			for (i = 1; i < NF && $i != "block_bio_queue:"; i++);
			if ($(i + 1) in name) {
				gsub("[SAM]", "", $(i + 2))
				sub("WZ", "N", $(i + 2)) # on newer kernels
				print name[$(i + 1)], $(i + 2), $(i + 3) "+" $(i + 5)
			}
		}' - $tracing/trace
}

#
# The target
#

# The table line of a secondary of the size of its disk:
# secondary_table METADATA|- ACTIVE HIDDEN SECONDARY CHUNK [OPTION...]
secondary_table() {
	local options=''
	[ $# -le 5 ] || options=" $(($# - 5)) ${*:6}"
	echo "0 $(sectors "$4") replication secondary $1 $2 $3 $4 $5$options"
}

# secondary_create NAME ACTIVE HIDDEN SECONDARY CHUNK [OPTION...]
# The metadata device is $META, or there is none.
secondary_create() {
	dm_table "$1" "$(secondary_table "${META:--}" "${@:2}")"
}

# ingress_create NAME TOP, the top being a name or a path
ingress_create() {
	local top=$2
	[[ $top == */* ]] || top=/dev/mapper/$top
	dm_table "$1" "0 $(sectors "$top") replication ingress $top"
}

# rig CHUNK [SECONDARY]: a view and its ingress, "view" and "in", over RAM disks
# or what the caller has laid over them.
rig() {
	secondary_create view /dev/ram0 /dev/ram1 "${2:-/dev/ram2}" "$1" &&
		ingress_create in view
}

# stomp_on ACTIVE HIDDEN SECONDARY CHUNK OPERATIONS [ARGUMENTS...]: the model-based
# random test on these devices. Its last line is left in $output.
stomp_on() {
	local status
	secondary_create view "$1" "$2" "$3" "$4" && ingress_create in view || return
	stomp --view /dev/mapper/view --ingress /dev/mapper/in --name view \
		--secondary "$3" --chunk "$4" --ops "$5" --seed "$RANDOM" \
		--live-checkpoints "${@:6}" > "$scratch/stomp" 2>&1
	status=$?
	if [ $status -eq 0 ]; then tail -n 1 "$scratch/stomp"; else cat "$scratch/stomp"; fi
	[ "$(status_field view 9)" = - ] || { status=1; dmsetup status view; }
	dmsetup remove in && dmsetup remove view && return $status
}

# primary_table METADATA|- LOCAL|- REPLICA REGION [OPTION...]
primary_table() {
	local options=''
	[ $# -le 4 ] || options=" $(($# - 4)) ${*:5}"
	echo "0 $(sectors "$3") replication primary $1 $2 $3 $4$options"
}

# primary_create NAME LOCAL|- REPLICA REGION [OPTION...], with $META as above
primary_create() {
	dm_table "$1" "$(primary_table "${META:--}" "${@:2}")"
}

# sync_is NAME STATE: how a primary's legs are to each other
sync_is() {
	[ "$(status_field "$1" 3)" = "$2" ]
}

# dirty NAME: how many regions of a primary are dirty
dirty() {
	local field
	field=$(status_field "$1" 4)
	echo "${field%/*}"
}

# equal DEVICE DEVICE: they have the same content
equal() {
	cmp <(dd if="$1" bs=1M iflag=direct status=none) \
	    <(dd if="$2" bs=1M iflag=direct status=none)
}

# status_field NAME N: the Nth word of the status; the first is the mode.
status_field() {
	dmsetup status "$1" | cut -d ' ' -f $((3 + $2))
}

stage() {
	status_field "$1" 2
}

stage_is() {
	[ "$(stage "$1")" = "$2" ]
}

# message NAME WORD...: sends it. The answer, if any, is left in $reply, and why
# it failed, such as "Invalid argument", in $error.
message() {
	local name=$1 status
	shift
	reply=$(dmsetup message "$name" 0 "$@" 2> "$scratch/error")
	status=$?
	# shellcheck disable=SC2034 # for the caller
	error=$(sed -n 's/.*failed: //p' "$scratch/error")
	[ -z "$reply" ] || echo "$reply"
	[ $status -eq 0 ] || cat "$scratch/error" >&2
	return $status
}

#
# The end
#

cleanup() {
	local status=$? device mount
	trap - EXIT
	# shellcheck disable=SC2046 # one word each
	kill $(jobs -p) 2> /dev/null
	# Later mounts may lie on earlier ones, so begin with the last.
	tac /proc/mounts | while read -r device mount _; do
		case $device in
		/dev/mapper/*|/dev/dm-*|/dev/ram*|/dev/nbd*|/dev/loop*) umount "$mount" ;;
		esac
	done
	dm_remove_all
	! [ -e /sys/module/brd ] || rmmod brd
	rm -rf "$scratch"
	[ "$status" -ne 0 ] || [ "$failures" -eq 0 ] || status=1
	exit "$status"
}
trap cleanup EXIT
