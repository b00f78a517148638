# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the two parts of the demonstration share. They are scripts for the VM that
# tests/demo/run starts.
#
# Everything that is said in them is checked, and the first thing that is not true ends
# the demonstration with a status that is not zero.

# shellcheck disable=SC2317,SC2034 # functions that wait_for calls; for the two parts
. tests/lib.sh
PATH=$PWD/tools/dmrepctl:$PWD/tests/crash:$PATH

primary=/data standby=/mnt bare=$scratch/disk
ledger=$((8 << 20))		# bytes of a file
work=/run/harness		# the host's: it stays when the power fails
view=/dev/mapper/view data=/dev/mapper/data
columns=96

#
# What is said
#

step() {
	gap
	printf '%d. %s\n' $((++steps)) "$*"
	gapped=''
	gap
}

# An empty line, unless there is one.
gap() {
	[ -n "$gapped" ] || echo
	gapped=y
}

# say TEXT...: a paragraph
say() {
	gap
	fold -s -w $((columns - 3)) <<< "$*" | sed 's/^/   /; s/ *$//'
	gapped=''
	gap
}

die() {
	printf '\nTHE DEMO FAILED: %s\n' "$*"
	exit 1
}

# must COMMAND...: succeeds, or the demo ends and shows what the command said.
must() {
	"$@" > "$scratch/said" 2>&1 && return
	cat "$scratch/said"
	die "$*"
}

# wrapped PROMPT TEXT: a command, over several lines if need be
wrapped() {
	fold -s -w 82 <<< "$2" | sed "1s:^:   $1 :; 2,\$s:^:   ${1//?/ }   :; \$!s: *\$: \\\\:"
}

# announce HOST DMSETUP COMMAND...: what the reader should see, and, if there is something
# and it has not been said before, the command of dmsetup that does the same
announce() {
	local line="$1# ${*:3}" also=$2
	gapped=''
	if [ -z "$also" ] || [ -n "$brief" ]; then
		wrapped "$1#" "${*:3}"
	elif [ $((${#line} + ${#also} + 8)) -le $columns ]; then
		printf '   %-42s # %s\n' "$line" "$also"
	else
		wrapped "$1#" "${*:3}"
		wrapped "       #" "$also"
	fi
}

# show HOST DMSETUP COMMAND...: announces it, runs it, and shows what it says.
show() {
	announce "$@"
	"${@:3}" > "$scratch/said" 2>&1 || { cat "$scratch/said"; die "${*:3}"; }
	sed 's/^/      /' "$scratch/said"
}

# create HOST MODE NAME OPTION...: dmrepctl itself says what the table is.
create() {
	local table
	table=$(dmrepctl create "${@:2}" --dry-run) || die "dmrepctl create ${*:2} --dry-run"
	show "$1" "dmsetup create $3 --table \"$table\"" dmrepctl create "${@:2}"
}

# check CLAIM COMMAND...: prints the claim if the command succeeds.
check() {
	local claim=$1
	shift
	"$@" > "$scratch/said" 2>&1 || { cat "$scratch/said"; die "not true: $claim ($*)"; }
	fold -s -w $((columns - 8)) <<< "$claim" | sed '1s/^/   [ok] /; 2,$s/^/        /; s/ *$//'
	gapped=''
}

# gives STATUS COMMAND...: the command has that status.
gives() {
	local status
	"${@:2}"
	status=$?
	[ "$status" = "$1" ]
}

# fails_with TEXT COMMAND...: it fails, and says that.
fails_with() {
	! "${@:2}" > "$scratch/failed" 2>&1 && grep -F -e "$1" "$scratch/failed"
}

#
# What works on the two hosts
#

# worker DIRECTORY NAME: writes files and rows, each row with the checksum of its file,
# until $scratch/NAME.stop is there or something fails. $work/NAME.log gets a line when a
# row is committed, and its file durable; $scratch/NAME.error what went wrong.
worker() {
	local dir=$1 name=$2 n file sum answer to
	n=$(rows_done "$name")
	exec > /dev/null 2> "$scratch/$name.error"
	coproc sqlite3 -bail -cmd '.timeout 5000' "$dir/shop.db"
	to=${COPROC[1]}
	echo "PRAGMA synchronous = EXTRA;" >&"$to"
	while ! [ -e "$scratch/$name.stop" ]; do
		file=$name-$((++n)).bin
		dd if=/dev/urandom of="$dir/files/$file" bs=50000 count=1 conv=fsync status=none ||
			return
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

declare -A working
work_begins() {
	rm -f "$scratch/$2.stop"
	worker "$1" "$2" &
	working[$2]=$!
}

# work_ends NAME: fails if the worker did, at any time.
work_ends() {
	touch "$scratch/$1.stop"
	wait "${working[$1]}" || { cat "$scratch/$1.error"; return 1; }
}

# rows_done NAME: how many rows it has committed
rows_done() {
	local lines=()
	[ ! -e "$work/$1.log" ] || mapfile -t lines < "$work/$1.log"
	echo ${#lines[@]}
}

# more_rows NAME N: waits for N more than now; the demo ends if they do not come.
more_rows() {
	local goal=$(($(rows_done "$1") + $2)) end=$((SECONDS + 120 * REPL_PATIENCE))
	until [ "$(rows_done "$1")" -ge $goal ]; do
		[ $SECONDS -lt $end ] || die "$1 does not get on: $(cat "$scratch/$1.error")"
		sleep 0.3
	done
}

# rows DIRECTORY [NAME]: how many there are in the database, of that worker or in all
rows() {
	sqlite3 -cmd '.timeout 5000' "$1/shop.db" \
		"SELECT count(*) FROM orders WHERE host LIKE '${2:-%}'"
}

# rows_kept DIRECTORY NAME: all that were committed are there. So may be one that was just
# not said to be.
rows_kept() {
	local n
	n=$(rows "$1" "$2")
	[ "$n" -eq "$(rows_done "$2")" ] || {
		[ "$n" -eq $(($(rows_done "$2") + 1)) ] && echo "$n" >> "$work/$2.log"
	}
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
	sqlite3 -separator '  ' "$1/shop.db" 'SELECT sum, file FROM orders' > "$scratch/rows" &&
		[ -s "$scratch/rows" ] && (cd "$1/files" && md5sum --quiet -c "$scratch/rows")
}

# same A B: two lists of checksums are.
same() {
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

now_ms() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

# kib_written DEVICE: since it was made
kib_written() {
	awk '{ print $7 / 2 }' "/sys/block/${1#/dev/}/stat"
}

#
# The two hosts
#

# What both need before anything else.
boot() {
	local disk
	must modprobe -a virtio_blk ext4
	must modprobe nbd nbds_max=2
	must wait_for 20 [ -b /dev/vdf ]
	must mkdir -p /dev/standby /dev/primary $primary $standby "$bare"
	for disk in vda:standby/metadata vdb:standby/active vdc:standby/hidden \
		vde:primary/metadata vdf:primary/disk; do
		must ln -s "/dev/${disk%:*}" "/dev/${disk#*:}"
	done
	# As quick as the disk itself, until there is something to watch.
	must dm_delay disk /dev/vdd 0
	must ln -s /dev/mapper/disk /dev/standby/disk
	mib=$(($(sectors /dev/vdd) / 2048))
	cat > /run/nbd.conf <<-END
		[generic]
			listenaddr = 127.0.0.1
		[disk]
			exportname = /dev/mapper/ingress
			flush = true
			fua = true
			trim = true
	END
}

# The same commands, whatever was before.
standby_up() {
	create standby secondary view --secondary /dev/standby/disk --active /dev/standby/active \
		--hidden /dev/standby/hidden --metadata /dev/standby/metadata
	create standby ingress ingress --top view
	show standby "" sysctl -q vm.dirty_bytes=268435456 vm.dirty_background_bytes=67108864
	show standby "" nbd-server -C /run/nbd.conf -p /run/nbd.pid
}

# connect DEVICE: the primary has the ingress as that disk. (nbd-server begins with a
# search for prime numbers, though it has no use for them here.)
connect() {
	must wait_for 120 test -s /run/nbd.pid
	announce primary "" nbd-client -N disk standby "$1"
	must wait_for 20 nbd-client -N disk 127.0.0.1 "$1"
}

# disconnect DEVICE: as if one of the hosts had gone. Nothing that was sent before comes
# after this.
disconnect() {
	local pids
	pids=$(pgrep -P "$(cat /run/nbd.pid)") || die "nbd-server has no connection"
	# shellcheck disable=SC2086 # words
	must kill -KILL $pids
	# shellcheck disable=SC2086
	must wait_for 20 gone $pids
	must nbd-client -d "$1"
}

gone() {
	! kill -0 "$@" 2> /dev/null
}

# The same two commands, too.
primary_up() {
	connect /dev/nbd0
	create primary primary data --local /dev/primary/disk --replica /dev/nbd0 \
		--metadata /dev/primary/metadata --region-size 64K --replica-timeout 300
}

# checkpoint LIST: what the two hosts do together. LIST gets the checksums of all files
# that the primary has at that moment, and LIST.rows how many rows were acknowledged.
checkpoint() {
	show primary "" fsfreeze -f $primary
	frozen=y
	show primary "dmsetup message data 0 checkpoint" dmrepctl checkpoint data
	show standby "dmsetup message view 0 checkpoint" dmrepctl checkpoint view
	rows_done primary > "$1.rows"
	must checksums $primary "$1"
	show primary "" fsfreeze -u $primary
	frozen=''
}

#
# The end
#

finish() {
	local status=$?
	trap - EXIT
	[ -z "$frozen" ] || fsfreeze -u $primary
	touch "$scratch/primary.stop" "$scratch/standby.stop"
	no_jobs() { [ -z "$(jobs -rp)" ]; }
	wait_for 10 no_jobs
	{
		umount $primary
		dmsetup remove data
		nbd-client -d /dev/nbd0
		nbd-client -d /dev/nbd1
		[ ! -s /run/nbd.pid ] || kill "$(cat /run/nbd.pid)"
	} > /dev/null 2>&1
	(exit $status)
	cleanup
}
frozen='' brief='' gapped='' steps=0
trap finish EXIT
