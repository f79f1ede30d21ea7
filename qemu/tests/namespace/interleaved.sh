#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Namespaces on interleaved DIMMs: labels on all DIMMs of a set, raw and sector mode, detected again
# from the labels, with their partitions, checked and destroyed by ndctl. A sector namespace of 64
# MiB has the same size as under the C modules. At the end, sector mode without labels on the region
# of the second bus, which is read-only at first.
#
# timeout: 240
. "$LIB"
. "${LIB%/*}/simulated.sh"

# expect_partition DISK: it has one partition, of 2048 sectors.
expect_partition() {
	set -- "$1" "/sys/class/block/$1"/*/partition
	expect_eq "partitions of $1" "$(cat "$2" 2>&1)" 1
	expect_eq "sectors of the partition of $1" "$(cat "${2%/*}/size")" 2048
}

for version in 1.1 1.2; do
	reset_labels $version
	pair=$(region_of_ways 2) four=$(region_of_ways 4)
	expect_eq "nstype of $four" "$(cat "$ND/$four/nstype")" 5
	expect_eq "what is available on $four" "$(cat "$ND/$four/available_size")" 67108864

	raw=$(ndctl create-namespace -b "$N0" -r "$pair" -m raw -n "two ways") || fail "create -m raw: $?"
	sector=$(ndctl create-namespace -b "$N0" -r "$four" -m sector -l 4096) || fail "create -m sector: $?"
	case $version in
	1.1) size=65961984 ;;
	1.2) size=65966080 ;;
	esac
	disk=/dev/$(field "$sector" blockdev)
	namespace=$(field "$sector" dev)
	expect_eq "the size of the BTT" "$(blockdev --getsize64 "$disk")" $size
	for number in 0 1 2 3; do
		slots=$(cat "$ND/nmem$number/available_slots")
		case $version/$number in
		1.1/[01]) expect_eq "free slots of nmem$number" "$slots" 1017 ;;
		1.1/*) expect_eq "free slots of nmem$number" "$slots" 1018 ;;
		1.2/[01]) expect_eq "free slots of nmem$number" "$slots" 507 ;;
		1.2/*) expect_eq "free slots of nmem$number" "$slots" 508 ;;
		esac
	done

	dd if=/dev/urandom of=data bs=1M count=60 status=none
	expect_ok dd if=data of="$disk" bs=1M oflag=direct status=none
	expect_ok parted -s "/dev/$(field "$raw" blockdev)" mklabel gpt mkpart one 1MiB 2MiB
	uuids=$(ndctl list -b "$N0" -N | jq -c 'map([.uuid, .mode, .size, .name]) | sort')

	# Discard all state but the contents of the media.
	expect_ok ndctl disable-region -b "$N0" all
	expect_ok ndctl disable-dimm -b "$N0" all
	expect_ok ndctl enable-dimm -b "$N0" all
	expect_ok ndctl enable-region -b "$N0" all
	expect_eq "the namespaces found again" "$(ndctl list -b "$N0" -N | jq -c 'map([.uuid, .mode, .size, .name]) | sort')" "$uuids"
	disk=/dev/$(ndctl list -b "$N0" -r "$four" -N | jq -r '.[0].blockdev')
	namespace=$(ndctl list -b "$N0" -r "$four" -N | jq -r '.[0].dev')
	expect_ok dd if="$disk" of=read bs=1M count=60 iflag=direct status=none
	expect_ok cmp data read
	expect_partition "$(ndctl list -b "$N0" -r "$pair" -N | jq -r '.[0].blockdev')"
	expect_ok parted -s "$disk" mklabel gpt mkpart one 1MiB 2MiB

	expect_ok ndctl disable-namespace "$namespace"
	expect_ok ndctl check-namespace --verbose "$namespace"
	expect_ok ndctl enable-namespace "$namespace"
	expect_partition "${disk#/dev/}"
	expect_ok ndctl destroy-namespace -f -b "$N0" all
	expect_eq "what is left" "$(ndctl list -b "$N0" -N)" ""
	expect_eq "what is available on $four" "$(cat "$ND/$four/available_size")" 67108864
	rm data read
done

legacy=$(ndctl list -b "$N1" -R | jq -r 'map(select(.size == 33554432)) | .[0].dev')
expect_ok attribute "$ND/$legacy/read_only" 0
expect_ok attribute "$ND/$legacy/align" 4096
sector=$(ndctl create-namespace --no-autolabel -f -e "namespace${legacy#region}.0" -m sector -l 4096) || fail "create -m sector without labels: $?"
expect_eq "mode without labels" "$(field "$sector" mode)" sector
expect_eq "nstype of $legacy" "$(cat "$ND/$legacy/nstype")" 4
expect_eq "the size of the BTT without labels" "$(field "$sector" size)" $((7921 * 4096))
