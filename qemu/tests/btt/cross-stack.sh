#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The two stacks write to the same media in turns: each reads what all before it wrote, and ndctl
# finds nothing wrong.
#
# The DIMMs with handles 1 and 2 have layouts of version 1.1. The others have an empty label area.
# There, writing `holder_class` selects version 2.0 in spite of its error, and must be repeated in
# every boot.
#
# needs: nvdimm=32M nvdimm=32M nvdimm=32M,label=128K nvdimm=32M,label=128K
# boots: c rust c
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"

part=$((512 * 1024))

# take_turns NAMESPACE SECTOR_SIZE VERSION
take_turns() {
	# A layout of version 1.1 has been detected already.
	holder=$(show "$1" holder)
	if [ -n "$holder" ]; then
		release "$holder"
	else
		unbind "$1"
	fi
	[ "$3" = 1.1 ] || expect_eq "the error of selecting version $3" "$(store "$ND/$1/holder_class" btt)" ENXIO
	if [ "$BOOT" = 1 ]; then
		make_btt "$1" "$2" "$uuid"
	else
		detect "$1"
	fi
	expect_eq "uuid on $1" "$(show "$btt" uuid)" "$uuid"
	expect_match "sector sizes on $1" "$(show "$btt" sector_size)" "*\[$2\]*"
	version=$(cat "/sys/kernel/debug/btt/$btt/arena0/version_major").$(cat "/sys/kernel/debug/btt/$btt/arena0/version_minor")
	expect_eq "version of the layout on $1" "$version" "$3"

	# Part 0 and the end of the disk are of the last writer, part n is of the writer in boot n.
	end=$(($(disk_bytes "$disk") - part))
	if [ "$BOOT" != 1 ]; then
		last=$((BOOT - 1))
		same "$last" "$part" 0 || fail "$disk: the start is not as boot $last left it"
		same "$((last + 50))" "$part" "$end" || fail "$disk: the end is not as boot $last left it"
		for boot in $(seq "$last"); do
			same "$boot" "$part" $((boot * part)) || fail "$disk: part $boot is not as boot $boot left it"
		done
	fi
	put "$BOOT" "$part" 0
	put "$BOOT" "$part" $((BOOT * part))
	put "$((BOOT + 50))" "$part" "$end"

	release "$btt"
	ndctl check-namespace "$1" >check.out 2>&1 || fail "check-namespace of $1: $(cat check.out)"
	[ "$3" = 1.1 ] || expect_eq "the error of selecting version $3" "$(store "$ND/$1/holder_class" btt)" ENXIO
	detect "$1"
	same "$BOOT" "$part" 0 || fail "$disk: not as it was before the check"
	same "$((BOOT + 50))" "$part" "$end" || fail "$disk: the end is not as it was before the check"
}

# namespace_of DIMM: prints the namespace of the region that maps it. Regions and DIMMs have
# different numbers.
namespace_of() {
	for _region in "$ND"/region*; do
		case $(cat "$_region/mapping0") in
		"$1",*) echo "namespace${_region##*/region}.0" ;;
		esac
	done
}

for medium in 1:512:1.1 2:4096:1.1 3:512:2.0 4:4096:2.0; do
	handle=${medium%%:*}
	for dimm in "$ND"/nmem*; do
		[ "$(cat "$dimm/nfit/handle")" != "0x$handle" ] || break
	done
	uuid=0000000$handle-0000-4000-8000-000000000000
	take_turns "$(namespace_of "${dimm##*/}")" "$(echo "$medium" | cut -d: -f2)" "${medium##*:}"
done
