#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# Rule 6: after a checkpoint even a buffered read through a still-open view shows
# the new content. What was written through the page cache before it is gone, from
# the cache as well, and does not come back.
. tests/lib.sh

# Dirty pages stay in the cache until somebody asks for them to be written.
echo 60000 > /proc/sys/vm/dirty_writeback_centisecs
echo 60000 > /proc/sys/vm/dirty_expire_centisecs

active=/dev/mapper/active disk=/dev/ram2 view=/dev/mapper/view ingress=/dev/mapper/in

# A process that has the view open and mapped, and does what it is told: read,
# write, or the same through the mapping. Offsets and lengths are MiB. What it
# reads it tells as one pair of digits for each run of equal bytes. Perl has no
# mmap(), but syscall(), and unpack("P") to read any address.
# shellcheck disable=SC2016 # not for the shell
holder='
	use IO::Handle;
	my ($mmap, $read) = (9, 0);	# on x86-64
	open my $view, "+<:unix", "/dev/mapper/view" or die;
	my $map = syscall($mmap, 0, 4 << 20, 3, 1, fileno($view), 0);
	$| = 1;
	while (<STDIN>) {
		my ($what, $byte, $offset, $length) = split;
		$_ <<= 20 for $offset, $length;
		my $data = chr(hex $byte) x $length;
		my $ok = sysseek $view, $offset, 0;
		if ($what eq "read") {
			$ok = sysread $view, $data, $length;
		} elsif ($what eq "write") {
			$ok = syswrite $view, $data;
		} elsif ($what eq "map-read") {
			$data = unpack "P$length", pack "Q", $map + $offset;
		} elsif ($what eq "map-write") {
			open my $file, "+>:unix", undef;
			syswrite $file, $data;
			sysseek $file, 0, 0;
			$ok = syscall($read, fileno $file, $map + $offset, $length) == $length;
		} elsif ($what eq "sync") {
			$ok = $view->sync;
		}
		$data =~ tr/\0-\377//s;
		print $ok ? unpack "H*", $data : $!, "\n";
	}'

hold() {
	perl -e "$holder" < "$scratch/to" > "$scratch/from" &
	holding=$!
	exec {to}> "$scratch/to" {from}< "$scratch/from"
}

let_go() {
	exec {to}>&- {from}<&-
	wait $holding
}

# tell WHAT [BYTE [OFFSET [LENGTH]]]: the answer is in $told.
tell() {
	echo "$1 ${2:-0} ${3:-0} ${4:-1}" >&"$to"
	read -r -t 60 told <&"$from" || told='no answer'
}

# told DESCRIPTION EXPECTED WHAT [OFFSET [LENGTH]]
told() {
	tell "$3" 0 "${@:4}"
	is "$told" "$2" "$1"
}

# set_up: all is 0x11, and the first MiB is cached and mapped.
set_up() {
	fill $disk 0x11
	secondary_create view $active /dev/ram1 $disk 128
	ingress_create in view
	hold
	told "at first" 11 read
	told "at first, mapped" 11 map-read
}

take_down() {
	let_go
	dmsetup remove in && dmsetup remove view
}

# Whether none of what was written has reached active: so it is only in the cache.
only_cached() {
	is "$(status_field view 5)" 0/64 "${1:-nothing} has reached active"
}

# From the cache or not, whatever is done to the cache, all is BYTE.
all_is() {
	told "$1: read" "$2" read 0 4
	told "$1: mapped" "$2" map-read 0 4
	sync $view
	echo 3 > /proc/sys/vm/drop_caches
	told "$1: read, not cached" "$2" read 0 4
	ok "$1: direct read" verify $view "0x$2"
	only_cached
}

# The checkpoint is refused, and the status stays.
refused() {
	local before
	before=$(dmsetup status view)
	dm_log > /dev/null
	fails "$1, pages in use" timeout 20 dmsetup message view 0 "$1"
	like "$output" "Device or resource busy" "the errno"
	is "$(dm_log)" "replication: $(dm_column view major,minor): message '$1' in stage running: \
the view is suspended and its page cache in use; resume it first" "the log"
	is "$(dmsetup status view)" "$before" "nothing changes"
}

mkfifo "$scratch/to" "$scratch/from"
ramdisks 4 4
fill /dev/ram0 0xaa
fill /dev/ram1 0xbb
dm_linear active /dev/ram0

diag "clean pages"
set_up
fill $ingress 0x22
told "before the checkpoint" 11 read
told "before the checkpoint, mapped" 11 map-read
told "before the checkpoint, what was not cached" 11 read 2
ok "checkpoint" message view checkpoint
all_is "after it" 22

diag "dirty pages"
tell write 33 1
tell map-write 44 3
told "written" 22332244 read 0 4
only_cached "none of it"
ok "checkpoint" message view checkpoint
all_is "after it" 22

diag "dirty pages and clean ones, and a stop"
tell write 33 1
tell map-write 44 3
only_cached "none of it"
fill $ingress 0x55
ok "stop" message view stop
all_is "after it" 55
tell write 66 2
tell sync
ok "what is written then reaches the disk" verify $disk 0x66 2M 1M
take_down

diag "dirty pages and a failover"
set_up
tell write 33 1
only_cached "none of it"
fill $ingress 0x22
message view failover
wait_for 20 stage_is view "done"
told "what was written is still there" 113311 read 0 3
tell sync
ok "and reaches the disk" verify $disk 0x33 1M 1M
ok "the rest is as it was" verify $disk 0x11 2M
take_down

diag "pages under writeback"
set_up
dmsetup suspend active
tell write 33 1 2
bios_begin
sync $view &
sync=$!
writeback() {
	bios view | grep -q W
}
ok "they are being written" wait_for 20 writeback
dmsetup message view 0 checkpoint &
dmsetup resume active
ok "checkpoint" wait $!
ok "the sync succeeds" wait $sync
all_is "after it" 11
take_down

diag "without an ingress"
fill $disk 0x11
secondary_create view $active /dev/ram1 $disk 128
hold
tell write 33 1
tell sync
is "$(status_field view 5)" 16/64 "active has what was written"
tell write 44 1
told "written again" 44 read 1
ok "checkpoint" message view checkpoint
all_is "after it" 11
let_go
dmsetup remove view

diag "a view that is suspended"
fill $disk 0x11
secondary_create view $active /dev/ram1 $disk 128
ingress_create in view
hold
told "cached" 11 read
fill $ingress 0x22
dmsetup suspend view
ok "checkpoint, only clean pages" timeout 20 dmsetup message view 0 checkpoint
dmsetup resume view
all_is "after it" 22
dmsetup suspend --noflush --nolockfs view
tell write 33 1
fill $ingress 0x44
refused checkpoint
refused stop
dmsetup resume view
told "what was written is still there" 223322 read 0 3
tell sync
is "$(status_field view 5)" 16/64 "and reaches active"
ok "checkpoint, after the resume" message view checkpoint
all_is "after it" 44
take_down

diag "a checkpoint that cannot be recorded"
fill $disk 0x11
dm_linear meta /dev/ram3
META=/dev/mapper/meta secondary_create view $active /dev/ram1 $disk 128
ingress_create in view
hold
tell write 33 1
tell map-write 44 3
fill $ingress 0x22
dm_error_writes meta /dev/ram3
fails "checkpoint, the metadata device fails" timeout 60 dmsetup message view 0 checkpoint
like "$output" "Input/output error" "the errno"
told "nothing that was written is lost" 11331144 read 0 4
only_cached
is "$(status_field view 3)" 1 "the epoch is as it was"
take_down
dmsetup remove meta

# A table without replication, and back: whoever keeps the device open sees what it has.
diag "another table meanwhile"
fill /dev/ram1 0xbb
set_up
told "the view, cached" 11 read 0 4
exec {keep}< $ingress
ingress_holds() {
	dd if=$ingress bs=1M status=none | tr -s '\0-\377' | od -An -tx1
}
is "$(ingress_holds)" " 11" "the ingress, cached"
dm_error view
fill $disk 0x22
secondary_create view $active /dev/ram1 $disk 128
told "the view again: read" 22 read 0 4
told "the view again: mapped" 22 map-read 0 4
dm_linear view /dev/ram1
told "a linear device instead: read" bb read 0 4
told "a linear device instead: mapped" bb map-read 0 4
secondary_create view $active /dev/ram1 $disk 128
told "the view at last: read" 22 read 0 4
told "the view at last: mapped" 22 map-read 0 4
# The first table's ingress has no set any more. It gets another, too.
fill $disk 0x44
ingress_create in view
is "$(ingress_holds)" " 44" "the ingress: read"
exec {keep}<&-
take_down

diag "buffered writes, suspends and checkpoints all at once"
# The rest is about this view.
fill $disk 0x44
secondary_create view $active /dev/ram1 $disk 128
ingress_create in view
hold
# For some seconds; each of them has to end, and none may fail.
again_and_again() {
	local end=$((SECONDS + 6 * REPL_PATIENCE))
	while [ $SECONDS -lt $end ]; do
		"$@" || return
	done
}
write_buffered() {
	timeout 60 dd if=/dev/zero of=$view bs=64k count=16 conv=notrunc status=none
}
suspend_and_resume() {
	local options=()
	((RANDOM % 2)) || options=(--noflush --nolockfs)
	timeout 60 dmsetup suspend "${options[@]}" view && dmsetup resume view
}
checkpoint_or_busy() {
	timeout 60 dmsetup message view 0 checkpoint 2> "$scratch/busy" ||
		grep -q 'Device or resource busy' "$scratch/busy"
}
epoch=$(status_field view 3)
again_and_again write_buffered &
writer=$!
again_and_again suspend_and_resume &
suspender=$!
ok "checkpoints" again_and_again checkpoint_or_busy
ok "writes" wait $writer
ok "suspends" wait $suspender
ok "some of the checkpoints succeeded" [ "$(status_field view 3)" -gt "$epoch" ]
ok "checkpoint" message view checkpoint
all_is "after it" 44
take_down

done_testing
