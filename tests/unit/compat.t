#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What differs between kernels is found by compiling probes (Kbuild.compat). A
# probe must not fail by accident: then the wrong form would be taken silently.

export LC_ALL=C
. tests/tap.sh
. tests/kernels/lib.sh

: "${KDIR:=$(printf '%s\n' /lib/modules/*/build | sort -V | tail -n 1)}"
[ -e "$KDIR" ] || skip_all "there are no kernel headers"

# The probes, with a module that is nothing else.
dir=$scratch/module
stage_sources "$dir"
cat > "$dir/dm-replication/Kbuild" <<-'END'
	obj-m := dm-replication.o
	dm-replication-y := all.o
	include $(src)/Kbuild.compat
END
rm "$dir"/dm-replication/*.[ch]
cat > "$dir/dm-replication/all.c" <<-'END'
	#include <linux/module.h>
	#include "compat-probed.h"
	MODULE_DESCRIPTION("Nothing");
	MODULE_LICENSE("GPL");
END
probes=$dir/dm-replication/compat

build() {
	env -u MAKEFLAGS -u MFLAGS make -C "$KDIR" M="$dir" -j2 "$@" modules
}

# did KIND: what make said that it did of that kind: PROBE or CC.
did() {
	sed -n "s/^  $1 .*\/\(.*\)\.[a-z]*$/\1/p" <<< "$output" | grep -v '^dm-replication\|^.module' |
		sort | xargs
}

# refused DESCRIPTION SENTENCE: it is, in a sentence, and nothing is compiled.
refused() {
	fails "$1" build
	is "$(grep -c '^dm-replication: ' <<< "$output"): $(grep '^dm-replication: ' <<< "$output")" \
		"1: dm-replication: $2" "$1: the sentence"
	is "$(did CC)" "" "$1: nothing is compiled"
}

all=$(basename -s .c "$probes"/*.c | sort | xargs)
files=$(find "$dir" -type f | sort)

diag "when probes are compiled"
ok "at first" build
is "$(did PROBE)" "$all" "all are"
yes=$(grep -lx yes "$probes"/*.probed | xargs basename -s .probed | sort | xargs)
is "$(sed -n 's/#define REPL_HAVE_//p' "$dir/dm-replication/compat-probed.h" |
	tr '[:upper:]' '[:lower:]' | sort | xargs)" "$yes" "the header has those that do compile"
ok "again" build
is "$(did PROBE)" "" "none is"
touch "$probes/bd_inode.c"
ok "after one has changed" build
is "$(did PROBE) $(did CC)" "bd_inode " "that one, and nothing else"
ok "other flags" build KCFLAGS=-DNOTHING
is "$(did PROBE)" "$all" "all are"
ok "another kernel" build KCFLAGS=-DNOTHING KERNELRELEASE=7.3
is "$(did PROBE)" "$all" "all are"
ok "another compiler" build KCFLAGS=-DNOTHING KERNELRELEASE=7.3 CC_VERSION_TEXT="cc 99 (it's new)"
is "$(did PROBE)" "$all" "all are"

diag "a header that changes"
echo 'int there;' > "$probes/header.h"
cat > "$probes/header.c" <<-'END'
	// SPDX-License-Identifier: GPL-2.0-only
	/* To find what is there: a variable. */
	#include "header.h"
	int *where = &there;
END
ok "it has what is needed" build
echo 'int elsewhere;' > "$probes/header.h"
refused "it has not" "this kernel has no known way to find what is there (tried header): kernels 6.1 to 7.2 are supported; see $probes/*.log"
like "$(< "$probes/header.log")" "there.*undeclared" "the compiler's words"
echo 'int there;' > "$probes/header.h"
ok "it has again" build
rm "$probes"/header.[ch]

diag "a probe that is broken"
for probe in $yes; do
	cp "$probes/$probe.c" "$scratch/saved"
	need=$(sed -n '2s/^.. To \([^:]*\):.*/\1/p' "$probes/$probe.c")
	tried=$(grep -l "^/\* To $need:" "$probes"/*.c | xargs basename -s .c | sort | xargs)
	echo "a syntax error" >> "$probes/$probe.c"
	refused "$probe" "this kernel has no known way to $need (tried ${tried// /, }): kernels 6.1 to 7.2 are supported; see $probes/*.log"
	cp "$scratch/saved" "$probes/$probe.c"
done
echo 'int nothing;' > "$probes/nameless.c"
refused "one that says nothing" "$probes/nameless.c does not say what it probes for"
rm "$probes/nameless.c"
ok "all is well again" build

ok "make clean" make -C "$KDIR" M="$dir" clean
is "$(find "$dir" -type f | sort)" "$files" "nothing is left"

done_testing
