#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Power cuts while labels are written: the namespace that is being changed is as before or after a
# change, its neighbour is unchanged, and no slot and no space is lost.
# `make test ARGS="--iterations 21 label/power-cuts"` cuts the power 20 times.
#
# needs: nvdimm=160M,label=128K
# boots: 4
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"

BOOTS=$(argument boots 4)
here=11111111-1111-4111-8111-111111111111
there=22222222-2222-4222-8222-222222222222
neighbour=33333333-3333-4333-8333-333333333333
UNIT=$((16 << 20))

namespace_with() {
	ndctl list -Ni | jq -r --arg uuid "$1" '.[] | select(.uuid == $uuid) | .dev'
}

# change NAMESPACE: changes the namespace in an endless loop. Each change is a store to an
# attribute.
change() {
	while :; do
		for uuid in $there $here; do
			attribute "$ND/$1/uuid" $uuid
			attribute "$ND/$1/size" $((3 * UNIT))
			attribute "$ND/$1/alt_name" long
			attribute "$ND/$1/sector_size" 4096
			attribute "$ND/$1/alt_name" short
			attribute "$ND/$1/size" $UNIT
			attribute "$ND/$1/sector_size" 512
		done
	done
}

settle
if [ "$BOOT" = 1 ]; then
	ndctl disable-region region0 2>/dev/null
	ndctl init-labels -f -V 1.2 nmem0 2>/dev/null
	ndctl enable-region region0 2>/dev/null
	# Namespaces are placed one behind the other, so the last one can grow.
	ndctl create-namespace -r region0 -m raw -s 16M -u $neighbour -n neighbour >made.json || fail "create-namespace: $?"
	ndctl create-namespace -r region0 -m raw -s 16M -u $here -n short >made.json || fail "create-namespace: $?"
	ndctl disable-namespace "$(namespace_with $here)" 2>/dev/null
	disk=$(disk_of "$(namespace_with $neighbour)")
	put 1 65536 0
fi

expect_eq "namespaces" "$(ndctl list -Ni | jq '[.[] | select(.size > 0)] | length')" 2
changed=$(namespace_with $here)$(namespace_with $there)
expect_match "the namespace that was changed" "$changed" "namespace0.[0-9]"
expect_match "its size" "$(($(show "$changed" size) / UNIT))" "[13]"
expect_match "its name" "$(show "$changed" alt_name)" "*o*"
expect_eq "free slots" "$(show nmem0 available_slots)" 507
expect_eq "free space" "$(show region0 available_size)" $((9 * UNIT - $(show "$changed" size)))
kept=$(namespace_with $neighbour)
disk=$(disk_of "$kept")
same 1 65536 0 || fail "the neighbour lost its data"
ndctl disable-region region0 2>/dev/null
ndctl read-labels -o before nmem0 2>/dev/null
dmesg -C
ndctl enable-region region0 2>/dev/null
settle
! dmesg | grep -q "interrupted\|refused" || fail "one DIMM has all labels of a namespace, or none"
ndctl disable-region region0 2>/dev/null
ndctl read-labels -o after nmem0 2>/dev/null
cmp before after || fail "enabling the region has changed the labels"
ndctl enable-region region0 2>/dev/null
settle

if [ "$BOOT" -lt $BOOTS ]; then
	ndctl disable-namespace "$changed" 2>/dev/null
	change "$changed" &
	sleep "$(awk -v seed="$(cut -d. -f1 /proc/uptime)$$" 'BEGIN { srand(seed); print 0.3 + rand() }')"
	power_cut
fi
