#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dmrepctl check and dump: what is on a metadata device, with neither the module nor a
# device, and without root.

. tests/tap.sh
. tests/unit/metadata/build.sh
. tests/unit/dmrepctl/build.sh

tool=$scratch/tool
damage=tests/unit/dmrepctl/damage

# metadata.c is in them twice: as the target has it, and in the tool, of which one function
# alone is to be seen.
build_damage() {
	local objects name to=$scratch/damage
	build_fakes "$to" -Werror || return
	for name in unit-damage crash seeds; do
		compile "$metadata/$name.c" "$to/$name.o" -Werror || return
	done
	compile "$metadata/fuzz.c" "$to/fuzz.o" -Werror -Dfuzz_begin=no_begin || return
	for name in compare damage fuzzed; do
		compile $damage/$name.c "$to/$name.o" -Werror || return
	done
	compile dm-replication/metadata.c "$to/metadata.o" -Werror || return
	mapfile -t objects < <(tool_objects "$tool")
	"${CC:-gcc}" -r -nostdlib -o "$to/tool.o" "${objects[@]}" &&
		objcopy --keep-global-symbol=check_metadata_file "$to/tool.o" &&
		link "$to" "$to/make-seeds" "$to/seeds.o" "$to/metadata.o" &&
		link_compared damage unit-damage && link_compared crash && link_compared fuzzed fuzz
}

# link_compared NAME...: the program of the first one, with compare.c in between
link_compared() {
	local to=$scratch/damage objects
	objects=("${@/%/.o}")
	link "$to" "$to/$1" "${objects[@]/#/$to/}" "$to"/{compare,metadata,tool}.o \
		-Wl,--wrap={rig_refused,rig_reopen,rig_open,rig_load} -ldevmapper -lblkid -ljson-c
}

# last REGEX: of the last line that it matches, what is in parentheses
last() {
	sed -n "s/.*$1.*/\1/p" <<< "$output" | tail -n 1
}

ok "the tool is built" build_tool "$tool" || exit
ok "the test is built" build_damage || exit
ok "check finds what the target finds" timeout 300 "$scratch/damage/damage" "$SEED"
diag "$(tail -n 1 <<< "$output")"
found=$(last "so far \([0-9]*\) damaged")
ok "and there was much of it" [ "${found:-0}" -gt 10000 ]
ok "after losses of power too, nothing" timeout 300 "$scratch/damage/crash" "$SEED" 100000 10
diag "$(tail -n 1 <<< "$output")"
disks=$(last " \([0-9]*\) disks,")
ok "and there were some" [ "${disks:-0}" -gt 1000 ]
mkdir "$scratch/seeds"
ok "there are good ones to change" "$scratch/damage/make-seeds" "$scratch/seeds"
ok "whatever is there" timeout 300 "$scratch/damage/fuzzed" "$SEED" 10000 "$scratch"/seeds/*
diag "$(tail -n 1 <<< "$output")"
found=$(last " \([0-9]*\) damaged")
ok "and much of it was damaged" [ "${found:-0}" -gt 1000 ]


# Images made by the format's description alone: Documentation/metadata.rst
image() {
	tests/unit/dmrepctl/image "$@" > "$scratch/image"
}

# Where the images are, so that their names are short.
dmrepctl() (
	cd "$scratch" && "$tool/dmrepctl" "$@"
)

# says STATUS TEXT WORD...
says() {
	local status
	capture dmrepctl "${@:3}"
	status=$?
	is "$status: $output" "$1: $2" "dmrepctl ${*:3}"
}

no_good="dmrepctl: image: it is no good; the target cannot use it as it is, and nothing mends it: dmrepctl format makes it a new one, without what the view held, or the primary knew"
several=${no_good/it is no good/it is damaged in several places}

# bad WHAT [IMAGE OPTION...]: check says this of one, and no more; dump as well.
bad() {
	[ $# -eq 1 ] || image "${@:2}"
	says 1 "image: $1
$no_good" check image
}

diag "a good one"
image --chunks 6000 --epoch 7 --active 0,1,2,63,64,65,1983,1984,3999 --hidden 5,1984,4000 \
	--view DMREPL-SECONDARY-1 --old 2
says 0 "image: it is good" check image
says 0 "" check --quiet image
says 0 "\
version          1
uuid             00010203-0405-0607-0809-0a0b0c0d0e0f
kind             secondary
view             DMREPL-SECONDARY-1
stage            running
epoch            7
error            -
secondary        48000 sectors, 23.4 MiB
chunk            8 sectors, 4 KiB
chunks           6000
map sectors      4; 4 used, 3 of this epoch, 0 damaged
active           8 chunks, 32 KiB
hidden           2 chunks, 8 KiB
both             1 chunks, 4 KiB
active 0-2
active 63-65
active 1983-1984
hidden 5
hidden 1984" dump --chunks image
says 0 '{
  "version":1,
  "format_version":1,
  "uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f",
  "kind":"secondary",
  "view":"DMREPL-SECONDARY-1",
  "stage":"running",
  "epoch":7,
  "error":null,
  "size":24576000,
  "chunk_size":4096,
  "total_chunks":6000,
  "map_sectors":4,
  "used_map_sectors":4,
  "current_map_sectors":3,
  "damaged_map_sectors":0,
  "active_chunks":8,
  "hidden_chunks":2,
  "both_chunks":1
}' dump --json image
capture dmrepctl dump --json --chunks image
like "$(tr -d ' \n' <<< "$output")" \
	'"chunks":\{"active":\[\[0,2\],\[63,65\],\[1983,1984\]\],"hidden":\[\[5,5\],\[1984,1984\]\]\}\}$' \
	"the chunks in JSON"
ok "it is JSON" python3 -m json.tool <<< "$output"
image --chunks 1 --stage 4 --error 5 --epoch 99
says 0 "image: it is good" check image
like "$(dmrepctl dump image | tr -s ' \n' ' ')" "view - stage done epoch 99 error merge-io" "the others"
head -c 8192 /dev/zero > "$scratch/new"
blank="there is no metadata on it: its first 4 KiB are zero, as dmrepctl format leaves a new metadata device, or as any unused device may be"
says 1 "dmrepctl: new: $blank" check new
says 1 "dmrepctl: new: $blank" check --quiet new
says 1 "dmrepctl: new: it is a new one: there is nothing to show" dump new

diag "a primary's"
image --kind 1 --chunks 3000 --chunk 2048 --epoch 2 --error 8 --active 0,1,2,1983,1984,2999 \
	--view DMREPL-PRIMARY-1
says 0 "image: it is good" check image
says 0 "\
version          1
uuid             00010203-0405-0607-0809-0a0b0c0d0e0f
kind             primary
primary          DMREPL-PRIMARY-1
stage            running
epoch            2
error            replica-io
local            6144000 sectors, 2.9 GiB
region           2048 sectors, 1 MiB
regions          3000
map sectors      2; 2 used, 2 of this epoch, 0 damaged
clean            6 regions, 6 MiB
clean 0-2
clean 1983-1984
clean 2999" dump --chunks image
says 0 '{
  "version":1,
  "format_version":1,
  "uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f",
  "kind":"primary",
  "primary":"DMREPL-PRIMARY-1",
  "stage":"running",
  "epoch":2,
  "error":"replica-io",
  "size":3145728000,
  "region_size":1048576,
  "total_regions":3000,
  "map_sectors":2,
  "used_map_sectors":2,
  "current_map_sectors":2,
  "damaged_map_sectors":0,
  "clean_regions":6
}' dump --json image
capture dmrepctl dump --json --chunks image
like "$(tr -d ' \n' <<< "$output")" '"regions":\{"clean":\[\[0,2\],\[1983,1984\],\[2999,2999\]\]\}\}$' \
	"its regions in JSON"
for error in 7:local-io 8:replica-io; do
	image --kind 1 --chunks 1 --chunk 128 --error ${error%:*} --stage 4
	like "$(dmrepctl dump image | tr -s ' \n' ' ')" "stage done epoch 1 error ${error#*:}" "its ${error#*:}"
done

diag "a damaged one"
super="its superblock makes no sense:"
bad "$super stage 0, error 0" --chunks 1 --stage 0
bad "$super stage 5, error 0" --chunks 1 --stage 5
bad "$super stage 1, error 15" --chunks 1 --error 15
bad "$super kind 2" --chunks 1 --kind 2
bad "it has version 2 of the format, this module knows 1" --chunks 1 --version 2
for chunk in 0 1 7 9 4096 2147483648; do
	bad "$super chunks of $chunk sectors" --chunks 1 --chunk $chunk
done
bad "$super a secondary of 0 sectors" --chunks 1 --len 0
bad "$super a secondary of 34359738369 sectors" --chunks 1 --len 34359738369
for chunk in 0 64 129 16384; do
	bad "$super regions of $chunk sectors" --kind 1 --chunks 1 --chunk $chunk
done
bad "$super a primary of 2147483649 sectors" --kind 1 --chunks 1 --chunk 128 --len 2147483649
for stage in 0 2 3; do
	bad "$super stage $stage, error 0" --kind 1 --chunks 1 --chunk 128 --stage $stage
done
bad "it has 16 sectors; 24 are needed" --chunks 20000 --blocks 2
image --chunks 1
: > "$scratch/empty"
head -c 4095 "$scratch/image" > "$scratch/short"
truncate -s 100 "$scratch/empty"
says 1 "empty: it is too small for a superblock
${no_good/image/empty}" check empty
says 1 "short: it is too small for a superblock
${no_good/image/short}" check short
bad "map sector 0, of the chunks from 0 on, is damaged: it has chunks that are not" \
	--chunks 100 --active 99,100
image --chunks 6000 --active 1,2000,4000
for sector in 1 3; do
	printf x | dd of="$scratch/image" bs=1 seek=$((4096 + 512 * sector + 300)) conv=notrunc status=none
done
says 1 "\
image: map sector 1, of the chunks from 1984 on, is damaged: the checksum is wrong
image: map sector 3, of the chunks from 5952 on, is damaged: the checksum is wrong
$several" check image
capture dmrepctl dump image
is "$?" 1 "dump fails too"
like "$output" "map sectors      4; 2 used, 2 of this epoch, 2 damaged" "but shows what is good"
head -c 1000000 /dev/urandom > "$scratch/image"
says 1 "dmrepctl: image: there is no metadata on it: it has other content, which dmrepctl format would overwrite" \
	check image
says 1 "dmrepctl: image: it is no metadata device: it has other content" dump image

diag "several, and what is none"
image --chunks 1
says 1 "image: it is good
dmrepctl: absent: it cannot be opened: No such file or directory
dmrepctl: new: $blank
image: it is good" check image absent new image
says 1 "dmrepctl: .: it is neither a block device nor a file: Is a directory" dump .
says 1 "dmrepctl: /dev/null: it is neither a block device nor a file: Block device required" \
	check /dev/null
says 2 "dmrepctl: check: something is missing; it takes: DEVICE..." check
says 2 "dmrepctl: dump: new is one too many; it takes: DEVICE" dump image new

done_testing
