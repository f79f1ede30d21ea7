#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Label updates on two DIMMs that a power failure interrupted: the namespaces are as before or as
# after the update. Enabling the region writes nothing; the labels are written again when the
# namespace is changed, and no slot is lost. A partial creation or removal is refused, until the
# user deletes it.
#
# timeout: 300
. "$LIB"
. "${LIB%/*}/simulated.sh"

KNOBS=/sys/devices/platform/nfit_test.0/nfit_test_dimm
EIO=-5
first=11111111-1111-4111-8111-111111111111
second=22222222-2222-4222-8222-222222222222

names() {
	ndctl list -r "$region" -N | jq -c '[.[].uuid]'
}

slots() {
	echo "$(cat "$ND/$(dimm 0)/available_slots") $(cat "$ND/$(dimm 1)/available_slots")"
}

# settled NAMES SLOTS: the namespaces have these UUIDs, this number of slots is free, and no label
# is refused.
settled() {
	expect_eq "the namespaces" "$(names)" "$1"
	expect_eq "the free slots" "$(slots)" "$2"
	expect_ok ndctl disable-region "$region"
	dmesg -C
	expect_ok ndctl enable-region "$region"
	wait_for_buses
	! dmesg | grep -q "interrupted\|refused" || fail "something is left: $(dmesg)"
	expect_eq "the namespaces, found again" "$(names)" "$1"
}

# rename_it NAME: changes the namespace, and thereby all of its labels.
rename_it() {
	namespace=$(field "$(ndctl list -r "$region" -N)" dev)
	expect_ok ndctl disable-namespace "$namespace"
	expect_eq "changing the name" "$(store "$ND/$namespace/alt_name" "$1")" ok
	expect_ok ndctl enable-namespace "$namespace"
}

# given_up UUID: destroys the placeholder of refused labels.
given_up() {
	shown=$(ndctl list -r "$region" -N -i | jq -r --arg uuid "$1" '.[] | select(.uuid == $uuid) | .dev')
	expect_ok ndctl destroy-namespace -f "$shown"
}

reset_labels 1.1
region=$(region_of_ways 2)
save_labels none
empty=$(slots)
namespace=$(field "$(ndctl create-namespace -r "$region" -m raw -s 32M -u $first)" dev)
save_labels first
one=$(slots)
expect_ok ndctl disable-namespace "$namespace"
expect_eq "changing the UUID" "$(store "$ND/$namespace/uuid" $second)" ok
save_labels second

# All labels exist, with the flag.
cp first.0 marked.0 && cp first.1 marked.1
mark_updating marked.0 $first && mark_updating marked.1 $first
restore_labels marked.0 marked.1
settled "[\"$first\"]" "$one"
written marked.0 marked.1
rename_it other
settled "[\"$first\"]" "$one"

# A change of UUID that reached one DIMM: the old UUID is valid.
cp second.0 half.0 && mark_updating half.0 $second
restore_labels half.0 first.1
settled "[\"$first\"]" "$one"
written half.0 first.1
rename_it other
expect_kernel_message "$region: namespace $first: the update of its labels was interrupted: they are written again"
settled "[\"$first\"]" "$one"
restore_labels half.0 first.1
namespace=$(field "$(ndctl list -r "$region" -N)" dev)
expect_ok ndctl disable-namespace "$namespace"
expect_eq "the new UUID, again" "$(store "$ND/$namespace/uuid" $second)" ok
expect_ok ndctl enable-namespace "$namespace"
settled "[\"$second\"]" "$one"
restore_labels half.0 first.1
expect_ok ndctl destroy-namespace -f "$(field "$(ndctl list -r "$region" -N)" dev)" >/dev/null
settled "" "$empty"

# A creation that reached one DIMM: it is refused, and its space is reserved until it is deleted.
restore_labels marked.0 none.1
expect_kernel_message "$region: namespace $first refused: mapping1 has no label"
expect_eq "the namespaces" "$(names)" ""
written marked.0 none.1
given_up $first
settled "" "$empty"

# A removal that reached one DIMM.
restore_labels first.0 first.1
expect_ok ndctl destroy-namespace -f "$(field "$(ndctl list -r "$region" -N)" dev)" >/dev/null
save_labels removed
restore_labels first.0 removed.1
expect_kernel_message "$region: namespace $first refused: mapping1 has no label"
written first.0 removed.1
given_up $first
settled "" "$empty"

# A DIMM that lost its labels for another reason: the namespace is refused, and no label is deleted.
restore_labels first.0 none.1
expect_kernel_message "$region: namespace $first refused: mapping1 has no label"
expect_eq "the namespaces" "$(names)" ""
written first.0 none.1
restore_labels first.0 first.1
settled "[\"$first\"]" "$one"

# Labels cannot be written: the namespace exists, but cannot be changed until they can.
handle=$(cat "$ND/$(dimm 1)/nfit/handle")
for knob in "$KNOBS"/test_dimm*; do
	[ "$(cat "$knob/handle")" != "$handle" ] || break
done
expect_ok ndctl disable-region -b "$N0" all
ndctl write-labels -i half.0 "$(dimm 0)" >/dev/null 2>&1 || fail "write-labels: $?"
expect_eq "writing fail_cmd" "$(store "$knob/fail_cmd" 0x40)" ok
expect_eq "writing fail_cmd_code" "$(store "$knob/fail_cmd_code" $EIO)" ok
expect_ok ndctl enable-region "$region"
wait_for_buses
expect_eq "the namespaces" "$(names)" "[\"$first\"]"
namespace=$(field "$(ndctl list -r "$region" -N)" dev)
expect_ok ndctl disable-namespace "$namespace"
expect_store_errno EIO "$ND/$namespace/alt_name" refused
expect_eq "writing fail_cmd" "$(store "$knob/fail_cmd" 0)" ok
expect_eq "the name, once labels can be written" "$(store "$ND/$namespace/alt_name" accepted)" ok
expect_ok ndctl enable-namespace "$namespace"
settled "[\"$first\"]" "$one"
expect_eq "the name, found again" "$(cat "$ND/$namespace/alt_name")" accepted
