#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The agent: executes commands that the host sends over the virtio port `control`, one a line.
#
#   load STACK        load the NVDIMM modules                              done STATUS
#   unload            unload all of them                                   done STATUS
#   run SCRIPT NAME STACK BOOT [ARGUMENT...]                               done STATUS
#                     run a script of qemu/ with its output in NAME.out and NAME.err of the share
#                     `run`, and the kernel's log in NAME.dmesg
#   leaks             write kmemleak's report to the file `leaks` of the share `run`, if the kernel
#                     has kmemleak                                         done STATUS
#   halt              power off
#
# A running script may send lines itself, with the functions of tests/common/lib.sh: `say TEXT`,
# `cut` (requests a power cut), `plug` (requests an NVDIMM).
set -u

. /host/qemu/tests/common/lib.sh
exec 3<>"$(port control)"

# In the order of removal: users before what they use. Some exist in only one of the stacks.
MODULES='nfit_test nd_pmem dax_pmem device_dax nd_btt nd_pfn nfit nd_e820 ramdax libnvdimm'

load() {
	modprobe -a nfit nd_e820 nd_btt nd_pmem || return 1
	for wait in /sys/bus/nd/devices/ndbus*/wait_probe /sys/class/nd/ndctl*/device/wait_probe; do
		[ -e "$wait" ] && read -r _ <"$wait"
	done
	udev_settle 60
}

# udevd may load a module again while it handles events, so wait until it is idle. Enabled regions
# hold a reference to their provider, so unbind them.
unload() {
	udev_settle 60
	for region in /sys/bus/nd/drivers/nd_region/region*; do
		[ -e "$region" ] && echo "${region##*/}" >/sys/bus/nd/drivers/nd_region/unbind
	done
	# shellcheck disable=SC2086
	remove_modules $MODULES || return 1
	udev_settle 60
}

# Removes what a script left: mounts, and processes with files open on them.
clean() {
	awk '$2 ~ "^/tmp/test" { print $2 }' /proc/mounts | sort -r | while read -r mounted; do
		fuser -k -m "$mounted" >/dev/null 2>&1
		umount "$mounted"
	done
	rm -rf /tmp/test
}

run() {
	script=$1 name=$2 stack=$3 boot=$4
	shift 4
	clean
	mkdir -p /tmp/test
	dmesg -C
	(
		cd /tmp/test || exit 1
		STACK=$stack BOOT=$boot TEST=${script#tests/} LIB=/host/qemu/tests/common/lib.sh
		TEST=${TEST%.sh}
		export STACK BOOT TEST LIB
		exec sh -eu "/host/qemu/$script" "$@"
	) >"/host/run/$name.out" 2>"/host/run/$name.err" </dev/null
	status=$?
	dmesg >"/host/run/$name.dmesg"
	cd /
	clean
	return $status
}

# kmemleak only reports objects that are some seconds old and unchanged in two scans in a row.
leaks() {
	kmemleak=/sys/kernel/debug/kmemleak
	: >/host/run/leaks
	[ -e $kmemleak ] || return 0
	sleep 6
	echo scan >$kmemleak && echo scan >$kmemleak && cat $kmemleak >/host/run/leaks
}

echo "ready guest/agent.sh" >&3
while read -r verb arguments <&3; do
	case $verb in
	load | unload | run | leaks)
		# shellcheck disable=SC2086
		$verb $arguments
		echo "done $?" >&3
		;;
	halt)
		sync
		echo o >/proc/sysrq-trigger
		sleep 60
		;;
	*)
		echo "unknown $verb" >&3
		;;
	esac
done
