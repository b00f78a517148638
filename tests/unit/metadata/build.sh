# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds metadata.c, as it is, with what is around it here. All of it goes to $scratch.

metadata=tests/unit/metadata
program_flags=(-O1 -g "-fsanitize=address,undefined" -fno-sanitize-recover=all
	-Wall -Wextra "-I$metadata" -Idm-replication)

# compile SOURCE OBJECT [FLAG...]
compile() {
	"${CC:-gcc}" "${program_flags[@]}" "${@:3}" -c -o "$2" "$1"
}

# build_fakes DIR [FLAG...]: all but metadata.c and the programs.
build_fakes() {
	local name
	mkdir -p "$1"
	for name in fake disk bufio rig; do
		compile "$metadata/$name.c" "$1/$name.o" "${@:2}" || return
	done
}

# link DIR PROGRAM OBJECT...: with the fakes
link() {
	local name objects=()
	for name in fake disk bufio rig; do
		objects+=("$1/$name.o")
	done
	"${CC:-gcc}" "${program_flags[@]}" -o "$2" "${@:3}" "${objects[@]}"
}

# build_tests DIR: the objects of unit and crash, in DIR/unit and DIR/crash
build_tests() {
	local file
	build_fakes "$1" -Werror && mkdir -p "$1/unit" "$1/crash" || return
	for file in "$metadata"/unit*.c; do
		compile "$file" "$1/unit/$(basename "$file" .c).o" -Werror || return
	done
	compile "$metadata/crash.c" "$1/crash/crash.o" -Werror
}

# link_test DIR METADATA.o TO NAME: the program, unit or crash
link_test() {
	link "$1" "$3/$4" "$2" "$1/$4"/*.o
}
