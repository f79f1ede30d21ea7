# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
#
# For tests in the guest: `. "${LIB%/*}/faults.sh"`. Every allocation and every copy from user space that our modules ask for in an operation
# fails in turn: the first, the second, … until there are no more. The error reaches the caller, nothing has changed, and without a fault the
# operation works. For `make test-debug`, where kmemleak looks for what is lost when the modules are unloaded. More places fail with
# ARGS="--append depth=32".
#
# See Documentation/fault-injection/fault-injection.rst of the kernel.

[ -e /proc/self/fail-nth ] || skip "this kernel injects no faults"

# Only what code of a module asks for fails, itself or through few other functions: what fails deep in the block layer gives the same error to
# the same code. It fails also where it may wait. Nobody reads the stacks of so many faults.
for _kind in failslab fail_page_alloc fail_usercopy; do
	echo 0xffffffffa0000000 >/sys/kernel/debug/$_kind/require-start
	echo 0xffffffffff000000 >/sys/kernel/debug/$_kind/require-end
	argument depth 8 >/sys/kernel/debug/$_kind/stacktrace-depth
	echo 0 >/sys/kernel/debug/$_kind/verbose
done
echo N >/sys/kernel/debug/failslab/ignore-gfp-wait
echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait
echo 0 >/sys/kernel/debug/fail_page_alloc/min-order

# udev would load modules and open disks at moments of its own.
udevadm settle
udevadm control --exit
trap '/usr/lib/systemd/systemd-udevd --daemon' EXIT

total=0
complaints=

# spare FUNCTION: what a function of the kernel asks for, even for our modules, does not fail.
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

# faults [--undo FILE VALUE]... [--or ERROR]... OPERATION...: lets them happen; the operation is done afterwards.
faults() {
	if /host/tools/attribute faults "$@" >said; then
		echo "$(head -n 1 said): $*"
	else
		echo "$(cat said): $*"
		complaints="$complaints $*;"
	fi
	_count=$(sed -n '1s/ faults.*//p' said)
	total=$((total + ${_count:-0}))
}

# bind_with_faults DRIVER DEVICE [--or ERROR]...: binds a driver; unbind_with_faults does the reverse.
bind_with_faults() {
	_driver=/sys/bus/nd/drivers/$1 _device=$2
	shift 2
	faults "$@" --undo "$_driver/unbind" "$_device" write "$_driver/bind" "$_device"
}

unbind_with_faults() {
	faults --undo "/sys/bus/nd/drivers/$1/bind" "$2" write "/sys/bus/nd/drivers/$1/unbind" "$2"
}

# set_with_faults DEVICE ATTRIBUTE VALUE OTHER: sets an attribute, which OTHER undoes.
set_with_faults() {
	faults --undo "$ND/$1/$2" "$4" write "$ND/$1/$2" "$3"
}

# expect_no_complaints FAULTS: all was well, with at least so many faults.
expect_no_complaints() {
	echo "$total faults"
	[ -z "$complaints" ] || fail "not as it should be:$complaints"
	[ "$total" -ge "$1" ] || fail "only $total faults were injected"
}
