#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A provider is unloaded while other processes have just looked up one of its DIMMs and are not
# scheduled. When they drop their references later, no code of the unloaded module is called. An
# open control node or disk does not hold a reference to the provider.
#
# needs: nvdimm=32M,label=128K
# timeout: 400
. "$LIB"
. "${LIB%/*}/devices.sh"

# binder: looks up the DIMM in a loop. It runs only while the CPUs are idle otherwise.
binder() {
	while [ -e binding ]; do
		echo nmem0 >/sys/bus/nd/drivers/nvdimm/bind || true
	done 2>/dev/null
}

hog() {
	while [ -e hogging ]; do
		:
	done
}

: >binding
: >hogging
binders=
for _ in 1 2 3 4 5 6; do
	binder &
	binders="$binders $!"
done
for process in $binders; do
	chrt --idle --pid 0 "$process"
done
rm hogging

for turn in $(seq "$(argument turns 20)"); do
	modprobe nfit
	settle
	! enabled region0 || unbind region0
	sleep 0.2
	: >hogging
	hog &
	first=$!
	hog &
	second=$!
	sleep 0.3
	chrt --fifo 10 rmmod nfit &
	unloading=$!
	sleep 1
	rm hogging
	wait "$unloading" || fail "nfit cannot be unloaded in turn $turn"
	wait "$first" "$second"
	[ ! -e "$ND/ndbus0" ] || fail "the bus is still there after turn $turn"
done
rm binding
for process in $binders; do
	wait "$process"
done

modprobe nfit
settle
udev_settle
wait_for 20 test -b /dev/pmem0
exec 4</dev/ndctl0 5</dev/nmem0 6</dev/pmem0
unbind region0
expect_ok timeout 20 rmmod nfit
exec 4<&- 5<&- 6<&-
load_modules
wait_for 20 test -b /dev/pmem0
