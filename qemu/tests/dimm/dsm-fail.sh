#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# DIMMs whose label functions fail. If the query of the label area's size reports that the DIMM is
# locked, DIMM and region are enabled and the namespaces are listed, but not bound. If the labels
# cannot be read, neither DIMM nor region is enabled.
#
# timeout: 180
. "$LIB"
. "${LIB%/*}/simulated.sh"

KNOBS=/sys/devices/platform/nfit_test.0/nfit_test_dimm
EACCES=-13

# fail_functions MASK CODE: makes functions of the DIMM with handle 0 fail.
fail_functions() {
	expect_eq "handle of test_dimm0" "$(cat $KNOBS/test_dimm0/handle)" 0x0
	expect_eq "writing fail_cmd" "$(store $KNOBS/test_dimm0/fail_cmd "$1")" ok
	expect_eq "writing fail_cmd_code" "$(store $KNOBS/test_dimm0/fail_cmd_code "$2")" ok
}

dimm=$(ndctl list -b "$N0" -D | jq -r 'map(select(.handle == 0)) | .[0].dev')
reset_labels 1.2
pair=$(region_of_ways 2) four=$(region_of_ways 4)
for region in "$pair" "$four"; do
	ndctl create-namespace -r "$region" -m raw -s 16M >/dev/null || fail "create on $region: $?"
done
expect_ok ndctl disable-region -b "$N0" all
expect_ok ndctl disable-dimm "$dimm"

# Function 4, the size of the label area.
fail_functions 0x10 $EACCES
expect_ok ndctl enable-dimm "$dimm"
expect_eq "flags" "$(cat "$ND/$dimm/flags")" "label lock "
expect_ok ndctl enable-region "$pair"
expect_ok ndctl enable-region "$four"
wait_for_buses
for region in "$pair" "$four"; do
	names=$(cd "$ND/$region" && echo namespace*)
	index=${region#region}
	expect_match "the namespaces of $region" "$names" "namespace$index.*"
	for namespace in $names; do
		[ ! -e "$ND/$namespace/driver" ] || fail "$namespace is driven although its DIMM is locked"
	done
	listed=$(ndctl list -r "$region" -N -i | jq length)
	expect_eq "namespaces of $region" "$listed" 1
done
expect_ok ndctl disable-region -b "$N0" all
expect_ok ndctl disable-dimm "$dimm"

# Function 5, reading labels.
fail_functions 0x20 $EACCES
if ndctl enable-dimm "$dimm" 2>/dev/null && [ -e "$ND/$dimm/driver" ]; then
	fail "$dimm is enabled although its labels cannot be read"
fi
for region in "$pair" "$four"; do
	ndctl enable-region "$region" 2>/dev/null || true
	[ ! -e "$ND/$region/driver" ] || fail "$region is enabled although labels of a DIMM cannot be read"
done

fail_functions 0 0
expect_ok ndctl enable-dimm "$dimm"
expect_eq "flags" "$(cat "$ND/$dimm/flags")" "label "
expect_ok ndctl enable-region -b "$N0" all
expect_eq "namespaces that are driven again" "$(ndctl list -b "$N0" -N | jq length)" 2

expect_store_errno EINVAL $KNOBS/test_dimm0/fail_cmd_code 1
expect_store_errno EINVAL $KNOBS/test_dimm0/fail_cmd x
