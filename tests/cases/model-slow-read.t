#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# cpus: 2
#
# Rules 1 to 7: random I/O to both faces, with checkpoints and a failover, against
# a model that knows every byte; on a secondary that is slow to read, so that
# copies and fills run into each other.
. tests/lib.sh

ramdisks 3 16
dm_delay disk /dev/ram2 4 0
for chunk in 8 2048; do
	ok "chunks of $chunk sectors" \
		stomp_on /dev/ram0 /dev/ram1 /dev/mapper/disk $chunk 4000
	diag "$output"
done
done_testing
