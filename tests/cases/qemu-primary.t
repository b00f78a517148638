#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "The primary" without a local device is QEMU's own filter. These are the cases for
# the primary of QEMU's tests/unit/test-replication.c, on a device of the same 64 MiB,
# a message for each of its calls; and what its code does with errors.
. tests/lib.sh

replica=/dev/ram0 primary=/dev/mapper/primary

start_primary() {
	primary_create primary - $replica 2048 "$@"
}

status_is() {
	is "$(dmsetup status primary)" "0 131072 replication primary $1" "$2"
}

ramdisks 1 64
fill $replica 0x11

diag "primary/read, primary/write, primary/get_error_all"
start_primary manual_start
status_is "none - 0/0 - -" "not started: stage none"
eio "not started: read" pattern verify $primary 0x11 0 64M 64M
eio "not started: write" pattern write $primary 0x22 0 64M 64M
dm_log > /dev/null
fails "get_error, not started" message primary get_error
like "$(dm_log)" "'get_error' in stage none: Block replication is not running"$ "says so in the log"
fails "stop, not started" message primary stop
like "$(dm_log)" "'stop' in stage none: Block replication is not running"$ "says so in the log"
fails "failover, not started" message primary failover
dm_log > /dev/null
fails "checkpoint, not started" message primary checkpoint
like "$(dm_log)" "'checkpoint' in stage none: Backup job was cancelled unexpectedly"$ \
	"says so in the log"
ok "start" message primary start
status_is "running - 0/0 - -" "started"
is "$(message primary get_error)" none "no error"
eio "a read" pattern verify $primary 0x11 0 64M 64M
ok "a write" fill $primary 0x22 1M 3M
ok "has reached the replica" verify $replica 0x22 1M 3M
ok "and nothing beside it" verify $replica 0x11 4M 60M

diag "primary/start"
fails "started again" message primary start
like "$(dm_log)" "'start' in stage running: Block replication is running or done"$ "says so in the log"

diag "primary/do_checkpoint"
ok "a checkpoint" message primary checkpoint
status_is "running - 0/0 - -" "nothing has changed"

diag "primary/stop"
ok "stop" message primary stop
status_is "done - 0/0 - -" "done"
eio "done: read" pattern verify $primary 0x11 0 64M 64M
eio "done: write" pattern write $primary 0x33 0 64M 64M
for message in start checkpoint stop failover; do
	ok "$message does nothing" message primary $message
done
status_is "done - 0/0 - -" "still done"
dmsetup remove primary

diag "starts by itself; and failover is an end, as in QEMU"
start_primary
status_is "running - 0/0 - -" "running"
ok "failover" message primary failover
status_is "done - 0/0 - -" "done"
dmsetup remove primary

diag "errors of the replica"
dm_linear replica $replica
replica=/dev/mapper/replica
start_primary
dm_error replica
ok "a write that the replica fails" fill $primary 0x44 0 1M
status_is "running - 0/0 - replica-io" "is recorded"
is "$(message primary get_error)" "I/O error occurred replica-io" "is told"
ok "a flush too" sync $primary
dm_linear replica /dev/ram0
ok "a write that it takes" fill $primary 0x55 0 1M
ok "is forwarded" verify /dev/ram0 0x55 0 1M
status_is "running - 0/0 - replica-io" "the error stays"
ok "stop" message primary stop
is "$(message primary get_error)" none "it is gone then"
dmsetup remove primary
done_testing
