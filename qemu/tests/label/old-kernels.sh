#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Labels of kernels before 5.2, which never clear the flag "updating", and one DIMM of two that
# loses them: it is initialised or wiped by mistake, or a bit flips. The namespace is refused, its
# space stays reserved, and enabling the region writes nothing. Restoring the DIMM's backup restores
# the namespace. Destroying it frees its space.
#
# Argument: `all` lets each of the two DIMMs lose its labels with each version. Otherwise it is one
# of them.
#
# timeout: 400
. "$LIB"
. "${LIB%/*}/simulated.sh"

first=11111111-1111-4111-8111-111111111111
second=22222222-2222-4222-8222-222222222222
SIZE=$((16 << 20))

# mark FILE: sets the flag "updating" of all labels of $first, and updates the checksum of version
# 1.2.
mark() {
	if [ "$version" = 1.2 ]; then
		perl "${LIB%/*}/labels.pl" "$1" $first flags=8 || fail "labels.pl: $?"
		return
	fi
	mark_updating "$1" $first
}

# found WHEN: the namespace exists, with its data.
found() {
	listed=$(ndctl list -r "$region" -N)
	expect_eq "the namespaces $1" "$(printf '%s' "$listed" | jq -c '[.[].uuid]')" "[\"$first\"]"
	expect_ok dd if="/dev/$(field "$listed" blockdev)" of=read bs=1M count=15 iflag=direct status=none
	expect_ok cmp data read
	expect_eq "the free space $1" "$(cat "$ND/$region/available_size")" $((all - SIZE))
}

# refused WHY MAPPING: the namespace is refused, and a placeholder reserves its space.
refused() {
	expect_kernel_message "$region: namespace $first refused: $1.*($(dimm "$2"))"
	expect_eq "the namespaces" "$(ndctl list -r "$region" -N)" ""
	expect_eq "the free space" "$(cat "$ND/$region/available_size")" $((all - SIZE))
	shown=$(ndctl list -r "$region" -N -i | jq -r --arg uuid $first '.[] | select(.uuid == $uuid) | .dev')
	expect_match "what stands for the namespace" "$shown" "namespace*"
	[ ! -e "$ND/$shown/driver" ] || fail "$shown is driven"
	expect_kernel_message "$shown: its space stays reserved"
}

for version in 1.1 1.2; do
	reset_labels $version
	region=$(region_of_ways 2)
	all=$(cat "$ND/$region/available_size")
	save_labels none
	disk=/dev/$(field "$(ndctl create-namespace -r "$region" -m raw -s $SIZE -u $first)" blockdev)
	dd if=/dev/urandom of=data bs=1M count=15 status=none
	expect_ok dd if=data of="$disk" bs=1M oflag=direct status=none
	save_labels old
	mark old.0 && mark old.1
	restore_labels old.0 old.1
	found "with labels $version of an old kernel"
	written old.0 old.1
	found "after the region was disabled"

	case ${1-}:$version in
	all:*) losing="0 1" ;;
	*:1.1) losing=0 ;;
	*) losing=1 ;;
	esac
	for lost in $losing; do
		kept=$((1 - lost))
		# ndctl writes new index blocks and leaves the labels, or zeroes everything.
		expect_ok ndctl disable-region -b "$N0" all
		expect_ok ndctl init-labels -f -V $version "$(dimm $lost)"
		expect_ok ndctl read-labels -o init.$lost "$(dimm $lost)"
		cp old.$kept init.$kept
		cp old.$kept zero.$kept
		head -c "$(wc -c <old.0)" /dev/zero >zero.$lost
		cp old.0 flip.0 && cp old.1 flip.1
		losses="init zero"
		if [ $version = 1.2 ]; then
			perl "${LIB%/*}/labels.pl" flip.$lost $first checksum=1 || fail "labels.pl: $?"
			losses="$losses flip"
		fi
		for loss in $losses; do
			restore_labels $loss.0 $loss.1
			case $loss in
			flip) refused "mapping$lost: slot .*: checksum is 0x0*1, expected" $lost ;;
			*) refused "mapping$lost has no label; first label in slot .* of mapping$kept" $lost ;;
			esac
			expect_store_errno ENXIO /sys/bus/nd/drivers/nd_pmem/bind "$shown"
			expect_store_errno ENXIO "$ND/$shown/alt_name" other
			expect_store_errno ENXIO "$ND/$shown/size" $((2 * SIZE))
			expect_store_errno EINVAL "$ND/$(cat "$ND/$region/namespace_seed")/uuid" $first
			written $loss.0 $loss.1
			restore_labels old.0 old.1
			found "with the backup of DIMM $lost after $loss"
			written old.0 old.1
		done
	done

	# Another namespace gets the free space, and nothing of this one.
	restore_labels init.0 init.1
	refused "mapping$lost has no label" "$lost"
	expect_ok ndctl create-namespace -r "$region" -m raw -u $second >created
	expect_eq "the size of the other one" "$(field "$(cat created)" size)" $((all - SIZE))
	restore_labels old.0 old.1
	found "after another one was made"

	# The labels are deleted to free the space.
	restore_labels init.0 init.1
	refused "mapping$lost has no label" "$lost"
	expect_ok ndctl destroy-namespace -f "$shown"
	expect_eq "the free space after it was given up" "$(cat "$ND/$region/available_size")" "$all"
	expect_ok ndctl disable-region "$region"
	dmesg -C
	expect_ok ndctl enable-region "$region"
	wait_for_buses
	! dmesg | grep -q refused || fail "labels are refused that were given up"
	expect_ok ndctl create-namespace -r "$region" -m raw -s $SIZE -u $first >created
	expect_eq "its successor" "$(field "$(cat created)" uuid)" $first
done
