#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# waits: yes
# kmemleak: yes
# timeout: 600
# cpus: 2
#
# Rule 9: suspend lets every held bio go, a noflush suspend gives them back to be
# sent again, removal never hangs; and a reload onto the same devices keeps all
# state. In each stage, and while chunks are being copied.
. tests/lib.sh

chunk=8

# Both faces through all kinds of suspend, a reload and a checkpoint.
churn() {
	local name
	for name in view in; do
		dmsetup suspend $name && dmsetup resume $name &&
		dmsetup suspend --noflush $name && dmsetup resume $name &&
		dmsetup suspend --nolockfs --noflush $name &&
		dmsetup load $name --table "$(dmsetup table $name)" &&
		dmsetup resume $name || return
	done
}

# churn for some time, with how often in $rounds
churn_for() {
	local end=$((SECONDS + $1))
	rounds=0
	while [ $SECONDS -lt $end ]; do
		churn || return
		((++rounds))
	done
}

ramdisks 3 32

# Each stage survives.
secondary_create view /dev/ram0 /dev/ram1 /dev/ram2 $chunk manual_start
ingress_create in view
ok "none" churn
is "$(stage view)" none "is still none"
message view start
fill /dev/mapper/in 0x22 0 1M
fill /dev/mapper/view 0x33 512k 1M
before=$(dmsetup status view)
ok "running" churn
is "$(dmsetup status view)" "$before" "with its maps"
ok "the view shows its own writes" verify /dev/mapper/view 0x33 512k 1M
ok "and the old content elsewhere" verify /dev/mapper/view 0 0 512k
message view failover
ok "done follows" wait_for 20 stage_is view "done"
ok "done" churn
is "$(stage view)" "done" "is still done"
ok "and the content is as it was" verify /dev/mapper/view 0x33 512k 1M
dm_remove_all

# While both faces are at work: the copies are slow enough to be met.
dm_delay slow /dev/ram2 20 0
rig $chunk /dev/mapper/slow
hammer --view /dev/mapper/view --seconds 8 --threads 2 --chunk $chunk \
	--seed "$RANDOM" --verify > "$scratch/view" 2>&1 &
view=$!
pattern write /dev/mapper/in 0x22 0 32M 16k > "$scratch/in" 2>&1 &
in=$!
ok "during copies" churn_for 6
diag "$rounds rounds"
ok "the view's user ends without an error or wrong data" wait $view
diag "$(tail -n 1 "$scratch/view")"
ok "so does the ingress's" wait $in
ok "whose data is all there" verify /dev/mapper/in 0x22
dm_remove_all

# A held bio goes back to dm when a noflush suspend asks for it: here a write of
# the ingress that waits for a reader of the view, whose device hangs.
dm_linear stuck /dev/ram2
rig $chunk /dev/mapper/stuck
fill /dev/mapper/view 0x55 8M 4k
dmsetup suspend --nolockfs stuck
dd if=/dev/mapper/view of=/dev/null bs=4k count=1 iflag=direct status=none &
reader=$!
sleep 0.5
dd if=/dev/zero of=/dev/mapper/in bs=4k count=1 oflag=direct status=none &
writer=$!
sleep 0.5
ok "the reader waits for its device" kill -0 $reader
ok "the writer waits" kill -0 $writer
dmsetup resume stuck
ok "both end when it comes back" wait $reader $writer
is "$(status_field view 6)" "1/8192" "one chunk was saved"
ok "remove the ingress" dmsetup remove in
ok "remove the view" dmsetup remove view

# A noflush suspend gives back those too that begin to wait while it begins: here for a
# gate that a checkpoint has closed, which waits for a write of the view.
# Less than the harness lets a message wait.
dm_delay slow /dev/ram0 0 50000
secondary_create view /dev/mapper/slow /dev/ram1 /dev/ram2 $chunk
ingress_create in view
fill /dev/mapper/in 0x22 0 32M
pattern write /dev/mapper/view 0x33 0 4k &
writer=$!
# shellcheck disable=SC2016 # for eval
wait_for 20 eval '[ "$(awk "{ print \$2 }" "/sys/dev/block/$(dm_column slow major,minor)/inflight")" = 1 ]'
message view checkpoint &
checkpoint=$!
fio --name=job --filename=/dev/mapper/in --ioengine=libaio --direct=1 --rw=randwrite --bs=4k \
	--size=32M --iodepth=30000 --norandommap --rate_iops=3000 --time_based --runtime=600 \
	> "$scratch/fio" 2>&1 &
flood=$!
in_flight() {
	awk '{ print $2 }' "/sys/dev/block/$(dm_column in major,minor)/inflight"
}
# shellcheck disable=SC2016 # for eval
wait_for 20 eval '[ "$(in_flight)" -gt 200 ]'
longest=0
for ((i = 0; i < 10; i++)); do
	kill -0 $checkpoint || break
	begin=$(date +%s%3N)
	dmsetup suspend --noflush --nolockfs in || { longest=failed; break; }
	took=$(($(date +%s%3N) - begin))
	dmsetup resume in
	[ $took -lt $longest ] || longest=$took
	sleep 0.3
done
ok "while the checkpoint waits: $i times" [ "$i" -gt 0 ]
# The suspend itself takes some time to give so many back.
ok "no noflush suspend of the ingress waits: $longest ms" [ "$longest" -lt 15000 ]
dm_linear slow /dev/ram0
ok "the view's write ends" wait $writer
ok "so does the checkpoint" wait $checkpoint
kill $flood
wait $flood
dm_remove_all
dm_linear stuck /dev/ram2

# In stage none, where nothing was ever done.
secondary_create view /dev/ram0 /dev/ram1 /dev/mapper/stuck $chunk manual_start
ok "remove in stage none" dmsetup remove view

# A table that was never resumed, and one that is thrown away.
dmsetup create view --notable
dmsetup load view --table "$(secondary_table - /dev/ram0 /dev/ram1 /dev/mapper/stuck $chunk)"
ok "clear a table that was never live" dmsetup clear view
dmsetup load view --table "$(secondary_table - /dev/ram0 /dev/ram1 /dev/mapper/stuck $chunk)"
ok "remove with a table that was never live" dmsetup remove view

# The top is given another kind of table: the ingress is dead, but can be removed.
rig $chunk /dev/mapper/stuck
ok "the top cannot go first" bash -c '! dmsetup remove view 2> /dev/null'
fill /dev/mapper/in 0x77 0 1M
dmsetup load view --table "0 $(sectors /dev/ram2) linear /dev/mapper/stuck 0"
ok "another kind of table for the top" dmsetup resume view
is "$(dmsetup status in)" "0 65536 replication ingress none fenced $(dmsetup info -c --noheadings -o major,minor view)" \
	"the ingress is fenced"
ok "its writes fail" bash -c '! dd if=/dev/zero of=/dev/mapper/in bs=4k count=1 oflag=direct 2> /dev/null'
ok "what it wrote before is there" verify /dev/mapper/view 0x77 0 1M
is "$(dmsetup load in --table "$(dmsetup table in)" > /dev/null 2>&1; echo $?)" 1 \
	"a top that is a view no more is refused"
ok "it can be removed" dmsetup remove in
done_testing
