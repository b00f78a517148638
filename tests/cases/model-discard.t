#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# cpus: 2
#
# Rules 1 to 7: random I/O to both faces, with checkpoints and a failover, against
# a model that knows every byte; on quick devices that discard and write zeroes.
. tests/lib.sh

for chunk in 8 128 2048; do
	nulldisks 3 16
	ok "chunks of $chunk sectors" stomp_on /dev/nullb0 /dev/nullb1 /dev/nullb2 \
		$chunk 4000 --discard
	diag "$output"
done
done_testing
