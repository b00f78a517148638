# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts share that build and test for kernels other than the installed
# ones. Such a kernel is a directory with boot/ and lib/modules/ in it, as
# tests/vm/run --kernels takes it.

# Kernels are kept outside the tree, so that every checkout has them.
# shellcheck disable=SC2034 # for who sources this
cache=${DM_REPL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dm-replication}

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# stage_sources DIR: the module's sources, as they are now, in a directory of
# their own, for kbuild leaves its objects beside them.
stage_sources() {
	local file
	mkdir -p "$1/dm-replication" || return
	cp -u --preserve=timestamps Kbuild "$1" || return
	sources | while read -r file; do
		mkdir -p "$1/$(dirname "$file")" &&
			cp -u --preserve=timestamps "$file" "$1/$file"
	done
	# What has been renamed or removed since.
	(cd "$1" && sources) | while read -r file; do
		[ -e "$file" ] || rm "$1/$file"
	done
}

# The module's sources in the tree: all but what kbuild makes.
sources() {
	find dm-replication -type f \( -name '*.[ch]' -o -name '*.awk' -o -name 'Kbuild*' \) \
		! -name '*.mod.c' ! -name compat-probed.h
}
