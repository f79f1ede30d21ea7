#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# One boot in a chain of power cuts: cycle.sh plain|labelled|interleaved SECTOR_SIZE write|zero|read
# UUID. tools/xtask/src/suite/powercut.rs describes the chains. With labels, UUID is that of the
# namespace with the BTT.
. "$LIB"
. "${LIB%/*}/devices.sh"
kind=$1 sector_size=$2 what=$3 uuid=$4
region=$ND/region0

# simulate_dimms: loads simulated DIMMs on the memory of the NVDIMM, and uses the region of four of
# them.
simulate_dimms() {
	memory=$(cat "$region/resource")
	! enabled namespace0.0 || unbind namespace0.0
	unbind region0
	modprobe nfit_test "memory=$memory"
	settle
	region=$(dirname "$(grep -lx 4 "$ND"/region*/mappings)")
}

# sector_namespace: prints the namespace with the BTT.
sector_namespace() {
	if [ "$kind" = labelled ]; then
		basename "$(dirname "$(grep -l "$uuid" "$ND"/namespace*/uuid)")"
	else
		echo "namespace${region##*region}.0"
	fi
}

# make_namespace UUID BYTES: configures the region's seed, and sets $made to its name.
make_namespace() {
	made=$(seed namespace region0)
	set_attribute "$made" uuid "$1"
	set_attribute "$made" size "$2"
}

# reconfigure: creates, changes and destroys other namespaces in an endless loop.
reconfigure() {
	while :; do
		make_namespace "$(uuidgen)" 16777216
		set_attribute "$made" alt_name "cut $made"
		set_attribute "$made" size 50331648
		set_attribute "$made" size 33554432
		make_btt "$made" 4096
		release "$btt"
		set_attribute "$made" size 0
	done
}

# clear_others: checks that every other namespace has one of the requested sizes or none, and that
# no capacity is lost. Then removes them.
clear_others() {
	used=0
	for other in "$ND"/namespace0.*; do
		size=$(cat "$other/size")
		used=$((used + size))
		case $size in
		0 | 16777216 | 33554432 | 50331648) ;;
		*) fail "${other##*/} has $size bytes, expected 0 or a size that was requested" ;;
		esac
	done
	expect_eq "capacity in use and available" $((used + $(cat "$region/available_size"))) "$(cat "$region/size")"
	keep=$(sector_namespace)
	for other in "$ND"/namespace0.*; do
		other=${other##*/}
		[ "$other" != "$keep" ] && [ "$(show "$other" size)" != 0 ] || continue
		holder=$(show "$other" holder)
		if [ -n "$holder" ]; then
			release "$holder"
		elif enabled "$other"; then
			unbind "$other"
		fi
		[ "$STACK" = c ] || set_attribute "$other" size 0
	done
}

[ "$kind" != interleaved ] || simulate_dimms
if [ "$BOOT" = 1 ]; then
	if [ "$kind" = labelled ]; then
		ndctl disable-region region0
		ndctl init-labels -f nmem0
		ndctl enable-region region0
		settle
		make_namespace "$uuid" 33554432
	else
		wait_for 10 test -b "/dev/pmem${region##*region}"
	fi
	btt_create "$(sector_namespace)" "$sector_size"
fi
namespace=$(sector_namespace)
wait_for 10 test -e "$ND/$namespace/holder"
btt=$(show "$namespace" holder)
[ -n "$btt" ] || fail "no BTT was found on $namespace"
disk=/dev/$(disk_of "$btt")
wait_for 10 test -b "$disk"
expect_eq "logical block size" "$(cat "/sys/block/${disk##*/}/queue/logical_block_size")" "$sector_size"
[ "$kind" != labelled ] || clear_others

# ndctl checks the map and the flog independently of the driver: every block must be used exactly
# once.
ndctl disable-namespace "$namespace"
ndctl check-namespace "$namespace"
ndctl enable-namespace "$namespace"
settle
disk=/dev/$(disk_of "$(show "$namespace" holder)")
wait_for 10 test -b "$disk"

/host/tools/torn-write-check read "$disk" --sector-size "$sector_size" --generations /host/run/generations
say found
if [ "$what" != read ]; then
	if [ "$kind" = labelled ]; then
		{ (reconfigure) >/host/run/reconfigure.log 2>&1 || say "broken $(tail -n 1 /host/run/reconfigure.log)"; } &
	fi
	zero=
	[ "$what" = write ] || zero=--zero
	/host/tools/torn-write-check write "$disk" --sector-size "$sector_size" --generations /host/run/generations --epoch "$BOOT" $zero \
		--acknowledge /host/run/acknowledged | while read -r said; do say "$said"; done
	fail "the writer ended"
fi
