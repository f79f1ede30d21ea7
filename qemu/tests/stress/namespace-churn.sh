#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Eight namespaces in one region, three of them in sector mode, through reboots and under both
# stacks in turns: each boot finds the namespaces of the previous one with their data, destroys all
# of them, creates them in another order, and replaces two. No slot and no space is lost.
# `make test ARGS="--iterations 20 stress/namespace-churn"` does it 20 times.
#
# needs: nvdimm=352M,label=128K
# tags: slow
# boots: rust c rust
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"

COUNT=8

# describe ROUND NUMBER: sets $uuid, $mode, $size in MiB and $seed of the data of a namespace. The
# order changes with the round.
describe() {
	uuid=$(printf '00000000-0000-4000-8000-%06d%06d' "$1" "$2")
	case $((($1 + $2) % COUNT)) in
	1 | 4) mode=sector ;;
	6) mode=sector ;;
	*) mode=raw ;;
	esac
	size=$((16 + ($1 * 3 + $2) % 3 * 16))
	seed=$(($1 * COUNT + $2))
}

make() {
	describe "$1" "$2"
	ndctl create-namespace -r region0 -m $mode -s ${size}M -u "$uuid" -n "n$2" >made.json ||
		fail "namespace $2 of round $1: $?"
	disk=$(jq -r .blockdev made.json)
	wait_for 20 test -b "/dev/$disk"
	put "$seed" 65536 4096
}

# listed: lists the namespaces for the functions below.
listed() {
	ndctl list -N >listed.json
	expect_eq "namespaces" "$(jq length listed.json)" $COUNT
}

# check ROUND NUMBER: the namespace is as it was created.
check() {
	describe "$1" "$2"
	jq -e --arg name "n$2" '.[] | select(.name == $name)' listed.json >found.json ||
		fail "namespace $2 of round $1 is gone"
	# For a BTT ndctl lists the UUID of the BTT.
	expect_eq "UUID of namespace $2" "$(show "$(jq -r .dev found.json)" uuid)" "$uuid"
	expect_eq "mode of namespace $2" "$(jq -r .mode found.json)" $mode
	bytes=$((size << 20))
	[ $mode = sector ] || expect_eq "size of namespace $2" "$(jq -r .size found.json)" $bytes
	disk=$(jq -r .blockdev found.json)
	same "$seed" 65536 4096 || fail "the data of namespace $2 of round $1 are gone"
}

destroy() {
	device=$(jq -r --arg name "n$2" '.[] | select(.name == $name) | .dev' listed.json)
	ndctl destroy-namespace -f "$device" >/dev/null 2>destroyed || fail "destroying $device: $(cat destroyed)"
}

# all COMMAND...: runs a command for each number.
all() {
	for number in $(seq $COUNT); do
		"$@" "$number"
	done
}

# empty: all slots and all space are free.
empty() {
	expect_eq "free space" "$(show region0 available_size)" "$(show region0 max_available_extent)"
	expect_eq "free space" "$(show region0 available_size)" $((352 << 20))
	expect_eq "free slots" "$(show nmem0 available_slots)" 509
	expect_eq "namespaces" "$(ndctl list -N)" ""
}

settle
if [ "$BOOT" = 1 ]; then
	ndctl disable-region region0 2>/dev/null
	ndctl init-labels -f -V 1.2 nmem0 2>/dev/null
	ndctl enable-region region0 2>/dev/null
	settle
else
	listed
	all check $((BOOT - 1))
	all destroy $((BOOT - 1))
fi
empty
all make "$BOOT"
listed
expect_eq "namespaces for sectors" "$(jq 'map(select(.mode == "sector")) | length' listed.json)" 3
# Two of them are replaced by others of the same sizes.
for number in 2 5; do
	destroy "$BOOT" $number
	make "$BOOT" $number
done
expect_eq "free slots" "$(show nmem0 available_slots)" $((509 - COUNT))
listed
all check "$BOOT"
