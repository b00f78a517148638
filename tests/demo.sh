#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module at work, for somebody who has never seen it: make demo
#
# One virtual machine plays both hosts. The primary has an ext4 filesystem with
# an SQLite database on /dev/nbd0; what it writes goes through nbd-server to the
# ingress of the standby, whose view is mounted at the same time.
#
# Everything that is said here is checked, and the first thing that is not true
# ends the demonstration with a status that is not zero.

# shellcheck disable=SC2317 # functions that wait_for calls
. tests/lib.sh

disk_mib=64 ledger=$((8 << 20))
primary=/mnt/primary standby=/mnt/standby bare=/mnt/disk
work=$(mktemp -d)

#
# What is said
#

step() {
	printf '\n%d. %s\n' $((++steps)) "$*"
}

say() {
	printf '   %s\n' "$@"
}

die() {
	printf '\nTHE DEMO FAILED: %s\n' "$*"
	exit 1
}

# must COMMAND...: succeeds, or the demo ends and shows what the command said.
must() {
	"$@" > "$work/said" 2>&1 && return
	cat "$work/said"
	die "$*"
}

# show COMMAND...: a command that the reader should see, and what it says.
show() {
	local word line=''
	for word; do
		[[ $word != *' '* ]] || word="'$word'"
		line+=" $word"
	done
	say "\$$line"
	"$@" > "$work/said" 2>&1 || { cat "$work/said"; die "$*"; }
	sed 's/^/     /' "$work/said"
}

# check CLAIM COMMAND...: prints the claim if the command succeeds.
check() {
	local claim=$1
	shift
	"$@" > "$work/said" 2>&1 || { cat "$work/said"; die "not true: $claim ($*)"; }
	say "[ok] $claim"
}

# refused CLAIM COMMAND...: prints the claim if the command fails.
refused() {
	local claim=$1
	shift
	! "$@" > "$work/said" 2>&1 || die "not true: $claim ($*)"
	say "[ok] $claim"
}

now_ms() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

#
# What works on the two hosts
#

# worker DIRECTORY NAME: writes files and rows, each row with the checksum of its
# file, until $work/NAME.stop is there or something fails. $work/NAME.log gets a
# line when a row is committed; $work/NAME.error what went wrong.
worker() {
	local dir=$1 name=$2 n=0 file sum answer to
	exec > /dev/null 2> "$work/$name.error"
	coproc sqlite3 -bail -cmd '.timeout 5000' "$dir/shop.db"
	to=${COPROC[1]}
	while ! [ -e "$work/$name.stop" ]; do
		file=$name-$((++n)).bin
		head -c 50000 /dev/urandom > "$dir/files/$file" || return
		sum=$(md5sum < "$dir/files/$file") || return
		echo "INSERT INTO orders VALUES ('$name', $n, '$file', '${sum%% *}'); SELECT $n;" \
			>&"$to" || return
		read -r answer <&"${COPROC[0]}" && [ "$answer" = $n ] || return
		echo $n >> "$work/$name.log"
		sleep 0.1
	done
	exec {to}>&-
	# shellcheck disable=SC2153 # coproc sets it
	wait "$COPROC_PID"
}

# rows_done NAME: how many rows it has committed
rows_done() {
	local lines=()
	[ ! -e "$work/$1.log" ] || mapfile -t lines < "$work/$1.log"
	echo ${#lines[@]}
}

# more_rows NAME N: waits for N more than now; the demo ends if they do not come.
more_rows() {
	local goal=$(($(rows_done "$1") + $2)) end=$((SECONDS + 60))
	until [ "$(rows_done "$1")" -ge $goal ]; do
		[ $SECONDS -lt $end ] || die "$1 does not get on: $(cat "$work/$1.error")"
		sleep 0.3
	done
}

rows() {
	sqlite3 -cmd '.timeout 5000' "$1/shop.db" 'SELECT count(*) FROM orders'
}

# scatter FILE BYTES STEP: a block of 4 KiB changed every STEP bytes.
scatter() {
	perl -e 'my ($file, $size, $step) = @ARGV;
		open(my $f, "+<", $file) or die "$file: $!\n";
		for (my $at = 0; $at < $size; $at += $step) {
			sysseek($f, $at, 0);
			syswrite($f, pack("NN", $at, rand 2**31) x 512) == 4096 or die "$file: $!\n";
		}' "$@" && sync -f "$1"
}

# checksums DIRECTORY FILE [REGEX]: of all files, but those that match, into FILE;
# as the disk has them. What is cached of that filesystem is dropped before. (To
# drop all caches would do, but then every program comes from the host again.)
# shellcheck disable=SC2016 # for perl
checksums='
	use Digest::MD5;
	use File::Find;
	my ($fadvise64, $dontneed, $blkflsbuf) = (221, 4, 0x1261);	# x86-64
	my ($dir, $but) = @ARGV;
	my ($device) = map { (split)[0] } grep { (split)[1] eq $dir } `cat /proc/mounts`;
	my @files;
	find({ no_chdir => 1, wanted => sub { push @files, $_ if -f } }, $dir);
	for (@files) {
		open my $file, "<", $_ or die "$_: $!\n";
		syscall($fadvise64, fileno($file), 0, 0, $dontneed) == 0 or die "fadvise: $!\n";
	}
	open my $disk, "<", $device or die "$device: $!\n";
	ioctl $disk, $blkflsbuf, 0 or die "$device: $!\n";
	@files = ();
	find({ no_chdir => 1, wanted => sub { push @files, $_ if -f } }, $dir);
	for (sort @files) {
		next if $but && /$but/;
		open my $file, "<:raw", $_ or die "$_: $!\n";
		print Digest::MD5->new->addfile($file)->hexdigest, "  .", substr($_, length $dir), "\n";
	}'
checksums() {
	sync -f "$1" && perl -e "$checksums" "$1" "${3:-}" > "$2"
}

# Every row has its file, and the file the checksum that the row says.
rows_match_files() {
	sqlite3 -separator '  ' "$1/shop.db" 'SELECT sum, file FROM orders' > "$work/rows" &&
		[ -s "$work/rows" ] && (cd "$1/files" && md5sum --quiet -c "$work/rows")
}

# equal A B: two lists of checksums are the same.
equal() {
	[ -s "$1" ] && diff "$1" "$2"
}

# kept A B: all that A lists, B lists too.
kept() {
	[ -s "$1" ] && [ -z "$(comm -23 <(sort "$1") <(sort "$2"))" ]
}

files() {
	find "$1" -type f -name "${2:-*}" | wc -l
}

# no_file DIRECTORY PATTERN
no_file() {
	[ "$(files "$1" "$2")" = 0 ]
}

mount_id() {
	findmnt -n -o ID "$1"
}

# held N: chunks of field N of the view's status in MiB, with one decimal
held() {
	local chunks
	chunks=$(status_field view "$1")
	awk -v n="${chunks%/*}" 'BEGIN { printf "%.1f MiB", n / 256 }'
}

# send MESSAGE: to the view, with the time that it takes in $took. An emulated
# machine is slow to start any program, so a message that does nothing is timed
# as well.
send() {
	local times=("$(now_ms)")
	must dmsetup message view 0 get_error
	times+=("$(now_ms)")
	show dmsetup message view 0 "$1"
	times+=("$(now_ms)")
	took="$((times[2] - times[1])) ms; a message that does nothing took $((times[1] - times[0])) ms"
}

# checkpoint LIST: what the primary's host and the standby do together. LIST
# gets the checksums of all files that the primary has at that moment.
checkpoint() {
	must fsfreeze -f $primary
	frozen=y
	send checkpoint
	must checksums $primary "$1"
	must fsfreeze -u $primary
	frozen=''
	say "That took $took. The primary's filesystem was frozen"
	say "for it, so that the checkpoint has a consistent state, and goes on."
}

#
# The end
#

finish() {
	local status=$?
	trap - EXIT
	[ -z "$frozen" ] || fsfreeze -u $primary
	touch "$work/primary.stop" "$work/standby.stop"
	no_jobs() { [ -z "$(jobs -rp)" ]; }
	wait_for 10 no_jobs
	{
		umount $primary
		nbd-client -d /dev/nbd0
		[ ! -s "$work/nbd.pid" ] || kill "$(cat "$work/nbd.pid")"
	} > /dev/null 2>&1
	(exit $status)
	cleanup
}
frozen='' steps=0
trap finish EXIT

echo "A live, writable standby of a disk that is in use. One virtual machine plays both hosts."

############################################################################
step "A disk in use is replicated"

# An emulated machine gets on better with one processor.
[ ! -e /sys/devices/system/cpu/cpu1/online ] || echo 0 > /sys/devices/system/cpu/cpu1/online

must ramdisks 3 $disk_mib
must modprobe nbd nbds_max=1
must modprobe ext4
must dm_delay disk /dev/ram2 0
must mkdir -p $primary $standby $bare

must mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0,nodiscard /dev/mapper/disk
must mount /dev/mapper/disk $bare
must mkdir $bare/files
must dd if=/dev/urandom of=$bare/ledger bs=1M count=8
must sqlite3 $bare/shop.db 'CREATE TABLE orders (host TEXT, n INT, file TEXT, sum TEXT)'
must umount $bare

say "The standby has a disk of $disk_mib MiB with ext4 and an SQLite database, and two empty disks"
say "of that size, called active and hidden. It makes two devices out of the three: the view, to"
say "work on, and the ingress, for what the primary writes."
table=$(secondary_table - /dev/ram0 /dev/ram1 /dev/mapper/disk 8)
view=/dev/mapper/view
show dmsetup create view --table "$table"
show dmsetup create ingress --table "0 $(sectors "$view") replication ingress $view"

cat > "$work/nbd.conf" <<-END
	[generic]
		listenaddr = 127.0.0.1
	[disk]
		exportname = /dev/mapper/ingress
		flush = true
		fua = true
	END
must nbd-server -C "$work/nbd.conf" -p "$work/nbd.pid"
must wait_for 20 test -s "$work/nbd.pid"
must wait_for 20 nbd-client -N disk 127.0.0.1 /dev/nbd0
must mount /dev/nbd0 $primary
worker $primary primary &
primary_pid=$!
more_rows primary 5

say "nbd-server exports the ingress. The primary has it as /dev/nbd0, has mounted it and works: one"
say "file and one row of the database after the other, $(rows_done primary) so far."
check "the primary's writes arrive on the standby's disk ($(held 6) of old content saved)" \
	[ "$(status_field view 6)" != "0/$((disk_mib * 256))" ]

############################################################################
step "Checkpoint: the standby's view moves to what the primary has written"

checkpoint "$work/first"
must mount /dev/mapper/view $standby
must checksums $standby "$work/view"
count=$(wc -l < "$work/first")
check "the mounted view has the $count files of the primary at that time, byte for byte" \
	equal "$work/first" "$work/view"
before=$(rows_done primary)
more_rows primary 5
must scatter $primary/ledger $ledger 65536
must checksums $standby "$work/view"
more=$(($(rows_done primary) - before))
check "the primary has gone on, $more files more, and the view shows none of that" \
	equal "$work/first" "$work/view"
check "the database in the view opens, and its $(rows $standby) rows match their files" \
	rows_match_files $standby

must dd if=/dev/urandom of=$standby/experiment bs=1M count=4
must sqlite3 $standby/shop.db "UPDATE orders SET sum = 'overwritten'"
must sync -f $standby
say "Somebody tries something out on the view: a new file, and all rows overwritten."
check "the view has its own $(held 5) now, and the primary sees nothing of it" \
	no_file $primary experiment

############################################################################
step "Another checkpoint: away with the experiment, and on to the present"

must umount $standby
checkpoint "$work/second"
must mount /dev/mapper/view $standby
must checksums $standby "$work/view"
count=$(wc -l < "$work/second")
check "the view has the $count files of the primary at this time, byte for byte" \
	equal "$work/second" "$work/view"
check "the experiment is gone" no_file $standby experiment
check "the rows are what they were, and match their files again" rows_match_files $standby

############################################################################
step "Failover: the standby takes over, while it works"

base_rows=$(rows $standby)
worker $standby standby &
standby_pid=$!
must dd if=/dev/urandom of=$standby/archive bs=1M count=4
must scatter $standby/ledger $((ledger / 4)) 16384
must scatter $primary/ledger $ledger 16384
more_rows standby 5
more_rows primary 3

# What is on the view and finished: it has to be there after the failover too.
standby_rows=$(rows_done standby)
must checksums $standby "$work/view" '/(shop\.db|standby-)'
# shellcheck disable=SC2046 # one word each
(cd $standby && md5sum $(seq -f './files/standby-%g.bin' "$standby_rows")) > "$work/files" ||
	die "cannot read the view"
sort -o "$work/before" "$work/view" "$work/files"
mounted=$(mount_id $standby)
event=$(dmsetup info -c --noheadings -o events view) || die "no event number"

say "A second process works on the view now. The primary has no idea and goes on; what it wrote"
say "since the checkpoint is to be rolled back. (The disk takes 80 ms a write from here on, as a"
say "slow one would, for otherwise there would be little to watch.)"
must dm_delay disk /dev/ram2 0 80
send failover
say "That took $took. The view's content is merged into the"
say "disk now, and stays in use:"

watched=0
show dmsetup status view
say "  (stage, checkpoint, sectors a chunk, chunks in active, in hidden, merged, metadata, error)"
while read -r _ _ _ _ stage _ _ _ _ merged _ < <(dmsetup status view) && [ "$stage" = failover ]; do
	row=$(rows_done standby)
	say "... merged ${merged%/*} of ${merged#*/} chunks; the view's process is at row $row"
	watched=$((watched + 1))
	sleep 1
done
show dmsetup status view
must dm_delay disk /dev/ram2 0
must dmsetup wait view "$event"
check "the merge was seen to go on" [ "$watched" -gt 0 ]
check "it has come to its end" [ "$stage" = "done" ]
check "the view is the same mount as before" [ "$(mount_id $standby)" = "$mounted" ]
more_rows standby 3
say "[ok] its process is still at work, at row $(rows_done standby) now"

show dmsetup status ingress
check "the old primary is fenced" [ "$(status_field ingress 3)" = fenced ]
primary_ended() { ! kill -0 $primary_pid 2> /dev/null; }
wait_for 60 primary_ended || die "not true: the old primary's process fails"
wait $primary_pid && die "not true: the old primary's process has failed"
say "[ok] its process has failed: $(sed -n 1p "$work/primary.error")"
refused "it writes zeroes over the beginning of its disk, and gets an error" \
	dd if=/dev/zero of=/dev/nbd0 bs=64k count=1 oflag=direct conv=fsync
refused "the ingress lets no read through either" \
	dd if=/dev/mapper/ingress of=/dev/null bs=4096 count=1 iflag=direct

############################################################################
step "The disk alone, without the module"

touch "$work/standby.stop"
wait $standby_pid || die "not true: the view's process never failed: $(cat "$work/standby.error")"
final_rows=$(rows $standby) own_rows=$(rows_done standby)
must checksums $standby "$work/view"
check "the view's process never saw an error; its $own_rows rows are all in the database" \
	[ "$final_rows" = $((base_rows + own_rows)) ]
check "all $(wc -l < "$work/before") files that were there before the failover are as they were" \
	kept "$work/before" "$work/view"
primary_files=$(grep -c /primary- "$work/second")
check "the old primary wrote $(rows_done primary) files, more than at the last checkpoint" \
	[ "$(rows_done primary)" -gt "$primary_files" ]
check "the view has the $primary_files of the checkpoint; the others are rolled back" \
	[ "$(files $standby 'primary-*')" = "$primary_files" ]

must umount $standby
umount $primary 2> /dev/null || die "umount $primary"
must nbd-client -d /dev/nbd0
must kill "$(cat "$work/nbd.pid")"
gone() { dmsetup remove "$1" 2> /dev/null; }
must wait_for 20 gone ingress
must wait_for 20 gone view
say "View, ingress and nbd-server are gone; this is the standby's disk by itself."

check "e2fsck finds nothing to repair" e2fsck -fn /dev/mapper/disk
must mount /dev/mapper/disk $bare
must checksums $bare "$work/disk"
check "its $(wc -l < "$work/disk") files are those of the view, byte for byte" \
	equal "$work/view" "$work/disk"
check "the integrity check of the database says ok" \
	[ "$(sqlite3 $bare/shop.db 'PRAGMA integrity_check')" = ok ]
check "it has $final_rows rows, as the view had" [ "$(rows $bare)" = "$final_rows" ]
check "all of them match their files" rows_match_files $bare
must umount $bare
must dmsetup remove disk

echo
echo "All of that is true, and took $SECONDS s: a standby that is mounted and in use while its disk"
echo "follows the primary, and that takes over without an interruption."
