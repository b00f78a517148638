# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds dmrepctl as make does, but with the sanitizers; and the programs that test its
# parts.

sanitizers=(-O1 -g "-fsanitize=address,undefined" -fno-sanitize-recover=all)

# build_tool DIR: DIR/dmrepctl, the objects beside it
build_tool() {
	mkdir -p "$1"
	make -s -j "$(nproc)" CFLAGS="${sanitizers[*]} -Werror" DMREPCTL="$1/dmrepctl" \
		DMREPCTL_BUILD="$1" "$1/dmrepctl"
}

# tool_objects DIR: all of the tool but main()
tool_objects() {
	printf '%s\n' "$1"/*.o | grep -v '/main\.o$'
}

# build_unit DIR: DIR/unit, of the objects that are there
build_unit() {
	local objects
	mapfile -t objects < <(tool_objects "$1")
	"${CC:-gcc}" "${sanitizers[@]}" -std=gnu11 -Wall -Wextra -Werror -Itools/dmrepctl \
		-o "$1/unit" tests/unit/dmrepctl/*.c "${objects[@]}" -ldevmapper -lblkid -ljson-c
}
