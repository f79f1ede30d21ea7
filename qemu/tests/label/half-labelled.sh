#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# An interleave set of which one DIMM has labels when the modules are loaded, and the labels of
# another cannot be read: the namespaces of the region are unknown, so it is not enabled. Detection
# finishes nevertheless, and processes that wait for it continue.
#
# timeout: 180
. "$LIB"
. "${LIB%/*}/simulated.sh"

# The parameters are masks of DIMMs; 0 and 1 are in both regions.
expect_ok unload_simulated
trap - EXIT

# in_time COMMAND...: the command ends within 20 seconds. It runs in the background, because a
# process that hangs in the kernel cannot be killed.
in_time() {
	"$@" >/dev/null &
	wait_for 20 test ! -e "/proc/$!/fd/1"
	wait $! || fail "'$*' ended with status $?"
}

in_time modprobe nfit_test labelled=0x1 unreadable=0x2
for bus in "$ND"/ndbus*; do
	in_time cat "$bus/wait_probe"
done
trap unload_at_exit EXIT

pair=$(region_of_ways 2) four=$(region_of_ways 4)
for region in "$pair" "$four"; do
	[ ! -e "$ND/$region/driver" ] || fail "$region is enabled although labels of a DIMM cannot be read"
	[ -z "$(ls "$ND/$region" | grep '^namespace[0-9]')" ] || fail "$region has namespaces"
done
expect_kernel_message "nmem[0-9]*: is disabled or locked: its labels must be readable"
expect_eq "error of binding $pair again" "$(store /sys/bus/nd/drivers/nd_region/bind "$pair")" ENXIO

# The labels can be read again.
expect_eq "writing fail_cmd" "$(store /sys/devices/platform/nfit_test.0/nfit_test_dimm/test_dimm1/fail_cmd 0)" ok
expect_ok ndctl enable-dimm -b "$N0" all
expect_ok ndctl enable-region -b "$N0" all
wait_for_buses
for region in "$pair" "$four"; do
	[ -e "$ND/$region/driver" ] || fail "$region is not enabled although all labels can be read"
	expect_match "namespace seed of $region" "$(cat "$ND/$region/namespace_seed")" "namespace*.0"
done

# The labels of neither DIMM can be read, and nothing else shows that there are labels: the memory
# must not become one raw namespace.
expect_ok unload_simulated
in_time modprobe nfit_test unreadable=0x3
for bus in "$ND"/ndbus*; do
	in_time cat "$bus/wait_probe"
done
pair=$(region_of_ways 2)
[ ! -e "$ND/$pair/driver" ] || fail "$pair is enabled although no labels can be read"
for number in 0 1; do
	expect_eq "writing fail_cmd" "$(store /sys/devices/platform/nfit_test.0/nfit_test_dimm/test_dimm$number/fail_cmd 0)" ok
done
expect_ok ndctl enable-dimm -b "$N0" all
expect_ok ndctl enable-region "$pair"
wait_for_buses
expect_eq "the type of namespaces of a region without labels" "$(cat "$ND/$pair/nstype")" 4
