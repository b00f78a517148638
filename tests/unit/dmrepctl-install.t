#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What belongs to dmrepctl beside the program: the man page has every command and
# option, the completion knows them, and make installs all of it where it is told to.

. tests/tap.sh
. tests/unit/dmrepctl/build.sh

command -v rst2man > /dev/null || skip_all "there is no rst2man"
root=$scratch/root

# Succeeds and says nothing.
clean() {
	capture "$@" && [ -z "$output" ]
}

install_tools() {
	make -s tools_install DESTDIR="$root" prefix=/usr DMREPCTL="$scratch/tool/dmrepctl" \
		DMREPCTL_BUILD="$scratch/tool" CFLAGS="${sanitizers[*]}"
}
ok "it is built" build_tool "$scratch/tool" || exit
ok "it is installed" install_tools || exit
is "$(cd "$root" && find . -type f | sort)" "\
./usr/lib/systemd/system/dmrepctl@.service
./usr/lib/udev/rules.d/11-dm-replication.rules
./usr/lib/udev/rules.d/62-dm-replication.rules
./usr/sbin/dmrepctl
./usr/share/bash-completion/completions/dmrepctl
./usr/share/dmrepctl/status.schema.json
./usr/share/man/man5/dmrepctl.conf.5
./usr/share/man/man8/dmrepctl.8" "what there is"
PATH=$root/usr/sbin:$PATH

diag "the man pages"
for page in "8 dmrepctl \- manage devices of dm-replication" \
	"5 dmrepctl.conf \- devices of dm-replication, to be set up"; do
	file=$root/usr/share/man/man${page%% *}/$(cut -d ' ' -f 2 <<< "$page").${page%% *}
	is "$(sed -n '/^\.SH NAME/{n;p}' "$file")" "${page#* }" "it has a name"
	command -v man > /dev/null || continue
	man --warnings -E UTF-8 -l -Tutf8 -Z "$file" > /dev/null 2> "$scratch/warnings"
	# Where two columns are narrow, lines cannot be of the same length.
	is "$(grep -v 'cannot adjust' "$scratch/warnings")" "" "man has nothing to say about it"
done

diag "the unit and the rules"
unit=usr/lib/systemd/system/dmrepctl@.service
is "$(sed -n 's/^Exec//p' "$root/$unit" | tr '\n' ' ')" \
	"Start=/usr/sbin/dmrepctl up %i Stop=/usr/sbin/dmrepctl down %i " "the unit runs what is installed"
is "$(sed -n '/^Restart/p; /^StartLimit/p' "$root/$unit" | tr '\n' ' ')" \
	"StartLimitIntervalSec=1h StartLimitBurst=60 Restart=on-failure RestartSec=10 RestartPreventExitStatus=2 3 " \
	"it tries again what may come, and not what was refused"
is "$(sed -n '/^Timeout/p' "$root/$unit")" "TimeoutStopSec=infinity" "it waits for a merge, however long"
if command -v systemd-analyze > /dev/null; then
	# It looks whether the program is there.
	sed "s:=/usr:=$root/usr:" "$root/$unit" > "$scratch/dmrepctl@.service"
	ok "systemd has nothing to say about it" clean systemd-analyze verify --man=no \
		"$scratch/dmrepctl@.service"
fi
if udevadm verify --help > /dev/null 2>&1; then
	ok "udev has nothing to say about the rules" udevadm verify \
		"$root/usr/lib/udev/rules.d/11-dm-replication.rules" \
		"$root/usr/lib/udev/rules.d/62-dm-replication.rules"
fi
prefix=$(grep -h -o 'UUID_PREFIX.*"' tools/dmrepctl/device.h | cut -d '"' -f 2)
ok "the rules know our UUIDs" grep -q "\"$prefix\*\"" \
	"$root/usr/lib/udev/rules.d/11-dm-replication.rules"

# Of the table in the help; some are of two words.
mapfile -t commands < <(dmrepctl help | sed -nE 's/^  ([a-z][a-z -]*[a-z])( [][A-Z.]+)*  +.*/\1/p')
ok "commands" [ ${#commands[@]} -gt 10 ]
source=Documentation/dmrepctl.8.rst
for name in "${commands[@]}"; do
	# shellcheck disable=SC2086 # one or two words
	options=$(dmrepctl help $name | sed -nE 's/^ +(-., )?(--[a-z-]+) .*/\2/p')
	missing=''
	grep -q -- "\*\*$name\*\*" $source || missing=" itself"
	for option in $options; do
		grep -qE -- "(^  |, |\*\*)$option( |\*|$)" $source || missing+=" $option"
	done
	is "$missing" "" "$name"
done
dmrepctl status -o help | awk '{ print $1 }' > "$scratch/fields"
# Of the options of create, in the file's page; two are about one call.
for kind in secondary primary; do
	missing=''
	for key in $(dmrepctl help create $kind | sed -nE 's/^ +(-., )?--([a-z-]+) .*/\2/p' | tr - _); do
		[[ $key = dry_run || $key = insync ]] || grep -qE "^([a-z_]+, )*$key(, [a-z_]+)*\$" \
			Documentation/dmrepctl.conf.5.rst || missing+=" $key"
	done
	is "$missing" "" "keys of a $kind"
done
ok "fields" [ "$(wc -l < "$scratch/fields")" -gt 20 ]
is "$(python3 -c "
import json
print(*json.load(open('$root/usr/share/dmrepctl/status.schema.json'))['\$defs']['device']['properties'])
" | tr ' ' '\n')" "$(< "$scratch/fields")" "the schema has them"

diag "completion"
# completes WORD... EXPECTED: the last word, with what may be there
completes() {
	local COMP_WORDS=(dmrepctl "${@:1:$# - 1}") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_dmrepctl
	is "${COMPREPLY[*]}" "${*: -1}" "dmrepctl ${*:1:$# - 1}"
}
# shellcheck source=tools/dmrepctl/completion.bash
. "$root/usr/share/bash-completion/completions/dmrepctl"
completes "" "$(printf '%s\n' "${commands[@]%% *}" | sort -u | tr '\n' ' ' | sed 's/ $//')"
completes che "check checkpoint"
completes create "" "ingress primary secondary"
completes create s secondary
completes create secondary --a --active
completes create ingress --t --top
completes swap-replica -- "--insync --no-wait --force"
completes failover -- "--yes --no-wait"
completes status --reportformat "" "basic json"
completes status -O act "active active_chunks"
completes help fail failover
completes status -o act "active active_chunks"
completes list -o name,act "name,active name,active_chunks"
completes status -o +to "+total_chunks +to_merge +to_merge_chunks +top +total_regions"
completes status --sort name,-dirty "name,-dirty_regions"
completes status --options = "" "$(tr '\n' ' ' < "$scratch/fields" | sed 's/ $//')"
completes status --options = act "active active_chunks"
completes status -S "" ""
completes frobnicate "" ""
: > "$scratch/some file"
completes check "$scratch/some" "$scratch/some file"
completes swap-replica x "$scratch/some" "$scratch/some file"
completes up --config "$scratch/some" "$scratch/some file"
completes up -- "--config --dry-run"
completes create secondary x --active "$scratch/some" "$scratch/some file"
completes create secondary x --active = "$scratch/some" "$scratch/some file"
for letter in s a H m; do
	completes create secondary x -$letter "$scratch/some" "$scratch/some file"
done
for letter in l r m; do
	completes create primary x -$letter "$scratch/some" "$scratch/some file"
done
completes create secondary x -f --h --hidden
completes metrics -o "$scratch/some" "$scratch/some file"

done_testing
