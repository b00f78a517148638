#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kmemleak: yes
# timeout: 600
#
# "Tables": every refusal sets a sentence of its own in ti->error and leaves
# nothing behind. "Messages": a wrong one is an errno and one clear log line.
. tests/lib.sh

# refused ERRNO LINE DESCRIPTION COMMAND...: dmsetup fails with this errno, and
# the kernel's log has this line of it and no other, but for one by dm core.
refused() {
	local line log='' errno=success
	if ! capture "${@:4}"; then
		[[ $output =~ failed:\ ([^$'\n']*) ]]
		errno=${BASH_REMATCH[1]}
	elif [ "$5" = create ]; then
		dmsetup remove "$6"
	fi
	while read -r line; do
		case $line in
		'ioctl: error adding target to table') ;;
		table:*) log+=${line#table: *: } ;;
		*) log+=$line ;;
		esac
	done < <(dm_log)
	is "$errno: $log" "$1: $2" "$3"
}

# bad PARAMETERS SENTENCE [ERRNO CODE]: a table of one target and $length sectors,
# for a new device or, if there is $live, for that one.
bad() {
	local command=(create bad)
	[ -z "${live:-}" ] || command=(load "$live")
	refused "${3:-Invalid argument}" "replication: $2 (-${4:-EINVAL})" "${live:-new}: $1" \
		dmsetup "${command[@]}" --table "0 $length replication $1"
}

# bad_table SENTENCE TABLE [OPTION...]: what dm core itself sees to
bad_table() {
	refused "Invalid argument" "$1" "${2//$'\n'/; } ${*:3}" dmsetup create bad --table "${@:2}"
}

# core_errno PATH: how dm core fails to open it, as the last arguments of bad, in
# $core. Newer kernels tell more.
core_errno() {
	dm_log > /dev/null
	capture dmsetup create bad --table "0 8 linear $1 0"
	[[ $output =~ failed:\ ([^$'\n']*) ]] && core=("${BASH_REMATCH[1]}")
	[[ $(dm_log) =~ Device\ lookup\ failed\ \(-([A-Z]*)\) ]] && core+=("${BASH_REMATCH[1]}")
}

# bad_message ERRNO LINE WORD...
bad_message() {
	refused "$1" "$2" "message: ${*:3}" dmsetup message "${@:3}"
}

number() {
	stat -L -c %Hr:%Lr "$1"
}

# Whether nobody has claimed it.
free() {
	perl -MFcntl -e 'sysopen F, $ARGV[0], O_RDWR | O_EXCL or die "$ARGV[0]: $!\n"' "$1"
}

maps() {
	grep -c repl_map_create /proc/vmallocinfo
}

checksums() {
	for device in /dev/ram?; do
		dd if="$device" bs=1M iflag=direct status=none | sha1sum
	done
}

A=/dev/ram0 H=/dev/ram1 S=/dev/ram2 other=/dev/ram3
length=8192

ramdisks 5 4
for device in /dev/ram?; do
	dd if=/dev/urandom of="$device" bs=1M count=4 oflag=direct status=none
done
before=$(checksums)
dm_log > /dev/null
dm_linear short $other 0 8184
dm_linear plain /dev/ram4
touch "$scratch/file"

diag "words"
takes='it takes <metadata dev|-> <active dev> <hidden dev> <secondary dev> <chunk sectors> [<#opts> <opt>...]'
modes="The option mode's value should be primary or secondary or ingress, not"
long=$(printf 'x%.0s' {1..300})
bad "" "Missing the option mode"
bad "tertiary $S" "$modes tertiary"
bad "Secondary - $A $H $S 8" "$modes Secondary"
bad "%s%n" "$modes %s%n"
bad "$long" "$(echo "$modes $long" | cut -c -223)"
bad "secondary" "0 arguments after secondary; $takes"
bad "secondary - $A $H $S" "4 arguments after secondary; $takes"
bad "secondary $other $A $H $S 8" \
	"Metadata device 1:3: it has other content; to have it formatted, zero its first 4 KiB"

diag "chunk size"
for chunk in 0 7 9 4 4096 abc -8 8k 0x8 4294967304 18446744073709551624; do
	bad "secondary - $A $H $S $chunk" \
		"Chunk size $chunk is not a power of two from 8 to 2048 sectors"
done

diag "options"
bad "secondary - $A $H $S 8 manual_start" "Number of options manual_start is no number"
bad "secondary - $A $H $S 8 -1" "Number of options -1 is no number"
bad "secondary - $A $H $S 8 1" "Number of options is 1, but 0 arguments follow it"
bad "secondary - $A $H $S 8 0 manual_start" "Number of options is 0, but 1 arguments follow it"
bad "secondary - $A $H $S 8 1 manual_start x" "Number of options is 1, but 2 arguments follow it"
bad "secondary - $A $H $S 8 1 frobnicate" "Unknown option frobnicate; a secondary has manual_start and no_discard"
bad "secondary - $A $H $S 8 1 discard_stores" "Unknown option discard_stores; a secondary has manual_start and no_discard"
bad "secondary - $A $H $S 8 2 manual_start manual_start" "Option manual_start is given twice"
bad "secondary - $A $H $S 8 3 no_discard manual_start no_discard" "Option no_discard is given twice"

diag "devices"
three="metadata, active, hidden and secondary are different devices"
lengths="Active disk, hidden disk, secondary disk's length are not the same"
longer='active and hidden may be longer, not shorter'
ENOENT=('No such file or directory' ENOENT)
ENOTBLK=('Block device required' ENOTBLK) EBUSY=('Device or resource busy' EBUSY)
core_errno /dev/x
bad "secondary /dev/x $A $H $S 8" "Cannot open the metadata device /dev/x" "${core[@]}"
bad "secondary - /dev/x $H $S 8" "Cannot open the active device /dev/x" "${core[@]}"
core_errno -
bad "secondary - $A - $S 8" "Cannot open the hidden device -" "${core[@]}"
bad "secondary - $A $H 99:99 8" "Cannot open the secondary device 99:99" 'No such device or address' ENXIO
core_errno /dev/null
bad "secondary - $A $H /dev/null 8" "Cannot open the secondary device /dev/null" "${core[@]}"
bad "secondary - $A $H 1:99999999 8" "Cannot open the secondary device 1:99999999" \
	'Value too large for defined data type' EOVERFLOW
bad "secondary $S $A $H $S 8" "Device 1:2 is given twice; $three"
bad "secondary - $A $A $S 8" "Device 1:0 is given twice; $three"
bad "secondary - $A $H $A 8" "Device 1:0 is given twice; $three"
bad "secondary - $A $H $H 8" "Device 1:1 is given twice; $three"
bad "secondary - $A 1:0 $S 8" "Device 1:0 is given twice; $three"
bad "secondary - /dev/mapper/short $H $S 8" "$lengths: 8184, 8192, 8192 sectors; $longer"
bad "secondary - $A /dev/mapper/short $S 8" "$lengths: 8192, 8184, 8192 sectors; $longer"
bad "secondary - $A $H /dev/mapper/short 8" "Table length 8192 is more than the secondary's 8184 sectors"
length=8193 bad "secondary - $A $H $S 8" "Table length 8193 is more than the secondary's 8192 sectors"
dmsetup remove short
mkswap $other > /dev/null # this one is not compared in the end
swapon $other
bad "secondary - $A $H $other 8" "Cannot open the secondary device $other" "${EBUSY[@]}"
swapoff $other

diag "devices that are read-only"
read_only() {
	blockdev --setro "$2"
	bad "$3" "The $1 device $2 is read-only; make it writable first: blockdev --setrw" \
		'Read-only file system' EROFS
	blockdev --setrw "$2"
}
L=/dev/mapper/plain
read_only metadata $other "secondary $other $A $H $S 8"
read_only active $A "secondary - $A $H $S 8"
read_only hidden $H "secondary - $A $H $S 8"
read_only secondary $S "secondary - $A $H $S 8"
read_only metadata $other "primary $other $A $S 128"
read_only local $A "primary - $A $S 128"
read_only replica $S "primary - $A $S 128"
read_only replica $S "primary - - $S 128"

diag "logical blocks"
nulldisks 2 4 blocksize=4096
big=/dev/nullb0
more() {
	echo "The $1 has logical blocks of 4096 bytes, more than the $2's 512; take a device with 512 or less"
}
bad "secondary - $big $H $S 8" "$(more "active device" secondary)"
bad "secondary - $A $big $S 8" "$(more "hidden device" secondary)"
bad "primary - $A $big 128" "$(more replica "local device")"
ok "the disk may have the largest" dmsetup create big --table "0 8192 replication primary /dev/nullb1 $big $H 128 1 manual_start"
is "$(blockdev --getss /dev/mapper/big)" 4096 "then the primary has them too"
dmsetup remove big
for mode in - $A; do
	dmsetup create small --table "0 8192 replication primary - $mode $S 128 1 manual_start"
	dm_log > /dev/null
	live=small bad "primary - $mode $big 128" \
		"$(more replica "$([ "$mode" = - ] && echo "live primary" || echo "local device")")"
	is "$(blockdev --getss /dev/mapper/small)" 512 "the live one has not changed"
	dmsetup remove small
done
dm_log > /dev/null

diag "ingress"
no_top='No top_bs or it is invalid:'
bad "ingress" "Missing the option top-id: an ingress takes <top dev>"
bad "ingress $S $H" "2 arguments after ingress; it takes <top dev> alone"
bad "ingress /dev/x" "$no_top /dev/x is no block device" "${ENOENT[@]}"
bad "ingress /dev/null" "$no_top /dev/null is no block device" "${ENOTBLK[@]}"
bad "ingress $scratch/file" "$no_top $scratch/file is no block device" "${ENOTBLK[@]}"
bad "ingress -" "$no_top - is no block device" "${ENOENT[@]}"
bad "ingress $S" "$no_top $S is no active device of the mode secondary"
bad "ingress /dev/mapper/plain" "$no_top /dev/mapper/plain is no active device of the mode secondary"
live=plain bad "ingress /dev/mapper/plain" "$no_top /dev/mapper/plain is its own top"
is "$(maps)" 0 "no map is left"

diag "beside a live secondary"
secondary_create view $A $H $S 8
ingress_create in view
dm_log > /dev/null
top=/dev/mapper/view
belongs="belongs to the live secondary $(number $top); a reload keeps its length, devices and chunk size"
is "$(maps) $(pgrep -c dm-repl)" "1 1" "a live one has a map and a worker thread"
bad "secondary - $other $H /dev/mapper/plain 8" "Device 1:1 $belongs" "${EBUSY[@]}"
bad "secondary - $S $other /dev/mapper/plain 8" "Device 1:2 $belongs" "${EBUSY[@]}"
bad "secondary - $other /dev/mapper/plain $S 8" "Device 1:2 $belongs" "${EBUSY[@]}"
bad "secondary - $A $H $S 8" "Device 1:2 $belongs" "${EBUSY[@]}"
bad "ingress $top $top" "2 arguments after ingress; it takes <top dev> alone"
bad "ingress /dev/mapper/in" "$no_top /dev/mapper/in is no active device of the mode secondary"
for device in "secondary $S" "hidden $H"; do
	blockdev --setro "${device#* }"
	bad "ingress $top" "The top's ${device% *} device $(number "${device#* }") is read-only; make it writable first: blockdev --setrw" \
		'Read-only file system' EROFS
	blockdev --setrw "${device#* }"
done
length=8184 bad "ingress $top" "Table length 8184 is not the top's 8192 sectors"
length=8200 bad "ingress $top" "Table length 8200 is not the top's 8192 sectors"
length=8184 live=view bad "secondary - $A $H $S 8" "Device 1:2 $belongs" "${EBUSY[@]}"
live=view bad "secondary - $A $H $S 16" "Device 1:2 $belongs" "${EBUSY[@]}"
live=view bad "secondary - $H $A $S 8" "Device 1:2 $belongs" "${EBUSY[@]}"
live=view bad "secondary - $A $H $other 8" "Device 1:1 $belongs" "${EBUSY[@]}"
live=view bad "secondary - $A $H $top 8" "Device $(number $top) is the view itself"
live=view bad "secondary - $top $H $S 8" "Device $(number $top) is the view itself"
live=view bad "ingress $top" "$no_top $top is its own top"
live=in bad "ingress $S" "$no_top $S is no active device of the mode secondary"
dmsetup create unborn --notable
dmsetup load unborn --table "0 8192 replication secondary - $other /dev/mapper/plain $top 8"
unborn=$(dm_column unborn major,minor)
bad "ingress $unborn" "$no_top $unborn is no active device of the mode secondary"
dmsetup remove unborn
for device in $A $H $S; do
	fails "$device is claimed" free "$device"
done
fails "the top cannot go first" dmsetup remove view
is "$(dmsetup status view)" "0 8192 replication secondary running 1 8 0/1024 0/1024 0/0 - -" \
	"the live one has not changed"
is "$(maps) $(pgrep -c dm-repl)" "1 1" "nor is there another map or worker"

diag "primary"
takes='it takes <metadata dev|-> <local dev|-> <replica dev> <region sectors> [<#opts> <opt>...]'
has='a primary has manual_start, insync, manual_resync and replica_timeout'
three='metadata, local and replica are different devices'
L=/dev/mapper/plain R=$other
bad "primary" "0 arguments after primary; $takes"
bad "primary - $L $R" "3 arguments after primary; $takes"
for size in 0 64 100 16384 abc -128 128k; do
	bad "primary - $L $R $size" \
		"Region size $size is not a power of two from 128 to 8192 sectors"
done
bad "primary - $L $R 128 insync" "Number of options insync is no number"
bad "primary - $L $R 128 2 insync" "Number of options is 2, but 1 arguments follow it"
bad "primary - $L $R 128 1 frobnicate" "Unknown option frobnicate; $has"
bad "primary - $L $R 128 1 top-id" "The primary side does not support option top-id: top-id"
bad "primary - $L $R 128 2 insync insync" "Option insync is given twice"
bad "primary - $L $R 128 1 replica_timeout" "Option replica_timeout takes a number of seconds"
for seconds in 0 3601 -1 soon; do
	bad "primary - $L $R 128 2 replica_timeout $seconds" \
		"Option replica_timeout: $seconds is not from 1 to 3600 seconds"
done
bad "primary - $L $R 128 4 replica_timeout 1 replica_timeout 2" \
	"Option replica_timeout is given twice"
core_errno /dev/x
bad "primary /dev/x $L $R 128" "Cannot open the metadata device /dev/x" "${core[@]}"
bad "primary - /dev/x $R 128" "Cannot open the local device /dev/x" "${core[@]}"
core_errno -
bad "primary - $L - 128" "Cannot open the replica device -" "${core[@]}"
bad "primary $R - $L 128" \
	"Without a local device there is nothing for metadata device 1:3 to keep; take -"
bad "primary - $L $L 128" "A device is given twice; $three"
bad "primary $R $L $R 128" "A device is given twice; $three"
bad "primary $L $L $R 128" "A device is given twice; $three"
length=8193 bad "primary - $L $R 128" "Table length 8193 is more than the local device's 8192 sectors"
length=8193 bad "primary - - $R 128" "Table length 8193 is more than the replica device's 8192 sectors"
dm_linear short $R 0 8184
bad "primary - $L /dev/mapper/short 128" \
	"The replica has 8184 sectors, the table 8192; it may be longer, not shorter"
bad "primary /dev/mapper/short $L $R 128" "Metadata device $(number /dev/mapper/short): it has other content; to have it formatted, zero its first 4 KiB"
dmsetup remove short
dm_linear tiny $R 0 8
bad "primary /dev/mapper/tiny $L $R 128" "Metadata device $(number /dev/mapper/tiny): it has 8 sectors; 16 are needed" 'No space left on device' ENOSPC
dmsetup remove tiny

diag "beside a live primary"
dmsetup create primary --table "0 8192 replication primary - $L $R 128 1 insync"
dm_log > /dev/null
belongs="A device belongs to the live primary $(number /dev/mapper/primary), or is the replica of one of its tables; a reload keeps its length, local and metadata device and region size"
bad "primary - $L $S 128" "$belongs" "${EBUSY[@]}"
length=8184 live=primary bad "primary - $L $R 128" "$belongs" "${EBUSY[@]}"
live=primary bad "primary - $L $R 256" "$belongs" "${EBUSY[@]}"
live=primary bad "primary - $L /dev/mapper/primary 128" \
	"Device $(number /dev/mapper/primary) is the primary itself"
p="replication: $(number /dev/mapper/primary): message"
words='unknown; there are start, checkpoint, stop, get_error, clear_error, resync, resync_rate and abandon_metadata'
bad_message "Invalid argument" "$p 'frobnicate' in stage running: $words" primary 0 frobnicate
for word in start checkpoint failover stop get_error clear_error resync abandon_metadata; do
	bad_message "Invalid argument" "$p '$word' in stage running: it takes no arguments" \
		primary 0 $word now
done
for rate in '' ' 1 2'; do
	# shellcheck disable=SC2086 # words
	bad_message "Invalid argument" \
		"$p 'resync_rate' in stage running: it takes a number of KiB/s" primary 0 resync_rate$rate
done
bad_message "Invalid argument" \
	"$p 'resync_rate' in stage running: it takes a number of KiB/s; 0 is no limit" \
	primary 0 resync_rate fast
is "$(dmsetup status primary)" "0 8192 replication primary running insync 0/64 - -" \
	"the live one has not changed"
dmsetup remove primary
dm_log > /dev/null

diag "dm core"
ok_table="0 8192 replication secondary - $other /dev/mapper/plain $top 8"
bad_table "replication: singleton target type must appear alone in table (-EINVAL)" \
	"0 8192 zero
8192 8192 replication secondary - $other /dev/mapper/plain $top 8"
bad_table "target type replication must appear alone in table" "$ok_table
8192 8192 zero"
bad_table "replication: Gap in table (-EINVAL)" "8 ${ok_table#0 }"
bad_table "replication: target type may not be included in a read-only table (-EINVAL)" \
	"$ok_table" --readonly
bad_table "zero-length target" "0 0 ${ok_table#0 8192 }"

diag "messages"
v="replication: $(number $top): message"
i="replication: $(number /dev/mapper/in): message"
words='unknown; there are start, checkpoint, failover, stop, get_error and clear_error'
EINVAL='Invalid argument'
bad_message "$EINVAL" "$v 'frobnicate' in stage running: $words" view 0 frobnicate
bad_message "$EINVAL" "$v 'frobnicate' in stage running: $words" view 0 frobnicate it
bad_message "$EINVAL" "$v 'checkpoints' in stage running: $words" view 0 checkpoints
bad_message "$EINVAL" "$v 'check' in stage running: $words" view 0 check
for word in start checkpoint failover stop get_error clear_error; do
	bad_message "$EINVAL" "$v '$word' in stage running: it takes no arguments" view 0 $word now
	bad_message "$EINVAL" "$i '$word': an ingress takes none; send it to its top $(number $top)" \
		in 0 $word
done
bad_message "$EINVAL" "ioctl: Empty message received." view 0 ""
bad_message "$EINVAL" "ioctl: Target message sector outside device." view 8192 stop
is "$(dmsetup status view)" "0 8192 replication secondary running 1 8 0/1024 0/1024 0/0 - -" \
	"the live one has not changed"

diag "nothing is left behind"
dmsetup remove in
dmsetup remove view
is "$(dm_names)" plain "device-mapper devices: only one that is not ours"
dmsetup remove plain
is "$(awk '$1 == "dm_replication" { print $3 }' /proc/modules)" 0 "the module's use count"
is "$(maps)" 0 "maps"
is "$(pgrep -c dm-repl)" 0 "worker threads"
for device in $A $H $S $other /dev/ram4; do
	ok "$device is free" free "$device"
done
is "$(checksums | sed 4d)" "$(sed 4d <<< "$before")" "the devices hold what they held"

done_testing
