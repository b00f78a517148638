# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A database on the primary host, its standby on the secondary host, and what happens
# to hosts and networks. A test sets transport, and this is the whole of it.

. tests/hosts/lib.sh

# How long a replica may take to answer: usually so long that a busy machine does not
# matter; and where it is not going to answer.
usual=$((30 * patience)) short=$((3 * patience))
mib=80 region=128	# of 512 bytes
regions=$((mib * 2048 / region))

status_of() {
	on "$1" dmsetup status "$2" | cut -d ' ' -f 3-
}

# acknowledged: the rows that the database has acknowledged since the primary's boot
acknowledged() {
	cat "${share[primary]}/acknowledged" 2> /dev/null
}

# goes_on N: the database acknowledges so many rows more.
goes_on() {
	local goal=$(($(acknowledged | wc -l) + $1)) end=$((SECONDS + 60 * patience))
	until [ "$(acknowledged | wc -l)" -ge $goal ]; do
		[ $SECONDS -lt $end ] || return 1
		read -r -t 0.1 _ <&"$never" || :
	done
}

freeze() {
	on primary fsfreeze -f /mnt
}

thaw() {
	on primary fsfreeze -u /mnt
}

# legs_equal: the files of the two disks are. The primary's filesystem is frozen, or
# not mounted.
legs_equal() {
	on primary wait_for 60 sync_is primary insync &&
		on primary message primary checkpoint &&
		cmp "$(disk_of primary disk)" "$(disk_of secondary disk)"
}

# checkpoint: of both hosts. What the disk holds then is kept in $scratch/checkpoint,
# and the number of the last row that must be in it in $row.
checkpoint() {
	freeze && legs_equal || return
	row=$(acknowledged | tail -n 1)
	on secondary message view checkpoint &&
		cp --sparse=always "$(disk_of primary disk)" "$scratch/checkpoint" && thaw
}

view_is_checkpoint() {
	local sum
	sum=$(on secondary eval 'dd if=/dev/mapper/view bs=1M iflag=direct status=none | md5sum')
	[ "$sum" = "$(md5sum < "$scratch/checkpoint")" ]
}

now_ms() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

# timed COMMAND...: leaves the milliseconds that it takes in $took.
timed() {
	local begin status
	begin=$(now_ms)
	"$@"
	status=$?
	took=$(($(now_ms) - begin))
	return $status
}

# as_postgres COMMAND...: who is root here, is postgres there.
as_postgres() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid postgres --regid postgres --clear-groups "$@"
	else
		"$@"
	fi
}

# database DIRECTORY: makes one, which takes a second here and half a minute in an
# emulated VM.
database() {
	local bin
	bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
	[ "$(id -u)" != 0 ] || chown postgres "$1" || return
	as_postgres "$bin/initdb" -D "$1" -U postgres -A trust -k --wal-segsize=1 --no-sync \
		--locale=C.UTF-8 -E UTF8 || return
	cat >> "$1/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '/run/pg'
		shared_buffers = 16MB
		max_connections = 10
		min_wal_size = 2MB
		max_wal_size = 4MB
		autovacuum = off
		jit = off
	END
	as_postgres "$bin/pg_ctl" -D "$1" -s -w -l "$1/log" -o "-k $1 -F" start || return
	"$bin/pgbench" -h "$1" -U postgres -q -i -s 1 postgres &&
		"$bin/psql" -h "$1" -U postgres -c "CREATE TABLE ledger (n int PRIMARY KEY)"
	local status=$?
	as_postgres "$bin/pg_ctl" -D "$1" -s -w -m fast stop && return $status
}

# The disks: those of the primary and of its standby have the same.
prepare() {
	local disk tree=$scratch/tree
	chmod 755 "$scratch"
	mkdir -p "$tree/pg" && (cd / && database "$tree/pg") || return
	for disk in active hidden; do
		truncate -s ${mib}M "$(disk_of secondary $disk)"
	done
	truncate -s 1M "$(disk_of primary meta)" "$(disk_of secondary meta)"
	mkfs.ext4 -q -d "$tree" -J size=4 "$(disk_of primary disk)" ${mib}M &&
		cp --sparse=always "$(disk_of primary disk)" "$(disk_of secondary disk)"
}

# step DESCRIPTION: each builds on what was before, and there is none after a failure.
began=$(now_ms)
step() {
	[ $failures -eq 0 ] || exit
	diag "$(printf '%5.1f s: %s' "$((($(now_ms) - began) / 100))e-1" "$*")"
}

ok "a filesystem with a database" prepare || exit
boot secondary
boot primary
ok "the secondary host" on secondary secondary_up || exit
ok "the primary host, with a copy of the same disk" \
	on primary primary_up $region $usual insync || exit
is "$(status_of primary primary)" "replication primary running insync 0/$regions rw -" "in sync"
step "up"
ok "the database starts" on primary database_start /dev/mapper/primary
step "checkpoints"
on primary load
for _ in 1 2; do
	ok "the database works" goes_on 10
	ok "a checkpoint of both hosts" checkpoint
	ok "the database goes on" goes_on 10
	ok "the view is the checkpoint" view_is_checkpoint
done

step "the network is cut"
ok "a short timeout" on primary primary_timeout $short
on secondary ip link set eth0 down
timed on primary wait_for 60 sync_is primary degraded
ok "the primary is degraded: $took ms" [ $took -lt $((2 * usual * 1000 / 3)) ]
ok "the database goes on" goes_on 20
fails "a checkpoint is refused" on primary message primary checkpoint
freeze
status=$(status_of primary primary)
like "$status" "degraded [0-9]+/$regions rw replica-io" "the primary's status"
dirty=$(on primary dirty primary)
fails "the disks differ" cmp "$(disk_of primary disk)" "$(disk_of secondary disk)"
ok "the view is the checkpoint" view_is_checkpoint
before=$(on secondary kib_written /dev/mapper/in)
on secondary export_again
on secondary ip link set eth0 up
ok "the replica is there again" on primary reimport $usual
ok "the legs are equal" legs_equal
copied=$(($(on secondary kib_written /dev/mapper/in) - before))
diag "$dirty of $regions regions were dirty, $((dirty * region / 2)) KiB; written for them: $copied KiB"
ok "only these were copied" \
	[ $copied -ge $((dirty * region / 2)) -a $copied -le $((dirty * region / 2 + 1024)) -a \
	$copied -lt $((mib * 512)) ]
thaw
ok "a checkpoint of both hosts" checkpoint

step "the secondary host dies"
ok "the database works" goes_on 10
ok "a short timeout" on primary primary_timeout $short
ok "it is killed" crash secondary
timed on primary wait_for 60 sync_is primary degraded
ok "the primary is degraded: $took ms" [ $took -lt $((2 * usual * 1000 / 3)) ]
ok "the database goes on" goes_on 20
boot secondary
ok "it comes back" on secondary secondary_up
like "$(status_of secondary view)" "secondary running 4 8 .* rw -" "with the epoch that it had"
ok "and with the view: it is the checkpoint" view_is_checkpoint
ok "the replica is there again" on primary reimport $usual
ok "in sync, with the database at work" on primary wait_for 60 sync_is primary insync
copied=$(on secondary kib_written /dev/mapper/in)
ok "not all of the disk was written for it, but $copied KiB" [ "$copied" -lt $((mib * 512)) ]
freeze
ok "the legs are equal" legs_equal
thaw
ok "a checkpoint of both hosts" checkpoint

step "the primary host dies, and comes back"
on primary burst
ok "the database works" goes_on 10
ok "it is killed" crash primary
row=$(acknowledged | tail -n 1)
diag "$(cmp -l "$(disk_of primary disk)" "$(disk_of secondary disk)" | wc -l) bytes differ"
boot primary
ok "it comes back" on primary primary_up $region $usual
ok "the legs are equal after a resync" legs_equal
dirty=$(on primary dm_log | sed -n 's/.*resync, was .*; \([0-9]*\) of .*/\1/p')
ok "of what may have been in flight, ${dirty:=$regions} of $regions regions" \
	[ "$dirty" -lt $((regions / 2)) ]
ok "the database starts" on primary database_start /dev/mapper/primary
ok "all $row rows that it had acknowledged are there" \
	on primary eval "[ \"\$(sql \"SELECT count(*) FROM ledger WHERE n <= $row\")\" = $row ]"
ok "what pgbench adds up is right" on primary pgbench_check

step "the primary host dies, and the secondary takes over"
on primary load
ok "the database works" goes_on 10
ok "a checkpoint of both hosts" checkpoint
ok "the database goes on" goes_on 10
late=$(acknowledged | tail -n 1)
ok "it is killed" crash primary
ok "failover" on secondary message view failover
ok "it ends" on secondary wait_for 60 stage_is view "done"
ok "the disk is what it was at the checkpoint" \
	cmp "$scratch/checkpoint" "$(disk_of secondary disk)"
ok "the database starts" on secondary database_start /dev/mapper/view
ok "all $row rows acknowledged before the checkpoint are there" \
	on secondary eval "[ \"\$(sql \"SELECT count(*) FROM ledger WHERE n <= $row\")\" = $row ]"
ok "and none of the $((late - row)) later ones but what was under way" \
	on secondary eval "[ \"\$(sql 'SELECT max(n) FROM ledger')\" -le $((row + 1)) ]"
ok "what pgbench adds up is right" on secondary pgbench_check
ok "pg_amcheck" on secondary pg_amcheck --heapallindexed --install-missing postgres
ok "it works" on secondary pgbench -n -c 1 -t 10
ok "the secondary host goes down, and has nothing to complain about" shut_down secondary
step "the end"
done_testing
