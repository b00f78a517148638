#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# bounded: yes
# timeout: 600
# cpus: 2
#
# Rules 1 to 7: random I/O to both faces, with checkpoints and a failover, against
# a model that knows every byte; with a metadata device, quick and then slow.
. tests/lib.sh

ramdisks 4 16
for chunk in 8 128; do
	fill /dev/ram3 0 0 4k
	ok "chunks of $chunk sectors" \
		eval "META=/dev/ram3 stomp_on /dev/ram0 /dev/ram1 /dev/ram2 $chunk 4000"
	diag "$output"
done
dm_delay meta /dev/ram3 0 6
dm_delay hidden /dev/ram1 0 2
fill /dev/mapper/meta 0 0 4k
ok "while commits take their time" \
	eval "META=/dev/mapper/meta stomp_on /dev/ram0 /dev/mapper/hidden /dev/ram2 8 4000"
diag "$output"
done_testing
