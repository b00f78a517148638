#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Whatever is on a metadata device: it is refused, or it is loaded and can be used.
# libFuzzer looks for what is neither, for a while; FUZZ_SECONDS=3600
# FUZZ_RUNS=1000000000 for longer.

. tests/tap.sh
. tests/unit/metadata/build.sh

command -v clang > /dev/null || skip_all "there is no clang"
CC=clang
: "${FUZZ_SECONDS:=15}" "${FUZZ_RUNS:=1000000}"
dir=$scratch/fuzz
mkdir "$dir" "$dir/seeds" "$dir/found"

# What libFuzzer counts as covered is metadata.c alone.
build() {
	build_fakes "$dir" -Werror &&
		compile "$metadata/seeds.c" "$dir/seeds.o" -Werror &&
		compile "$metadata/fuzz.c" "$dir/fuzz.o" -Werror \
			-Dfuzz_one=LLVMFuzzerTestOneInput -Dfuzz_begin=LLVMFuzzerInitialize &&
		compile dm-replication/metadata.c "$dir/metadata.o" -Werror -fsanitize=fuzzer-no-link &&
		link "$dir" "$dir/fuzzer" "$dir/fuzz.o" "$dir/metadata.o" -fsanitize=fuzzer &&
		link "$dir" "$dir/make-seeds" "$dir/seeds.o" "$dir/metadata.o" \
			-fsanitize=fuzzer-no-link
}

# For who wants to see it again.
show_input() {
	local file
	for file in "$dir"/crash-*; do
		[ -e "$file" ] || continue
		diag "the input, of $(stat -c %s "$file") bytes, for base64 -d | gunzip:"
		diag "$(gzip -9 < "$file" | base64)"
	done
}

# reached WHAT: so often that came out
reached() {
	sed -n "s/^$1: //p" <<< "$said"
}

ok "it is built" build || exit
ok "it has good devices to begin with" "$dir/make-seeds" "$dir/seeds" || exit

ok "nothing is found" timeout $((FUZZ_SECONDS + 120)) "$dir/fuzzer" -seed="$SEED" \
	-max_total_time="$FUZZ_SECONDS" -runs="$FUZZ_RUNS" -max_len=14337 -timeout=60 \
	-detect_leaks=0 -artifact_prefix="$dir/" \
	"$dir/found" "$dir/seeds" || show_input
said=$output
runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' <<< "$said")
diag "$(grep -w -e INITED -e DONE <<< "$said")"
diag "$(sed '1,/^Done/d' <<< "$said")"
ok "it has looked at some" [ "${runs:-0}" -ge 1000 ]

# The sentences behind the checksums.
for what in "refused, it is another one" "refused, its epoch is yet to come" \
		"refused, it has chunks that are not" "refused, makes no sense" loaded; do
	ok "it has got so far: $what" [ "$(reached "$what")" -gt 0 ]
done

done_testing
