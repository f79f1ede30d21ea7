#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Simulated buses are loaded and unloaded repeatedly, in the first two rounds and in the last one
# with a new BTT and a locked DIMM: numbers start again, and no memory is leaked.
# `make test ARGS="--append rounds=50 module/simulated-reload"` does 50 rounds.
#
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/simulated.sh"

ROUNDS=$(argument rounds 5)
# Variation of memory in use: caches of the VFS.
TOLERANCE_KIB=4096

round() {
	region=$(region_of_ways 2)
	reset_labels 1.2
	ndctl create-namespace -r "$region" -m sector -l 4096 >/dev/null || fail "create on $region"
	head -c 1M /dev/zero >"$(echo /dev/"$(field "$(ndctl list -N -r "$region")" blockdev)")"
	dimm=$(field "$(ndctl list -D -b "$N0")" dev)
	expect_eq "lowest DIMM" "$dimm" "$first_dimm"
	echo 1 >/sys/devices/platform/nfit_test.0/nfit_test_dimm/test_dimm0/lock_dimm
}

# without_udev and with_udev: stop and start udev, which takes longer for each new disk than
# everything else here.
without_udev() {
	udev_settle
	udevadm control --exit
	# Reached only if a round fails.
	trap 'with_udev; unload_simulated; exit 1' EXIT
}

with_udev() {
	pidof systemd-udevd >/dev/null || /usr/lib/systemd/systemd-udevd --daemon
	trap unload_at_exit EXIT
}

# unload_at_once: like unload_simulated, but without ndctl, which takes a minute on the debug
# kernel.
unload_at_once() {
	for _region in "$ND"/region*; do
		case $(readlink -f "$_region") in
		*/nfit_test.[01]/*) ! enabled "${_region##*/}" || unbind "${_region##*/}" ;;
		esac
	done
	modprobe -r nfit_test
}

first_dimm=$(field "$(ndctl list -D -b "$N0")" dev)
first_region=$(region_of_ways 2)
unload_simulated
# The first rounds fill caches.
before=
for number in $(seq "$ROUNDS"); do
	[ "$number" -ne 3 ] || without_udev
	[ "$number" -ne "$ROUNDS" ] || with_udev
	load_simulated
	expect_eq "the region" "$(region_of_ways 2)" "$first_region"
	if [ "$number" -le 2 ] || [ "$number" -eq "$ROUNDS" ]; then
		round
		expect_ok unload_simulated
	else
		expect_ok unload_at_once
	fi
	[ "$number" -ne 2 ] || before=$(kernel_memory)
done
after=$(kernel_memory)
grown=$((after - before))
echo "$ROUNDS rounds: kernel memory $before KiB after two, $after KiB at the end"
[ "$grown" -lt "$TOLERANCE_KIB" ] || fail "kernel memory has grown by $grown KiB"
# The exit handler unloads the module.
load_simulated
