#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# First boot: an NFIT with all kinds of malformed DIMMs and ranges between two valid ones. Each is
# skipped with a message that says why; the C driver gives up the bus. Second boot: DIMMs that are
# not armed, or have failed, and NUMA nodes, under both stacks. A region that is not armed is not
# written to.
#
# firmware: odd states
# stacks: rust c
# compare
# boots: 2
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

# find_region INDEX: sets $region to the region of this range of the NFIT, and $namespace to its
# first namespace.
find_region() {
	for region in "$ND"/region*; do
		read -r _index <"$region/nfit/range_index"
		[ "$_index" != "$1" ] || break
	done
	expect_eq "the last region looked at for range $1" "$_index" "$1"
	region=${region##*/}
	namespace=namespace${region#region}.0
}

# value FILE: sets $value to the line of an attribute, or to `none`.
value() {
	read -r value <"$1" || value=none
} 2>/dev/null

odd() {
	# The kernel's log begins after the modules were loaded.
	unload_modules
	load_modules
	# Range 11 has no namespace, unless the kernel uses a part of that memory.
	expect_match "regions" "$(cat "$ND"/region*/nfit/range_index | sort -n | tr '\n' ' ')" "1 *20 "
	expect_eq "disks" "$(ls -d /sys/block/pmem* | wc -l)" 2
	expect_eq "DIMMs" "$(cat "$ND"/nmem*/nfit/handle | tr '\n' ' ')" "0x1 0x7 0xa 0x14 "
	for index in 1 20; do
		find_region $index
		disk=$(disk_of "$namespace")
		wait_for 10 test -b "/dev/$disk"
		put 1 65536 0
		same 1 65536 0 || fail "$disk does not hold its data"
	done

	# One message each.
	dmesg >log
	while IFS=: read -r what regex; do
		expect_eq "$what: lines like '$regex'" "$(grep -Ec -- "$regex" log)" 1
	done <<'LIST'
part of a page:range 2 ignored: base 0x21000000, length 0x1000800, expected whole pages
unaligned:range 3 ignored: base 0x22000800, length 0x1000000, expected whole pages
empty:range 4 ignored: base 0x23000000, length 0x0, expected whole pages
wraps:range 5 ignored: base 0xffffffffff000000, length 0x2000000, expected whole pages below 2\^64
no device:no ACPI device for DIMM 0x6, expected one whose _ADR is the handle
no device, its range:range 6 ignored: mapping of DIMM 0x6, expected one that is in use
no control region:range 7 ignored: mapping of DIMM 0x7, expected one with a control region
control region not there:DIMM ignored: DIMM 0x8 names control region 88, expected one that is in the table
control region not there, its range:range 8 ignored: mapping of DIMM 0x8, expected one that is in use
half system memory:range 9 ignored: 0x1f800000 to 0x207fffff overlaps 
malformed mapping, its range:range 10 ignored: malformed mapping at offset 
malformed hints:DIMM ignored: DIMM 0xc has a structure at offset .* that cannot be read
malformed hints, its range:range 12 ignored: mapping of DIMM 0xc, expected one that is in use
mapping of part of a page:range 13 ignored: mapping of DIMM 0x1 at 0x800, length 0x1000000, expected whole pages
half a set:range 14 ignored: mapping of DIMM 0xee, expected one that is in use
empty and volatile:range 15 ignored: base 0x0, length 0x0, expected whole pages
short range:\(type 0\) has length 8, expected at least 56, skipping it
long range:\(type 0\) has length 57, expected 56, skipping it
long mapping:\(type 1\) has length 49, expected 48, skipping it
few hints:\(type 6\) has length 24, expected at least 32, skipping it
short capabilities:\(type 7\) has length 12, expected at least 16, skipping it
unknown:skipping structure of unknown type 99
LIST
}

states() {
	for index in 1 2 3 4 5; do
		find_region $index
		for attribute in read_only numa_node target_node persistence_domain mappings; do
			value "$ND/$region/$attribute"
			echo "range $index: $attribute $value"
		done
	done
	for dimm in "$ND"/nmem*; do
		read -r handle <"$dimm/nfit/handle"
		for attribute in phys_id serial family dsm_mask flags; do
			value "$dimm/nfit/$attribute"
			case $handle/$attribute in
			# The C driver treats it as one of family 0, without functions.
			0x4/family) [ "$STACK" = c ] || expect_eq "family" "$value" 3 ;;
			0x4/dsm_mask) [ "$STACK" = c ] || expect_eq "functions" "$value" 0xa ;;
			*) echo "DIMM $handle: $attribute $value" ;;
			esac
		done
		value "$dimm/commands"
		echo "DIMM $handle: $value"
	done
	ndctl list -Di | jq -cS 'sort_by(.handle) | .[] | with_entries(select(.key | test("handle|flag")))'

	# The contents of a region that is not armed do not change.
	find_region 1
	disk=$(disk_of "$namespace")
	wait_for 10 test -b "/dev/$disk"
	expect_eq "read-only" "$(cat "/sys/class/block/$disk/ro")" 1
	expect_fail dd if=/dev/urandom of="/dev/$disk" bs=4096 count=1 oflag=direct 2>dd.log
	before=$(cksum <"/dev/$disk")
	unbind "$namespace"
	claim "$namespace" 4096
	[ "$(driver bind nd_pmem "$btt")" != ok ] || fail "there is a new BTT on what is not armed"
	release "$btt"
	raw_access "$namespace"
	expect_eq "the sum of what is not armed" "$(cksum <"/dev/$disk")" "$before"
}

if [ "$BOOT" = 1 ]; then
	if [ "$STACK" = rust ]; then
		odd
	else
		expect_eq "what the C driver leaves of the bus" "$(ls "$ND")" ''
	fi
else
	states
fi
