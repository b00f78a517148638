#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
#
# dmrepctl status and list: what the devices are like, as a table and as JSON.
. tests/lib.sh
. tests/dmrepctl.sh

# valid: what it prints of all fields is as the schema has it
valid() {
	local fields
	fields=$(dmrepctl status -o help | awk '{ printf "%s%s", separator, $1; separator = "," }')
	dmrepctl status --reportformat json -o "$fields" > "$scratch/json"
	ok "$1 is as the schema has it" python3 -c "
import json, jsonschema
schema = json.load(open('tools/dmrepctl/status.schema.json'))
jsonschema.Draft202012Validator.check_schema(schema)
told = json.load(open('$scratch/json'))
jsonschema.validate(told, schema, jsonschema.Draft202012Validator)
assert all(set(device) == set(schema['\$defs']['device']['properties']) for device in told['devices'])"
}

diag "without a device"
valid nothing
says 0 "" status
says 0 "" list
says 0 '{ "version":1, "devices":[ ] }' status --reportformat json
says 1 "dmrepctl: view: there is no such device; dmrepctl list has those that are" status view

diag "a view and an ingress"
ramdisks 4 4
dm_linear disk /dev/ram2
META=/dev/ram3 rig 8 /dev/mapper/disk
number=$(dm_column view major):$(dm_column view minor)
fill /dev/mapper/view 0x11 0 64k
fill /dev/mapper/in 0x22 64k 128k
says 0 "\
Name Mode Stage Epoch Active Hidden Merge% Sync #Dirty Meta Error Top
in ingress running view
view secondary running 1 64.00k 128.00k rw -" status
says 0 "\
Name Mode Stage Size Device Open Top
in ingress running 4.00m 254:2 0 view
view secondary running 4.00m $number 1" list
says 0 "view:16:32:1024:4096:65536" status --noheadings --separator : --units b --nosuffix \
	-o name,active_chunks,hidden_chunks,total_chunks,chunk_size,active view
says 0 "view in" status --noheadings -o name -O -name
says 0 "in" list --noheadings -o name --select 'mode=ingress'
says_like 0 "view secondary running 4.00m $number 1 [0-9]+" list --noheadings -o +events view
says 0 "view" status --noheadings -o name /dev/mapper/view
says 0 '{ "version":1, "devices":[ { "name":"view", "epoch":1, "hidden":131072, "error":null } ] }' \
	status --reportformat json -o name,epoch,hidden,error view
says 1 "dmrepctl: disk: this is no device of dm-replication; dmrepctl list has those that are" \
	status disk
says 1 "dmrepctl: nobody: there is no such device; dmrepctl list has those that are
view" status --noheadings -o name nobody view
valid "a view and its ingress"

diag "a failover"
dmsetup suspend disk
message view failover
says 0 "in no fenced failover" status --noheadings -o name,suspended,fence,stage in
says 0 "view failover 0 48 0.00 0 196608" status --noheadings --units b --nosuffix \
	-o name,stage,merged_chunks,to_merge_chunks,progress,merged,to_merge view
dmsetup resume disk
ok "it ends" wait_for 20 stage_is view "done"
says 0 "view done 48 48 100.00" status --noheadings \
	-o name,stage,merged_chunks,to_merge_chunks,progress view
valid "what has failed over"

diag "fields that are given twice, and help"
say_header() {
	dmrepctl status "$@" | head -n 1
}
usual="Name Mode Stage Epoch Active Hidden Merge% Sync #Dirty Meta Error Top"
says 0 "$usual" say_header -o +dirty_regions
says 0 "$usual #Regions" say_header -o +total_regions,DIRTY_REGIONS,total_regions,name
says 0 "Name Stage" say_header -o name,stage,name
says 0 "$(say_header -o all | squeeze)" say_header -o +all
fields=$(dmrepctl status -o help | squeeze)
for words in "-o +help" "-o name,help" "-O help" "-O ?" "-S help"; do
	# shellcheck disable=SC2086 # two words
	says 0 "$fields" status $words
done

diag "wrong usage"
says 2 "dmrepctl: --select: no device has the stage runs: it is none, running, failover, failover-failed or done" \
	status -S stage=runs
says_like 2 "dmrepctl: --options : there is no field in it; .*" status -o ""
says_like 2 "dmrepctl: --options ,: there is no field in it; .*" list -o ,
says 2 "dmrepctl: Unrecognised field: frobnicate; dmrepctl status -o help tells the fields" \
	status -o frobnicate
says 2 "dmrepctl: Unrecognised selection field: x; dmrepctl status -o help tells the fields" \
	status -S x=1
says_like 2 "dmrepctl: --units x: there are .*" status --units x
says 2 "dmrepctl: --reportformat xml: there are basic and json" status --reportformat xml
says 2 "dmrepctl: list: --options is given twice" list -o name -o mode
says 2 "dmrepctl: status: --sort: needs a value; see dmrepctl help status" status --sort

diag "who is not root"
says 1 "dmrepctl: this needs root, for device-mapper does: try sudo" as_nobody status
dmsetup remove in && dmsetup remove view
done_testing
