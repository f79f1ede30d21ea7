#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What power failures leave of label updates, on two DIMMs: the namespaces are as before or as after the update, the labels are mended
# when the region is enabled, and no slot is lost. When they cannot be mended, nothing is changed until they can.
#
# timeout: 300
. "$LIB"
. "${LIB%/*}/simulated.sh"

KNOBS=/sys/devices/platform/nfit_test.0/nfit_test_dimm
EIO=-5
first=11111111-1111-4111-8111-111111111111
second=22222222-2222-4222-8222-222222222222

# mark FILE UUID: sets the flag "updating" of the labels of this UUID. Labels of version 1.1 have no check sum.
mark() {
	perl -e '
		my ($file, $uuid) = @ARGV;
		open my $in, "<:raw", $file or die; local $/; my $bytes = <$in>;
		my $key = pack "H*", $uuid =~ s/-//gr;
		my $marked = 0;
		for (my $at = index $bytes, $key; $at >= 0; $at = index $bytes, $key, $at + 1) {
			substr($bytes, $at + 80, 1) = chr 8;
			$marked++;
		}
		$marked or die "no label of $uuid in $file\n";
		open my $out, ">:raw", $file or die; print $out $bytes;' "$@"
}

names() {
	ndctl list -r "$region" -N | jq -c '[.[].uuid]'
}

slots() {
	echo "$(cat "$ND/$(dimm 0)/available_slots") $(cat "$ND/$(dimm 1)/available_slots")"
}

# settled NAMES SLOTS: the namespaces have these UUIDs, so many slots are free, and there was nothing to mend any more.
settled() {
	expect_eq "the namespaces" "$(names)" "$1"
	expect_eq "the free slots" "$(slots)" "$2"
	expect_ok ndctl disable-region "$region"
	dmesg -C
	expect_ok ndctl enable-region "$region"
	wait_for_buses
	! dmesg | grep -q "interrupted" || fail "something is left to be mended"
	expect_eq "the namespaces, found again" "$(names)" "$1"
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

# All labels are there, marked.
cp first.0 marked.0 && cp first.1 marked.1
mark marked.0 $first && mark marked.1 $first
restore_labels marked.0 marked.1
expect_kernel_message "$region: namespace $first: the update of its labels was interrupted"
settled "[\"$first\"]" "$one"

# A change of UUID that reached one DIMM: the old one holds.
cp second.0 half.0 && mark half.0 $second
restore_labels half.0 first.1
expect_kernel_message "$region: namespace $first: the update of its labels was interrupted"
settled "[\"$first\"]" "$one"

# A creation that reached one DIMM: there is nothing.
restore_labels marked.0 none.1
expect_kernel_message "$region: labels of namespace $first are dropped: its creation was interrupted"
settled "" "$empty"

# A DIMM that lost its labels for another reason: the namespace is refused, and nothing is dropped.
restore_labels first.0 none.1
expect_kernel_message "$region: namespace $first refused: mapping1 has no label of it"
expect_eq "the namespaces" "$(names)" ""
restore_labels first.0 first.1
settled "[\"$first\"]" "$one"

# Labels that cannot be written: the namespace is there, but nothing is changed until they can.
handle=$(cat "$ND/$(dimm 1)/nfit/handle")
for knob in "$KNOBS"/test_dimm*; do
	[ "$(cat "$knob/handle")" != "$handle" ] || break
done
expect_ok ndctl disable-region -b "$N0" all
ndctl write-labels -i half.0 "$(dimm 0)" >/dev/null 2>&1 || fail "write-labels: $?"
expect_eq "writing fail_cmd" "$(store "$knob/fail_cmd" 0x40)" ok
expect_eq "writing fail_cmd_code" "$(store "$knob/fail_cmd_code" $EIO)" ok
dmesg -C
expect_ok ndctl enable-region "$region"
wait_for_buses
expect_kernel_message "$region: labels could not be mended"
expect_eq "the namespaces" "$(names)" "[\"$first\"]"
namespace=$(field "$(ndctl list -r "$region" -N)" dev)
expect_ok ndctl disable-namespace "$namespace"
expect_store_errno EIO "$ND/$namespace/alt_name" refused
expect_eq "writing fail_cmd" "$(store "$knob/fail_cmd" 0)" ok
expect_eq "the name, once labels can be written" "$(store "$ND/$namespace/alt_name" accepted)" ok
expect_ok ndctl enable-namespace "$namespace"
settled "[\"$first\"]" "$one"
expect_eq "the name, found again" "$(cat "$ND/$namespace/alt_name")" accepted
