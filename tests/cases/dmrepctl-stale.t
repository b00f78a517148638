#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 500
#
# A metadata device that failed and works again: dmrepctl says what it could not record, and
# up and create do not believe it, for newer data would be overwritten.
. tests/lib.sh
. tests/dmrepctl.sh

S=/dev/ram0 A=/dev/ram1 H=/dev/ram2 M=/dev/mapper/meta view=/dev/mapper/view
ramdisks 6 16
cat > "$scratch/conf" <<-END
	view { mode = "secondary" secondary = "$S" active = "$A" hidden = "$H" metadata = "$M" ingress = "in" }
END
up() {
	dmrepctl up --config "$scratch/conf"
}

down() {
	dmrepctl down --config "$scratch/conf"
}

# lacks NAME WHAT: the sentence
lacks() {
	echo "dmrepctl: $1: its metadata device $M has failed, and does not have $2. Before $1 is made again, zero that device: dmrepctl format --force $M. Otherwise the next start believes what the device had before, and newer data is overwritten"
}

# A view with data of its own, and a metadata device that has gone
view_without_metadata() {
	dm_linear meta /dev/ram3
	dd if=/dev/zero of=$M bs=4k count=1 oflag=direct status=none
	fill $S 0x11
	ok "up" up
	fill $view 0x22 0 1M
	sync $view
	fill /dev/mapper/in 0x33 8M 1M
	dm_error meta
}

# What was written after the failover is there, and up does not undo it.
newer_data_stays() {
	dm_linear meta /dev/ram3
	says 3 "dmrepctl: $scratch/conf: view: metadata device $M: it had failed, and does not have the failover: with what it has, newer data would be overwritten; dmrepctl format --force $M, then it is a new one" \
		up
	says_like 3 "dmrepctl: metadata device $M: it had failed, and does not have the failover: .*" \
		create secondary view -s $S -a $A -H $H -m $M --force
	ok "what was written after the failover is on the disk" verify $S 0x99
	says 0 "" format --force $M
	says 0 "" up
	ok "and in a new view" verify $view 0x99
	says 0 "" down
	dmsetup remove meta
}

diag "a failover that is waited for"
view_without_metadata
says_like 1 "view: merging .*view: done, 2 MiB merged in [0-9]+ s $(lacks view "the failover")" \
	failover view --yes
is "$(stage view)" "done" "it is done"
says 1 "dmrepctl: view: stage done: there is nothing to do $(lacks view "the failover")" failover view
ok "a write" fill $view 0x99
says 0 "$(lacks view "the failover")" down
newer_data_stays

diag "one that is not"
view_without_metadata
says 1 "$(lacks view "the failover")" failover view --yes --no-wait
ok "it is done" wait_for 20 stage_is view "done"
fill $view 0x99
dmsetup remove in
dmsetup remove view
newer_data_stays

for way in down "remove in view" "remove --all --force"; do
	diag "one by dmsetup, which is found when the view goes: $way"
	view_without_metadata
	ok "failover" message view failover
	ok "it is done" wait_for 20 stage_is view "done"
	fill $view 0x99
	# shellcheck disable=SC2086 # these are words
	says 0 "$(lacks view "the failover")" $way
	newer_data_stays
done

diag "a device that is recorded in time"
dm_linear meta /dev/ram3
dd if=/dev/zero of=$M bs=4k count=1 oflag=direct status=none
ok "up" up
says_like 0 "view: .*done.*" failover view --yes
dm_error meta
says 0 "dmrepctl: view: stage done: there is nothing to do" failover view
says 0 "" down
dm_linear meta /dev/ram3
says 0 "dmrepctl: view: it comes back in stage done: it shows its disk, and nothing is replicated. To replicate again, dmrepctl remove view, dmrepctl format $M, then make it anew: the primary's disk is copied over it then. See \"Stages\" in replication.rst" \
	up
is "$(stage view)" "done" "it comes back as it was"
says 0 "" down

diag "a primary that gets another replica"
dd if=/dev/zero of=$M bs=4k count=1 oflag=direct status=none
says 0 "" create primary p -l $S -r /dev/ram4 -m $M
says_like 0 "(p: copying .*)?p: in sync.*" resync p
# 5 s to see that nobody writes there, and 5 s until the next look
sleep 12
dm_error meta
eio "a write that has to be noted" pattern write /dev/mapper/p 0x44 0 4k
says_like 0 "(p: copying .*)?p: in sync.* $(lacks p "the new replica")" swap-replica p /dev/ram5 --force
says 0 "$(lacks p "the new replica")" swap-replica p /dev/ram4 --force --no-wait
dmrepctl remove p
dm_linear meta /dev/ram3
says_like 3 "dmrepctl: metadata device $M: it had failed, and does not have the new replica: .*" \
	create primary p -l $S -r /dev/ram4 -m $M
says 0 "" format --force $M
says 0 "" create primary p -l $S -r /dev/ram4 -m $M --force
says 0 "" remove p

diag "a primary whose metadata device fails"
M2=/dev/mapper/second
primary() {
	dm_linear meta /dev/ram3
	dd if=/dev/zero of=$M bs=4k count=1 oflag=direct status=none
	says 0 "" create primary p -l $S -r /dev/ram4 -m $M --force --insync
	says 1 "dmrepctl: p: its metadata device works; only one that has failed, or was abandoned, is replaced" \
		swap-metadata p $M2
	dm_error meta
	eio "a write that has to be noted" pattern write /dev/mapper/p 0x44 0 4k
}
dm_linear second /dev/ram5
dd if=/dev/zero of=$M2 bs=4k count=1 oflag=direct status=none
primary
says 1 "dmrepctl: p: metadata device $M could not take over: the metadata mode is fail; dmesg says why" \
	swap-metadata p $M
is "$(cat "/var/lib/dm-replication/stale-metadata/$(dm_column p uuid)" 2> /dev/null)" "" "no note is kept"
fill $M2 0x99 0 4k
says 3 "dmrepctl: metadata device $M2: it is not new; dmrepctl format $M2 makes it so" swap-metadata p $M2
says 0 "" format --force $M2
overwritten="would be overwritten; if that may be, --force"
fill $M2 0x99 4k 4k
printf '\1CD001\1' | dd of=$M2 bs=1 seek=32768 conv=notrunc status=none
says 3 "dmrepctl: metadata device $M2: there is a signature of iso9660 on it, which $overwritten" swap-metadata p $M2
dm_table large "0 $((2 << 21)) zero"
says 3 "dmrepctl: metadata device /dev/mapper/large: it has 2 GiB, and no metadata needs more than 1 GiB, so it may be a disk with data, of which the first 4 KiB $overwritten" \
	swap-metadata p /dev/mapper/large
dmsetup remove large
says 3 "dmrepctl: metadata device /dev/mapper/p: it is a device of dm-replication itself, p, of the mode primary; what is on it $overwritten" \
	swap-metadata p /dev/mapper/p
is "$(status_field p 5)" fail "nothing has changed"
ok "what was on the other device is there" verify $M2 0x99 4k 4k
says 0 "dmrepctl: p: metadata device $M, which it had, is out of date: dmrepctl format --force $M before it is used again" \
	swap-metadata p $M2 --force
fill $M2 0x00 32k 4k
is "$(status_field p 5)" rw "it has another one"
ok "a write" fill /dev/mapper/p 0x45 0 4k
says 0 "" remove p
says 0 "" create primary p -l $S -r /dev/ram4 -m $M2
is "$(status_field p 3)" insync "with which it comes back"
says 0 "" remove p

diag "the one that was replaced works again"
# is_replaced OLD NEW: the old one is refused
is_replaced() {
	local uuid
	uuid=$(dmrepctl dump "$2" | awk '$1 == "uuid" { print $2 }')
	like "$uuid" "^[0-9a-f-]{36}$" "the new one has a UUID"
	says 3 "dmrepctl: metadata device $1: it was replaced by the one with the UUID $uuid (dmrepctl dump shows it), and does not have what was written since: disks that differ would be called in sync; name that one, or dmrepctl format --force $1, then it is a new one" \
		create primary p -l $S -r /dev/ram4 -m "$1" --force
}
dm_linear meta /dev/ram3
is_replaced $M $M2
says 0 "" create primary p -l $S -r /dev/ram4 -m $M2
says 0 "" abandon-metadata p --yes
says 0 "" remove p
is_replaced $M $M2
says 0 "" create primary p -l $S -r /dev/ram4 -m $M2
says_like 0 "(p: copying .*)?p: in sync.*" resync p
# as above
sleep 12
dm_error second
eio "a write that has to be noted" pattern write /dev/mapper/p 0x44 0 4k
says 0 "" format --force $M
says 0 "dmrepctl: p: metadata device $M2, which it had, is out of date: dmrepctl format --force $M2 before it is used again" \
	swap-metadata p $M
says 0 "" remove p
dm_linear second /dev/ram5
is_replaced $M2 $M
says 0 "" create primary p -l $S -r /dev/ram4 -m $M
is "$(status_field p 3)" insync "the new one is believed"
says 0 "" remove p

diag "which works again when the primary gets another replica"
primary
dm_linear meta /dev/ram3
says_like 0 "(p: copying .*)?p: in sync[^.]*" swap-replica p $A --force
is "$(status_field p 5)" rw "it works"
says 0 "" remove p
says 0 "" create primary p -l $S -r $A -m $M
is "$(status_field p 3)" insync "there is no note"
says 0 "" remove p

diag "or is abandoned"
says 0 "" format --force $M2
primary
says 3 "dmrepctl: p: without its metadata device everything is copied at the next start; dmrepctl swap-metadata p DEVICE gives it another one; to go on without, --yes" \
	abandon-metadata p
is "$(status_field p 5)" fail "nothing has changed"
says 0 "$(lacks p "what was written since")" abandon-metadata p --yes
says 0 "p abandoned" status --noheadings -o name,metadata -S metadata=abandoned
ok "a write" fill /dev/mapper/p 0x46 0 4k
says 0 "" remove p
dm_linear meta /dev/ram3
says_like 3 "dmrepctl: metadata device $M: it had failed, and does not have what was written since: .*" \
	create primary p -l $S -r /dev/ram4 -m $M
says 0 "" format --force $M
primary
says 0 "$(lacks p "what was written since")" abandon-metadata p --yes
says 0 "dmrepctl: p: metadata device $M, which it had, is out of date: dmrepctl format --force $M before it is used again" \
	swap-metadata p $M2
says 0 "" remove p
says 0 "" create primary p -l $S -r /dev/ram4 -m $M2
is "$(status_field p 3)" insync "another one is believed"
says 0 "" remove p
dm_linear meta /dev/ram3
is_replaced $M $M2

diag "one that could be told"
dm_linear meta /dev/ram3
says 0 "" format --force $M
says 0 "" create primary p -l $S -r /dev/ram4 -m $M --force --insync
says 0 "" abandon-metadata p -y
says 0 "p off" status --noheadings -o name,metadata -S metadata=off
says 0 "" remove p
dm_log > /dev/null
says 0 "" create primary p -l $S -r /dev/ram4 -m $M
like "$(dm_log)" "resync, was .*; 16 of 16 regions are dirty" "is not refused, and has everything copied"
says 0 "" remove p
done_testing
