#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
#
# dmrepctl events, status --watch and metrics: what happens is told when it happens.
. tests/lib.sh
. tests/dmrepctl.sh

ramdisks 3 16
dm_linear disk /dev/ram2
events=$scratch/events

# tells LINE: events has printed it, or does so soon
tells() {
	ok "$1" wait_for 20 grep -qx "$1" "$events" || diag "$(< "$events")"
}

diag "events"
dmrepctl create secondary view -s /dev/mapper/disk -a /dev/ram0 -H /dev/ram1 -m none
dmrepctl events > "$events" &
follower=$!
common="size=16777216 device=254:[0-9]*"
exists="exists view mode=secondary stage=running $common epoch=1 chunk_size=4096 to_merge_chunks=0 metadata=- error=-"
tells complete
like "$(head -n 1 "$events")" "^$exists$" "what exists comes first"
dmrepctl create ingress in --top view
tells "exists in mode=ingress stage=running $common fence=open top=view"
message view checkpoint
tells "change view epoch=2"
fill /dev/mapper/view 0x11 0 64k
message view failover
ok "the merge ends" wait_for 20 stage_is view "done"
ok "which is told too" wait_for 20 grep -q "^change view.* stage=done\|^change view stage=done" "$events"
ok "of the ingress as well" wait_for 20 grep -q "^change in .*stage=done\|^change in stage=done" "$events"
dmrepctl remove --all
tells "gone in"
tells "gone view"
is "$(grep -c -e disk -e other "$events")" 0 "nothing is told of others"
ok "events goes on" kill -0 $follower
kill $follower
dmrepctl create secondary view -s /dev/mapper/disk -a /dev/ram0 -H /dev/ram1 -m none --force
dmrepctl events --json --now > "$events"
ok "JSON, one object a line" python3 -c "
import json, sys
lines = [json.loads(line) for line in open('$events')]
assert [line['event'] for line in lines] == ['exists', 'complete'], lines
assert lines[0]['name'] == 'view' and lines[0]['epoch'] == 1, lines
assert lines[0]['size'] == 16777216 and lines[0]['error'] is None, lines
assert lines[0]['version'] == 1 and lines[0]['time'].endswith('Z'), lines"
says_like 0 "[0-9]{4}-[0-9-]{5}T[0-9:.]{15}Z exists view .* complete" events --timestamps --now

diag "an error"
fill /dev/mapper/view 0x11 0 64k
dmrepctl events > "$events" &
follower=$!
tells complete
dm_error_writes disk /dev/ram2
message view failover
ok "it is told" wait_for 20 grep -q "^change view.* error=merge-io" "$events"
ok "with the stage" wait_for 20 grep -q "^change view.*stage=failover-failed" "$events"
kill $follower
dm_linear disk /dev/ram2

diag "status --watch"
dmrepctl status --watch --noheadings -o name,stage view > "$events" 2> /dev/null &
follower=$!
ok "it begins" wait_for 20 grep -q "^view failover-failed$" "$events"
message view failover
ok "and goes on" wait_for 20 grep -q "^view done$" "$events"
dmrepctl remove view
wait $follower
is $? 1 "until the device is gone"

diag "metrics"
says_like 0 "# HELP .*" metrics
dmrepctl create secondary view -s /dev/mapper/disk -a /dev/ram0 -H /dev/ram1 -m none --force
fill /dev/mapper/view 0x11 0 64k
dmrepctl metrics > "$events"
ok "what active holds" grep -qx 'dm_replication_active_bytes{name="view",mode="secondary"} 65536' "$events"
ok "the stage" grep -qx 'dm_replication_stage{name="view",mode="secondary",stage="running"} 1' "$events"
says 0 "" metrics --output "$scratch/view.prom"
ok "the same in a file" cmp "$events" "$scratch/view.prom"
is "$(find "$scratch" -name 'view.prom*' | wc -l)" 1 "which is all that is left"
says_like 1 "dmrepctl: /nowhere/view.prom: it cannot be written: No such file or directory" \
	metrics -o /nowhere/view.prom
dmrepctl remove view --force

diag "wrong usage"
says 2 "dmrepctl: events: view is one too many; it takes: nothing" events view
says 2 "dmrepctl: metrics: view is one too many; it takes: nothing" metrics view
says 1 "dmrepctl: this needs root, for device-mapper does: try sudo" as_nobody events
says 1 "dmrepctl: this needs root, for device-mapper does: try sudo" as_nobody metrics
done_testing
