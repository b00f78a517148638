#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What can be said about the sources without running them; make lint runs this
# alone. Each check is a test, and what it found follows as diagnostics.

. tests/tap.sh
. tests/kernels/lib.sh

[ -e .git ] || skip_all "no git repository: what belongs to it is not known"
: "${KDIR:=$(printf '%s\n' /lib/modules/*/build | sort -V | tail -n 1)}"
jobs=$(nproc)

# clean DESCRIPTION COMMAND...: the command succeeds and has nothing to say.
clean() {
	if capture "${@:2}" && [ -z "$output" ]; then
		pass "$1"
	else
		fail "$1"
		diag "${output:-"failed: ${*:2}"}"
	fi
}

#
# The files: what git has, and what it would get.
#
mapfile -t files < <(git ls-files -co --exclude-standard | while read -r file; do
	[ ! -f "$file" ] || echo "$file"
done)

# that_match REGEX: those with such a name
that_match() {
	printf '%s\n' "${files[@]}" | grep -E "$1"
}

mapfile -t module < <(that_match '^dm-replication/.*\.[ch]$')
mapfile -t kbuild < <(that_match '(^|/)Kbuild[^/]*$')
mapfile -t programs < <(that_match '^(tests|tools)/.*\.[ch]$')
mapfile -t documents < <(that_match '\.(rst|md)$')
# Few scripts have an extension.
mapfile -t scripts < <(awk 'FNR > 2 { nextfile }
	/^#!.*\/(env )?(ba|da)?sh( |$)/ || /^# shellcheck shell=/ { print FILENAME }' "${files[@]}")
mapfile -t python < <(awk 'FNR > 1 { nextfile }
	/^#!.*\/python3/ || FILENAME ~ /\.py$/ { print FILENAME }' "${files[@]}")

#
# The kernel's own tools are in no package but its source's, where it takes a
# while to find them.
#
tools=$cache/kernel-scripts-$(dpkg-query -W -f '${Version}' linux-source-6.1)
if [ ! -d "$tools" ]; then
	mkdir -p "$cache" || exit
	unpacked=$(mktemp -d "$tools.XXXXXX") || exit
	tar -xJf /usr/src/linux-source-6.1.tar.xz -C "$unpacked" --strip-components=2 \
		linux-source-6.1/scripts/{checkpatch.pl,spelling.txt,const_structs.checkpatch} \
		linux-source-6.1/scripts/{kernel-doc,coccinelle} || exit
	# Somebody else may have been faster.
	mv -T "$unpacked" "$tools" 2> /dev/null || rm -rf "$unpacked"
fi

#
# The checks
#
checkpatch() {
	perl "$tools/checkpatch.pl" --no-tree --strict --terse --quiet --no-summary --show-types "$@"
}

# The tool and the test programs are not the kernel's: its macros are not there
# (PREFER_DEFINED_ATTRIBUTE_MACRO, PREFER_FALLTHROUGH, BIT_MACRO), ENOSYS is what
# a system call may well return, messages have words in them that are functions'
# names too (EMBEDDED_FUNCTION_NAME), and are not split (LONG_LINE_STRING).
userspace=PREFER_DEFINED_ATTRIBUTE_MACRO,PREFER_FALLTHROUGH,BIT_MACRO
userspace+=,ENOSYS,EMBEDDED_FUNCTION_NAME,LONG_LINE_STRING

# In a copy, for the objects of the tree are in use. All of it is compiled, even
# if there is nothing new, so that the compiler's warnings come every time too.
sparse() {
	local status
	stage_sources "$scratch/module" || return
	make -s -j "$jobs" -C "$KDIR" M="$scratch/module" C=2 CF=-D__CHECK_ENDIAN__ W=1 modules \
		> "$scratch/make" 2>&1
	status=$?
	sed -i "s:$scratch/module/::" "$scratch/make"
	if [ $status -ne 0 ]; then
		cat "$scratch/make"
	else
		! grep -E 'warning:|error:' "$scratch/make"
	fi
}

# semantic_patch FILE: prints what it reports. Its options are in a comment of it.
semantic_patch() {
	local log
	log=$scratch/$(basename "$1")
	# shellcheck disable=SC2046 # one word each
	spatch --very-quiet --no-show-diff -D report --cocci-file "$1" \
		$(sed -n 's,^// Options:,,p' "$1") "${module[@]}" 2> "$log" ||
		cat "$log"
}

# All of the kernel's but two that need a compiler for OCaml: badzero, for sparse
# finds a 0 that should be NULL, and check_bq27xxx_data, which is for one driver.
coccinelle() {
	local file
	while read -r file; do
		[ "$(jobs -rp | wc -l)" -lt "$jobs" ] || wait -n
		semantic_patch "$file" &
	done < <(grep -rL --include='*.cocci' ':ocaml@' "$tools/coccinelle")
	wait
}

restructured_text() {
	local file
	for file; do
		[[ $file != *.rst ]] ||
			rst2html --report=1 --halt=5 --exit-status=1 "$file" "$scratch/html"
	done
}

# What documents link to, and what they call by its path in the tree, is there, or
# is made by make. A path may be a pattern.
references() {
	local file line path
	grep -HnoP '\]\(\K[^):]+(?=\))|(?<![\w/])(Documentation|dm-replication|tests|tools)/[][\w./*-]*[\w/*]' "$@" |
		while IFS=: read -r file line path; do
			compgen -G "$path" > /dev/null || git check-ignore -q "$path" ||
				echo "$file:$line: there is no $path"
		done
}

# Not in text that is not ours, that readers see as it is, or that has no comments.
no_comments='^COPYING$|\.(md|json)$|^debian/(changelog|copyright|source/format)$'
licences() {
	local file
	for file; do
		[[ $file =~ $no_comments ]] ||
			head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-only' ||
			echo "$file: no SPDX-License-Identifier in the first lines"
	done
}

# A mistake whose place sed does not find any more is none: no test is asked to notice it.
mutants() {
	local file source name expression
	for file in tests/mutants/*.sed; do
		source=dm-replication/$(sed -n 's/^# file: //p' "$file")
		! sed -f "$file" "$source" | cmp -s - "$source" ||
			echo "$file: it changes nothing in $source"
	done
	source=dm-replication/metadata.c
	while read -r name expression; do
		[[ $name == [a-z]* ]] || continue
		! sed "$expression" "$source" | cmp -s - "$source" ||
			echo "tests/unit/metadata/mutants: $name changes nothing in $source"
	done < tests/unit/metadata/mutants
}

clean "SPDX identifiers" licences "${files[@]}"
# inflight is the kernel's word.
clean "codespell" codespell -L inflight "${files[@]}"
clean "documents: reStructuredText" restructured_text "${documents[@]}"
clean "documents: what they refer to is there" references "${documents[@]}"
clean "mutants change something" mutants
clean "shellcheck" shellcheck -x -f gcc "${scripts[@]}"
clean "flake8" flake8 --max-line-length 100 "${python[@]}"
clean "kernel-doc" perl "$tools/kernel-doc" -none -Werror "${module[@]}"
clean "checkpatch, module" checkpatch -f "${module[@]}" "${kbuild[@]}"
clean "checkpatch, programs" checkpatch --ignore $userspace -f "${programs[@]}"
clean "sparse, and the compiler with W=1" sparse
clean "coccinelle" coccinelle

done_testing
[ $failures -eq 0 ]
