# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
#
# Library for tests in the guest: `. "${LIB%/*}/faults.sh"`. Every allocation and every copy from
# user space that our modules request in an operation fails in turn: the first, the second, … until
# there are no more. Either the caller gets an error, and nothing may have changed, or the operation
# succeeds with all its effects. Without a fault it must succeed. For `make test-debug`, where
# kmemleak looks for leaks when the modules are unloaded. ARGS="--append depth=32" lets more places
# fail.
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

# remove_with_faults ATTRIBUTE VALUE MAKE KEPT GONE [--or ERROR]...: injects the faults into a write
# to an attribute that removes its device, which cannot be undone. The function MAKE makes a device
# and sets $device to its name. When the write has failed, nothing in sysfs may have changed, KEPT
# checks the rest, and the next fault meets the same device. When it has succeeded, with a fault or
# without one, the device must be gone, and GONE checks the other effects. MAKE makes another device
# for the next fault.
remove_with_faults() {
	_attribute=$1 _new=$2 _make=$3 _kept=$4 _gone=$5
	shift 5
	_place=1 _survived=0
	"$_make"
	while :; do
		if ! /host/tools/sysfs-probe faults --place $_place "$@" write "$ND/$device/$_attribute" "$_new" >said; then
			complaints="$complaints $_attribute of $device: $(cat said);"
			expect_no_complaints 0
		fi
		_end=$(head -n 1 said)
		case $_end in
		failed:*)
			"$_kept"
			;;
		survived | 'no fault')
			settle
			[ ! -e "$ND/$device" ] || fail "fault $_place: $_end, but $device is still there"
			"$_gone"
			[ "$_end" = survived ] || break
			_survived=$((_survived + 1))
			"$_make"
			;;
		*) fail "fault $_place: $_end" ;;
		esac
		total=$((total + 1))
		_place=$((_place + 1))
	done
	_count=$((_place - 1))
	[ $_survived -lt $_count ] || fail "$_count faults in '$_new' to $_attribute, and none made it fail"
	echo "$_count faults, $_survived survived: '$_new' to $_attribute, which removes the device"
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
