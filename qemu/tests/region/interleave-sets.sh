#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Interleave sets of two and of three DIMMs with labels, described by the test's own firmware:
# namespaces that ndctl creates exist after a reboot with their data. While two DIMMs are swapped,
# their set has no namespaces. If a range is shorter than the mappings of its DIMMs, namespaces that
# do not fit are refused; the C driver uses memory behind the range.
#
# firmware: interleaved swapped shrunk interleaved
# stacks: rust c
# compare
# tags: slow
# boots: 4
# timeout: 240
. "$LIB"
. "${LIB%/*}/devices.sh"

# names: prints the names of the enabled namespaces. contents put|same: writes, or compares, a
# pattern at the end of each disk of the last list.
names() {
	ndctl list -N >list
	jq -r '.[].name' list | sort | tr '\n' ' '
}

contents() {
	for namespace in $(jq -r '.[] | .name + ":" + .blockdev' list | sort); do
		disk=${namespace#*:}
		wait_for 10 test -b "/dev/$disk"
		"$1" "${namespace%%:*}" 65536 $(($(disk_bytes "$disk") - 65536)) || fail "$namespace does not hold what was written to it"
	done
}

if [ "$BOOT" = 3 ]; then
	[ "$STACK" = rust ] || exit 0
	expect_eq "namespaces" "$(names)" "1 2 3 "
	contents same
	# The kernel's log begins after the modules were loaded.
	ndctl disable-region all 2>/dev/null
	ndctl enable-region all 2>/dev/null
	settle
	expect_eq "namespaces of regions that were enabled again" "$(names)" "1 2 3 "
	expect_kernel_message 'namespace 00000000-0000-4000-8000-000000000004 refused: .*expected .*at most 0x3000000'
	exit 0
fi

# Regions of one bus are registered in any order.
for region in "$ND"/region*; do
	read -r ways <"$region/mappings"
	[ "$ways" = 2 ] && two=${region##*/} || three=${region##*/}
done
for region in $two $three; do
	for attribute in mappings size align set_cookie available_size mapping0 mapping1 mapping2; do
		[ ! -e "$ND/$region/$attribute" ] || read -r value <"$ND/$region/$attribute"
		echo "$attribute $value"
	done
done
if [ "$BOOT" = 1 ]; then
	ndctl disable-region all
	ndctl init-labels all
	ndctl enable-region all
	number=1
	for options in "$two -m raw -s 32M" "$two -m sector -l 4096" "$three -m sector -s 48M -l 512" "$three -m raw"; do
		# shellcheck disable=SC2086
		ndctl create-namespace -u "00000000-0000-4000-8000-00000000000$number" -n $number -r $options | jq -c '{mode, size, sector_size, name}'
		number=$((number + 1))
	done
fi
names
case $BOOT in
1) contents put ;;
2) expect_eq "namespaces" "$(names)" "3 4 " ;;
4) expect_eq "namespaces" "$(names)" "1 2 3 4 " ;;
esac
contents same
