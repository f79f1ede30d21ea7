#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# nfit_test.ko: its devices, the identity of the DIMMs, the interleave sets with the cookies of the
# C module, and unloading and reloading.
#
# timeout: 240
. "$LIB"
. "${LIB%/*}/simulated.sh"

# path_of DEVICE: prints its path below the platform devices.
path_of() {
	readlink -f "$ND/$1" | sed 's,/ndbus[0-9]*/,/,; s,/sys/devices/platform/,,'
}

check_set() {
	expect_eq "the cookie of $1" "$(cat "$ND/$1/set_cookie")" "$2"
	expect_eq "the size of $1" "$(cat "$ND/$1/size")" "$3"
	expect_eq "the kind of namespaces of $1" "$(cat "$ND/$1/nstype")" 4
}

check_all() {
	for number in 0 1 2 3 4; do
		[ -e "/sys/devices/platform/nfit_test.0/nfit_test_dimm/test_dimm$number/handle" ] || fail "no test_dimm$number"
	done
	expect_eq "the handle of test_dimm3" "$(cat /sys/class/nfit_test_dimm/test_dimm3/handle)" 0x101
	expect_eq "the handle of test_dimm6" "$(cat /sys/class/nfit_test_dimm/test_dimm6/handle)" 0x10001

	pair=$(region_of_ways 2) four=$(region_of_ways 4)
	expect_eq "the place of the pair" "$(path_of "$pair")" "nfit_test.0/$pair"
	check_set "$pair" 0x40e62f0cc00f58ac 33554432
	check_set "$four" 0xa76c6907811fae57 67108864
	for region in "$pair" "$four"; do
		expect_eq "deep_flush of $region" "$(cat "$ND/$region/deep_flush")" 1
		expect_eq "the persistence domain of $region" "$(cat "$ND/$region/persistence_domain")" memory_controller
	done
	for position in 0 1 2 3; do
		expect_match "mapping$position" "$(cat "$ND/$four/mapping$position")" "nmem*,16777216,16777216,$position"
	done

	dimms=$(ndctl list -b "$N0" -D | jq -c 'map([.handle, .phys_id, .id]) | sort')
	expect_eq "the DIMMs of the first bus" "$dimms" '[[0,0,"cdab-0a-07e0-ffffffff"],[1,1,"cdab-0a-07e0-feffffff"],[256,2,"cdab-0a-07e0-fffeffff"],[257,3,"cdab-0a-07e0-fefeffff"]]'
	broken=$(ndctl list -b "$N1" -D | jq -c 'map([.handle, ([keys[] | select(startswith("flag"))] | sort)]) | sort')
	expect_eq "the DIMMs of the second bus" "$broken" '[[65536,["flag_failed_arm","flag_failed_flush","flag_failed_restore","flag_failed_save","flag_smart_event"]],[65537,["flag_failed_map"]]]'

	legacy=$(ndctl list -b "$N1" -R | jq -r 'map(select(.mappings != null or .size == 33554432)) | .[0].dev')
	check_set "$legacy" 0xe03b0a7be006abd6 33554432
	expect_eq "read_only of the region of the unarmed DIMM" "$(cat "$ND/$legacy/read_only")" 1
	disk=$(ndctl list -b "$N1" -r "$legacy" -N | jq -r '.[0].blockdev')
	expect_eq "its disk's ro" "$(cat "/sys/class/block/$disk/ro")" 1
}

check_all
before=$(ls "$ND")
for round in 1 2 3 4 5; do
	unload_simulated || fail "cannot be unloaded in round $round"
	[ ! -e /sys/devices/platform/nfit_test.0 ] || fail "devices are left in round $round"
	load_simulated
	expect_eq "the devices in round $round" "$(ls "$ND")" "$before"
done
check_all
