#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
#
# dmrepctl check and dump read what the target has written, in use or not.
. tests/lib.sh
. tests/dmrepctl.sh

M=/dev/ram3
ramdisks 4 32
create=(create secondary view -s /dev/ram2 -a /dev/ram0 -H /dev/ram1 -m "$M" --force)

# dumped FIELD: of the JSON
dumped() {
	dmrepctl dump --json $M | python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"
}

# counts_are: the metadata has what the view says. What was written is flushed.
counts_are() {
	sync /dev/mapper/view
	is "$(dumped stage) $(dumped epoch) $(dumped active_chunks)/8192 $(dumped hidden_chunks)/8192" \
		"$(stage view) $(status_field view 3) $(status_field view 5) $(status_field view 6)" "$1"
}

diag "before it is formatted"
says_like 1 "dmrepctl: $M: there is no metadata on it: its first 4 KiB are zero, .*" check $M
says 1 "dmrepctl: $M: it is a new one: there is nothing to show" dump $M

diag "in use"
dmrepctl "${create[@]}" && dmrepctl create ingress in --top view
says 0 "$M: it is good" check $M
fill /dev/mapper/view 0x11 64k 256k
fill /dev/mapper/in 0x22 8128k 64k
counts_are "dump and status agree"
is "$(dumped view)" "$(dm_column view uuid)" "on the view's UUID"
capture dmrepctl dump --chunks $M
is "$(grep -A 9 '^active [0-9]*-' <<< "$output" | squeeze)" "active 16-79 hidden 2032-2047" "the chunks"

diag "while it is being written to"
fio --name=load --filename=/dev/mapper/in --rw=randwrite --bs=4k --direct=1 --ioengine=libaio \
	--iodepth=8 --time_based --runtime=600 > /dev/null &
load=$!
bad=0
for ((i = 0; i < 10; i++)); do
	message view checkpoint
	capture dmrepctl check $M || { diag "$output"; ((++bad)); }
done
is $bad 0 "checkpoints and writes look like no damage"
kill $load
wait $load
counts_are "dump and status agree"

diag "afterwards"
dmrepctl remove in view
says 0 "$M: it is good" check $M
is "$(dumped stage)" running "it is running, for those who bring it back"
printf x | dd of=$M bs=1 seek=$((4096 + 300)) conv=notrunc oflag=dsync status=none
says_like 1 "$M: map sector 0, of the chunks from 0 on, is damaged: the checksum is wrong dmrepctl: .*" check $M
says 1 "dmrepctl: view: it cannot be created: Metadata device 1:3: its map sector 0 is damaged: the checksum is wrong" \
	"${create[@]}"
says 0 "" format --force $M
says 0 "" "${create[@]}"
message view stop
is "$(dumped stage)" "done" "done"
dmrepctl remove view

diag "who is not root"
dd if=$M of="$scratch/copy" bs=1M status=none
chmod 755 "$scratch"
chmod 644 "$scratch/copy"
says 0 "$scratch/copy: it is good" as_nobody check "$scratch/copy"
says_like 0 "version 1 uuid .*" as_nobody dump "$scratch/copy"
done_testing
