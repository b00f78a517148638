#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What iostat shows: an I/O that waits here is in flight, and each is counted once.
. tests/lib.sh

ramdisks 6 16
dm_linear active /dev/ram0
dm_linear hidden /dev/ram1
dm_linear secondary /dev/ram2

# of NAME FILE: of what sysfs has about a dm device
of() {
	cat "/sys/dev/block/$(dm_column "$1" major,minor)/$2"
}

# in_flight NAME N: so many, reads and writes together
in_flight() {
	[ "$(of "$1" inflight | awk '{ print $1 + $2 }')" = "$2" ]
}

# counted NAME: how many reads and writes have ended
counted() {
	of "$1" stat | awk '{ print $1, $5 }'
}

# waits NAME SECTOR BELOW WHAT: a write of 512 bytes waits for a device below, and is in flight
waits() {
	local before after writer
	before=$(counted "$1")
	dmsetup suspend --noflush "$3"
	dd if=/dev/zero of="/dev/mapper/$1" bs=512 seek="$2" count=1 oflag=direct status=none &
	writer=$!
	ok "$1: $4 is in flight" wait_for 10 in_flight "$1" 1
	dmsetup resume "$3"
	ok "$1: it ends" wait $writer
	ok "$1: nothing is in flight" in_flight "$1" 0
	after=$(counted "$1")
	is "$after" "${before% *} $((${before#* } + 1))" "$1: it is counted once"
}

secondary_create view /dev/mapper/active /dev/mapper/hidden /dev/mapper/secondary 128
ingress_create in view
waits in 0 hidden "a write whose chunk is being saved"
waits view 256 secondary "a write whose chunk is being filled"
waits view 256 active "a write that has been sent"
dmsetup remove in
dmsetup remove view

dm_linear local /dev/ram3
dm_linear meta /dev/ram5
META=/dev/mapper/meta primary_create primary /dev/mapper/local /dev/ram4 128
ok "the primary is in sync" wait_for 30 sync_is primary insync
# 5 s to see that nobody writes there, and 5 s until the next look
sleep 12
waits primary 0 meta "a write whose region is being marked"
waits primary 0 local "a write that has been sent"
done_testing
