#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# cpus: 2
#
# Rules 1 to 7: random I/O to both faces, with checkpoints and a failover, against
# a model that knows every byte; on an active and a secondary that are slow to
# write, so that much is in flight when a checkpoint or the merge comes.
. tests/lib.sh

ramdisks 3 16
dm_delay active /dev/ram0 0 8
dm_delay disk /dev/ram2 0 8
for chunk in 8 128; do
	ok "chunks of $chunk sectors" \
		stomp_on /dev/mapper/active /dev/ram1 /dev/mapper/disk $chunk 4000
	diag "$output"
done
done_testing
