#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Allocations fail while labels are read and changed: a namespace gets its size and its name,
# another UUID, more space, and is deleted; its region and its DIMM are disabled and enabled. The
# labels of a DIMM are read in many ACPI calls with dozens of allocations each. Every 13th of them
# fails, or all with ARGS="--append every=1".
#
# needs: nvdimm=64M,label=128K
# config: FAILSLAB FAIL_PAGE_ALLOC FAULT_INJECTION_USERCOPY FAULT_INJECTION_STACKTRACE_FILTER
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/faults.sh"

first=11111111-1111-4111-8111-111111111111
second=22222222-2222-4222-8222-222222222222
third=33333333-3333-4333-8333-333333333333

# change_with_faults ATTRIBUTE VALUE [--undo ATTRIBUTE VALUE]...: changes the namespace and its
# labels.
change_with_faults() {
	_change=$1 _value=$2
	shift 2
	_undo=
	while [ $# -gt 0 ]; do
		_undo="$_undo --undo $ND/$namespace/$2 $3"
		shift 3
	done
	# shellcheck disable=SC2086
	faults --or EINVAL $_undo write "$ND/$namespace/$_change" "$_value"
}

unbind region0
ndctl init-labels nmem0 >/dev/null 2>said || fail "init-labels: $(cat said)"
bind region0
namespace=$(seed namespace region0)

# ACPI returns EINVAL for a call without memory, and an incomplete answer becomes ENXIO.
faults --or EINVAL --or ENXIO read-labels /dev/nmem0
change_with_faults uuid $first --undo uuid $second
# A namespace without a size has no UUID either.
change_with_faults size 16777216 --undo size 0 --undo uuid $first
change_with_faults alt_name archive --undo alt_name '\0'
change_with_faults uuid $second --undo uuid $first
change_with_faults size 33554432 --undo size 16777216

# Another namespace disappears when it is deleted.
another_namespace() {
	device=$(seed namespace region0)
	[ "$device" != "$namespace" ] || fail "$namespace is still the seed"
	set_attribute "$device" uuid $third
	set_attribute "$device" size 16777216
	bind "$device"
	unbind "$device"
	[ "$device" != "$(seed namespace region0)" ] || fail "$device is still the seed"
	still_labelled
}

still_labelled() {
	expect_eq "UUIDs of labels" "$(labels)" "$second $third "
}

unlabelled() {
	expect_eq "UUIDs of labels" "$(labels)" "$second "
	expect_eq "available space" "$(show region0 available_size)" "$available"
}

# labels: prints the UUIDs of the labels on the DIMM.
labels() {
	/host/tools/sysfs-probe labels /dev/nmem0 >uuids || fail "the labels cannot be read"
	sort uuids | tr '\n' ' '
}

bind "$namespace"
available=$(show region0 available_size)
remove_with_faults size 0 another_namespace still_labelled unlabelled --or EINVAL
unbind "$namespace"

unbind_with_faults nd_region region0
bind_with_faults nd_region region0 --or EINVAL --or ENXIO
namespace=
for device in "$ND"/namespace0.*; do
	if [ "$(cat "$device/alt_name")" = archive ]; then
		namespace=${device##*/}
	fi
done
[ -n "$namespace" ] || fail "the namespace was not found again"
expect_eq "the namespace's UUID" "$(show "$namespace" uuid)" $second
expect_eq "the namespace's size" "$(show "$namespace" size)" 33554432
! enabled "$namespace" || unbind "$namespace"
change_with_faults size 0 --undo uuid $second --undo size 33554432
unbind region0
faults --undo /sys/bus/nd/drivers/nvdimm/bind nmem0 write /sys/bus/nd/drivers/nvdimm/unbind nmem0
faults --every "$(argument every 13)" --or EINVAL --or ENXIO --undo /sys/bus/nd/drivers/nvdimm/unbind nmem0 \
	write /sys/bus/nd/drivers/nvdimm/bind nmem0
bind region0
expect_eq "available space" "$(show region0 available_size)" "$(show region0 size)"
expect_no_complaints 100
