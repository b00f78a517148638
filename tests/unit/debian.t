#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The Debian packages: built of a copy, with nothing for lintian to say, and installed in
# a root of their own, where DKMS builds the module, and which a VM is booted of.

. tests/tap.sh

for needed in dh_dkms lintian dkms; do
	command -v $needed > /dev/null || skip_all "there is no $needed"
done
debs=$scratch/debs

version=$(sed -n 's/^VERSION = //p' Makefile)
is "$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)" "$version" "dkms.conf has the version"
like "$(dpkg-parsechangelog -S Version)" "^$version(-|$)" "so has the changelog"

# For the compiler and kbuild, not for this test, are the variables of make check.
ok "they are built" env -u MAKEFLAGS -u MAKELEVEL tests/package "$debs" || exit
is "$(cd "$debs" && printf '%s\n' *_all.deb dmrepctl_*.deb)" "dm-replication-dkms_${version}_all.deb
dmrepctl_${version}_$(dpkg --print-architecture).deb" "there are two"

# It does not like to be root.
said=$(lintian --fail-on none "$debs"/*.changes 2> /dev/null)
is "$said" "" "lintian has nothing to say"

# The sources that kbuild needs, and no more than that.
. tests/kernels/lib.sh
is "$(dpkg-deb -c "$debs"/dm-replication-dkms_*.deb |
	sed -n "s:.* \./usr/src/dm-replication-$version/\(.*[^/]\)\$:\1:p" | sort)" \
	"$({ echo dkms.conf; echo Kbuild; sources; } | sort)" "the module's sources are in it"

# What is shipped says nothing that is true of the sources alone.
dpkg-deb -x "$debs"/dmrepctl_*.deb "$scratch/tree"
is "$(ls "$scratch/tree")" usr "all is in /usr"
readme=$scratch/tree/usr/share/doc/dmrepctl/README.md
missing=''
while read -r link; do
	[ -e "${readme%/*}/$link" ] || missing+=" $link"
done < <(sed -n 's/.*\](\([^)#]*\)[^)]*).*/\1/p' "$readme")
is "$missing" "" "the README's links lead somewhere"
is "$(grep -n 'make ' "$readme")" "" "nothing is to be made"

ok "they work where they are installed" timeout 600 tests/unit/debian/root \
	"$debs"/dm-replication-dkms_*.deb "$debs"/dmrepctl_*.deb
done_testing
[ $failures -eq 0 ]
