#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tests/deps installs what is missing, and nothing else, and waits for another apt. No
# package is installed here: apt-get, dpkg-query and sudo are made up.

. tests/tap.sh

mkdir "$scratch/bin"
export PATH=$scratch/bin:$PATH SCRATCH=$scratch DEPS_INTERVAL=0

# program NAME: a script that is found first
program() {
	{ echo '#!/bin/sh'; cat; } > "$scratch/bin/$1"
	chmod +x "$scratch/bin/$1"
}

# All are installed but those in the file missing.
program dpkg-query <<'END'
for package; do :; done
grep -qx -e "$package" "$SCRATCH/missing" || echo installed
END
program sudo <<'END'
exec "$@"
END
# It fails as often as the file busy has lines, with the next of them.
program apt-get <<'END'
printf '%s\n' "$*" >> "$SCRATCH/calls"
[ ! -s "$SCRATCH/busy" ] && exit 0
head -n 1 "$SCRATCH/busy" >&2
sed -i 1d "$SCRATCH/busy"
exit 100
END

# deps STATUS CALLS GROUP: what apt-get is asked for
deps() {
	: > "$scratch/calls"
	capture tests/deps "${@:3}"
	is "$?" "$1" "tests/deps ${*:3}"
	is "$(sed 's/.*-o [^ ]* //' "$scratch/calls" | tr '\n' ' ')" "$2" "apt-get is asked for ${2:-nothing}"
}

: > "$scratch/busy"
: > "$scratch/missing"
deps 0 "" build check
printf '%s\n' bc flex > "$scratch/missing"
deps 0 "" build
deps 0 "update install --no-install-recommends bc flex " debug
ok "it waits for dpkg's lock" grep -q -- "-o DPkg::Lock::Timeout=[0-9]* install" "$scratch/calls"

diag "another apt is at work"
cat > "$scratch/busy" <<'END'
E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1234 (apt-get)
E: Unable to lock directory /var/lib/apt/lists/
END
deps 0 "update update update install --no-install-recommends bc flex " debug
like "$output" "Waiting for another apt to end" "and it says so"

diag "what cannot be had"
echo "E: Unable to locate package bc" > "$scratch/busy"
deps 1 "update " debug
like "$output" "Unable to locate package bc" "and it says so"
deps 1 "" nothing
done_testing
[ $failures -eq 0 ]
