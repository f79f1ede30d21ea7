# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
#
# Library for tests in the guest: `. "${LIB%/*}/faults.sh"`. Every allocation and every copy from
# user space that our modules request in an operation fails in turn: the first, the second, … until
# there are no more. The caller must get the error, nothing may have changed, and without a fault
# the operation must succeed. For `make test-debug`, where kmemleak looks for leaks when the modules
# are unloaded. ARGS="--append depth=32" lets more places fail.
#
# See the kernel's Documentation/fault-injection/fault-injection.rst.

# Only requests by code of a module fail, made directly or through few functions: a failure deep in
# the block layer gives the same error to the same code. Requests that may wait fail, too. The stack
# traces of so many faults are not printed.
for _kind in failslab fail_page_alloc fail_usercopy; do
	echo 0xffffffffa0000000 >/sys/kernel/debug/$_kind/require-start
	echo 0xffffffffff000000 >/sys/kernel/debug/$_kind/require-end
	argument depth 8 >/sys/kernel/debug/$_kind/stacktrace-depth
	echo 0 >/sys/kernel/debug/$_kind/verbose
done
echo N >/sys/kernel/debug/failslab/ignore-gfp-wait
echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait
echo 0 >/sys/kernel/debug/fail_page_alloc/min-order

# udev would load modules and open disks at arbitrary times.
udev_settle
udevadm control --exit
trap '/usr/lib/systemd/systemd-udevd --daemon' EXIT

total=0
complaints=

# spare FUNCTION: excludes requests by a function of the kernel, even on behalf of our modules.
spare() {
	grep -A 1 " T $1\$" /proc/kallsyms >spared
	[ "$(wc -l <spared)" = 2 ] || fail "the kernel has no function $1"
	{
		read -r _from _
		read -r _to _
	} <spared
	for _kind in failslab fail_page_alloc fail_usercopy; do
		echo "0x$_from" >/sys/kernel/debug/$_kind/reject-start
		echo "0x$_to" >/sys/kernel/debug/$_kind/reject-end
	done
}

# faults [--undo FILE VALUE]... [--or ERROR]... OPERATION...: injects the faults. The operation is
# done afterwards.
faults() {
	if /host/tools/sysfs-probe faults "$@" >said; then
		echo "$(head -n 1 said): $*"
	else
		echo "$(cat said): $*"
		complaints="$complaints $*;"
	fi
	_count=$(sed -n '1s/ faults.*//p' said)
	total=$((total + ${_count:-0}))
}

# bind_with_faults DRIVER DEVICE [--or ERROR]...: binds a driver. unbind_with_faults unbinds it.
bind_with_faults() {
	_driver=/sys/bus/nd/drivers/$1 _device=$2
	shift 2
	faults "$@" --undo "$_driver/unbind" "$_device" write "$_driver/bind" "$_device"
}

unbind_with_faults() {
	faults --undo "/sys/bus/nd/drivers/$1/bind" "$2" write "/sys/bus/nd/drivers/$1/unbind" "$2"
}

# set_with_faults DEVICE ATTRIBUTE VALUE OTHER: sets an attribute; OTHER is the value that undoes
# it.
set_with_faults() {
	faults --undo "$ND/$1/$2" "$4" write "$ND/$1/$2" "$3"
}

# expect_no_complaints FAULTS: no operation failed its checks, and at least this number of faults
# were injected.
expect_no_complaints() {
	echo "$total faults"
	[ -z "$complaints" ] || fail "not as it should be:$complaints"
	[ "$total" -ge "$1" ] || fail "only $total faults were injected"
}
