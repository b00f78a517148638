#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kmemleak: yes
# timeout: 900
#
# What the kernel's fault injection can make fail: each allocation of a
# constructor, a resume and a message in turn; those of the I/O path that may not
# wait, at random; and bios to each device, at random. Needs a kernel that has it.
. tests/lib.sh

[ -e /proc/self/fail-nth ] || skip_all "the kernel has no fault injection"

faults=/sys/kernel/debug
A=/dev/ram0 H=/dev/ram1 S=/dev/ram2 M=/dev/ram3
sectors=8192
refusal='^table: [0-9:]+: replication: (Out of memory for the |Cannot open the |Metadata device )[^()]* \(-ENOMEM\)$'

# verdict N ERRNO LOG LINES: on one of the calls that fail-nth makes. In any it may
# succeed, for some allocations are only attempts. Else it says ENOMEM, and, if the
# allocation was one of ours, why, in one line.
verdict() {
	[[ ! $3 =~ (WARNING|BUG|INFO|UBSAN|ODEBUG): ]] || problems+=$'\n'"$1:$3"
	[ "$2" != ok ] || return
	((failed++))
	if [ "$2" != ENOMEM ]; then
		problems+=$'\n'"$1: $2$3"
	elif [[ $3 = *'[dm_replication]'* ]]; then
		[[ $4 =~ $refusal ]] || problems+=$'\n'"$1: $4$3"
	fi
}

# each_fails DESCRIPTION COMMAND...: a command of fail-nth, in which each of its
# allocations fails once.
each_fails() {
	local line log lines n='' errno problems='' failed=0
	while IFS= read -r line; do
		if [[ $line != $'\t'* ]]; then
			[ -z "$n" ] || verdict "$n" "$errno" "$log" "$lines"
			read -r n errno <<< "$line"
			log='' lines=''
			continue
		fi
		log+=$'\n'$line
		case $line in
		*'device-mapper: ioctl: error adding target to table') ;;
		*'device-mapper: '*) lines+=${line#*device-mapper: } ;;
		esac
	done < <(fail-nth "${@:2}")
	[ -z "$n" ] || verdict "$n" "$errno" "$log" "$lines"
	is "$n ${errno:-}$problems" "through ok" "$1, $failed allocations failing"
	[[ $1 != *load ]] || [ $failed -gt 0 ] || fail "$1: none of them was one that matters"
}

# Whatever of the module there is: maps, threads of its own, references. A kworker has
# the name of what it did last behind its own.
inventory() {
	echo "$(grep -c repl_map_create /proc/vmallocinfo)" \
		"$(pgrep -c ^dm-repl)" "$(awk '$1 == "dm_replication" { print $3 }' /proc/modules)"
}

# A thread that has ended is seen for a moment yet.
inventory_is() {
	[ "$(inventory)" = "$1" ]
}

# inject FAULT PROBABILITY [NAME=VALUE...]
inject() {
	local setting
	echo 1 > "$faults/$1/interval"
	echo -1 > "$faults/$1/times"
	for setting in "${@:3}"; do
		echo "${setting#*=}" > "$faults/$1/${setting%%=*}"
	done
	echo "$2" > "$faults/$1/probability"
}

ramdisks 4 4
for device in /dev/ram?; do fill "$device" 0x11; done

diag "each allocation of a call"
# Those that may wait are left alone otherwise. Single pages stay so: there are a
# thousand of them, all alike.
for setting in failslab/ignore-gfp-wait fail_page_alloc/ignore-gfp-wait \
	fail_page_alloc/ignore-gfp-highmem; do
	echo N > $faults/$setting
done
echo 1 > $faults/fail_page_alloc/min-order
echo 2 > $faults/failslab/verbose # whose it was
echo 2 > $faults/fail_page_alloc/verbose
# Those stacks stay off the console, which takes seconds for each; verdict looks in
# the log for what the harness would have found there.
dmesg -n 4

dmsetup create view --notable
dmsetup create in --notable
each_fails "secondary: load" \
	load view $sectors "secondary - $A $H $S 8"
dmsetup clear view
ok "leaves nothing" wait_for 5 inventory_is "0 0 0"
dm_linear hold $S && dmsetup remove hold
fill $M 0
each_fails "secondary with metadata: load" \
	load view $sectors "secondary $M $A $H $S 8"
dmsetup clear view
ok "leaves nothing" wait_for 5 inventory_is "0 0 0"
fill $M 0
for metadata in - $M; do
	each_fails "primary, metadata $metadata: load" \
		load view $sectors "primary $metadata $A $S 128"
	dmsetup clear view
	ok "leaves nothing" wait_for 5 inventory_is "0 0 0"
done
dmsetup load view --table "0 $sectors replication secondary - $A $H $S 8"
each_fails "secondary: resume" resume view
dmsetup mknodes
is "$(stage view)" running "it runs"
before=$(inventory)
each_fails "secondary: reload" \
	load view $sectors "secondary - $A $H $S 8"
dmsetup clear view
each_fails "ingress: load" load in $sectors "ingress /dev/mapper/view"
dmsetup clear in
ok "leaves nothing" wait_for 5 inventory_is "$before"
ingress_create in view
for text in checkpoint get_error failover stop; do
	fill /dev/mapper/in 0x22 0 1M
	fill /dev/mapper/view 0x33 512k 1M
	each_fails "message $text" message view $text
done
dm_remove_all

dmesg -n 8
# All that fail-nth has read. The first time it only notes how much has been overwritten.
dmesg_since > /dev/null
dmesg_since > /dev/null
echo 0 > $faults/failslab/verbose
echo 0 > $faults/fail_page_alloc/verbose
echo Y > $faults/failslab/ignore-gfp-wait

diag "what the I/O path allocates without waiting, one in five failing"
inject failslab 20
ok "the model" stomp_on $A $H $S 8 1000
inject failslab 0

diag "one in five bios failing"
# fio NAME: random I/O, errors and all
fio() {
	command fio --name="$1" --filename="/dev/mapper/$1" --rw=randrw --bsrange=4k-64k \
		--ioengine=libaio --direct=1 --iodepth=8 --size=4m --io_size=8m \
		--continue_on_error=all --randrepeat=0 --randseed="$RANDOM" > "$scratch/fio.$1" 2>&1
}

# failing DEVICE WORDS: the words that Documentation/replication.rst has for it
failing() {
	local disk=/sys/block/${1#/dev/} log
	rig 16
	fill /dev/mapper/in 0x44
	message view checkpoint
	dmesg_since > /dev/null
	echo 1 > "$disk/make-it-fail"
	inject fail_make_request 20
	fio view &
	fio in
	wait $!
	inject fail_make_request 0
	like "$(status_field view 9)" "^($2)$" "$1: the error"
	log=$(dmesg_since)
	like "$log" "^device-mapper: replication: [0-9:]+: I/O error: ($2)$" "and the log's one line"
	fill /dev/mapper/in 0x55
	message view checkpoint
	ok "$1: all is well again" verify /dev/mapper/view 0x55
	fill /dev/mapper/in 0x66
	fill /dev/mapper/view 0x77 1M 1M
	inject fail_make_request 20
	message view failover
	wait_for 30 merge_over
	inject fail_make_request 0
	echo 0 > "$disk/make-it-fail"
	[ "$(stage view)" = "done" ] || message view failover
	ok "and the merge ends" wait_for 30 stage_is view "done"
	ok "with what the view held" eval "verify $S 0x55 0 1M && verify $S 0x77 1M 1M &&
		verify $S 0x55 2M"
	dm_remove_all
}

merge_over() {
	[ "$(stage view)" != failover ]
}

echo 0 > $faults/fail_make_request/verbose
failing $A active-io
failing $H 'cow-io|hidden-io'
failing $S 'cow-io|secondary-io'
done_testing
