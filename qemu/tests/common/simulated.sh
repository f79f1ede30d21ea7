# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
#
# Library for tests in the guest, after lib.sh: `. "${LIB%/*}/simulated.sh"`. Loads the simulated
# buses of nfit_test.ko.
#
# $N0 and $N1 are the two providers, for the option -b of ndctl.

N0=nfit_test.0
N1=nfit_test.1

# load_simulated: loads the module. Namespaces are bound when this returns.
load_simulated() {
	modprobe nfit_test || fail "nfit_test cannot be loaded"
	wait_for_buses
}

# wait_for_buses: waits until pending registration has finished.
wait_for_buses() {
	for _bus in "$ND"/ndbus*/wait_probe; do
		read -r _ <"$_bus"
	done
}

# unload_simulated: disables regions first, since enabled ones hold a reference to the module.
unload_simulated() {
	ndctl disable-region -b "$N0" all >/dev/null 2>&1 || true
	ndctl disable-region -b "$N1" all >/dev/null 2>&1 || true
	modprobe -r nfit_test
}

# reset_labels VERSION: writes empty label areas to the DIMMs of the first bus. Regions are left
# enabled.
reset_labels() {
	expect_ok ndctl disable-region -b "$N0" all
	expect_ok ndctl init-labels -f -b "$N0" -V "$1" all
	expect_ok ndctl enable-region -b "$N0" all
}

# field JSON NAME: prints the value of a field of the first object that has it.
field() {
	printf '%s' "$1" | jq -r "[.. | objects | .$2 | select(. != null)] | first"
}

# region_of_ways NUMBER: prints the region of the first bus with this number of DIMMs.
region_of_ways() {
	for _region in "$ND"/region*; do
		case $(readlink -f "$_region") in
		*/nfit_test.0/*)
			if [ "$(cat "$_region/mappings")" = "$1" ]; then
				basename "$_region"
				return
			fi
			;;
		esac
	done
	fail "there is no region of $1 DIMMs"
}

# raw: enables the raw disk of $namespace, which has a BTT. end_raw: disables it again.
raw() {
	expect_ok ndctl disable-namespace "$namespace" >/dev/null
	expect_eq "force_raw" "$(store "$ND/$namespace/force_raw" 1)" ok
	expect_ok ndctl enable-namespace "$namespace" >/dev/null
}

end_raw() {
	expect_ok ndctl disable-namespace "$namespace" >/dev/null
	expect_eq "force_raw" "$(store "$ND/$namespace/force_raw" 0)" ok
}

# save_labels NAME: saves the label areas of both DIMMs of $region as NAME.0 and NAME.1.
save_labels() {
	for _number in 0 1; do
		ndctl read-labels -o "$1.$_number" "$(dimm $_number)" >/dev/null || fail "read-labels: $?"
	done
}

# mark_updating FILE UUID: sets the flag "updating" of the labels of this UUID in a saved label area
# of version 1.1, whose labels have no checksum.
mark_updating() {
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
		open my $out, ">:raw", $file or die; print $out $bytes;' "$@" || fail "the labels of $2 in $1: $?"
}

# written FILE0 FILE1: the label areas of $region have these contents, as they were when it was
# enabled. It is enabled again.
written() {
	expect_ok ndctl disable-region "$region"
	save_labels now
	expect_ok cmp now.0 "$1"
	expect_ok cmp now.1 "$2"
	dmesg -C
	expect_ok ndctl enable-region "$region"
	wait_for_buses
}

# dimm MAPPING: prints the DIMM of this mapping of $region.
dimm() {
	cut -d, -f1 "$ND/$region/mapping$1"
}

# restore_labels FILE0 FILE1: writes the label areas of both DIMMs of $region, and enables the
# region.
restore_labels() {
	expect_ok ndctl disable-region -b "$N0" all
	ndctl write-labels -i "$1" "$(dimm 0)" >/dev/null 2>&1 || fail "write-labels: $?"
	ndctl write-labels -i "$2" "$(dimm 1)" >/dev/null 2>&1 || fail "write-labels: $?"
	dmesg -C
	expect_ok ndctl enable-region "$region"
	wait_for_buses
}

unload_at_exit() {
	_status=$?
	trap - EXIT
	unload_simulated || _status=1
	exit $_status
}
trap unload_at_exit EXIT
load_simulated
