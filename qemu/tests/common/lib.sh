# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Library for tests in the guest: `. "$LIB"`. If an expectation is not met, the test ends with a
# message.

# fail MESSAGE...
fail() {
	echo "$TEST: $*" >&2
	exit 1
}

# skip REASON...: ends a test that cannot run here.
skip() {
	echo "$*" >&2
	exit 77
}

# say TEXT...: sends a line to the host.
say() {
	printf 'say %s\n' "$*" >&3
}

# power_cut: lets the host kill the machine, without flushing caches. For tests with boots of their
# own.
power_cut() {
	echo cut >&3
	sleep 60
	fail "the power was not cut"
}

# expect_eq WHAT FOUND EXPECTED
expect_eq() {
	[ "$2" = "$3" ] || fail "$1 is '$2', not '$3'"
}

# expect_match WHAT FOUND PATTERN: PATTERN is one of `case`.
expect_match() {
	# shellcheck disable=SC2254
	case $2 in
	$3) ;;
	*) fail "$1 is '$2', which does not look like '$3'" ;;
	esac
}

# expect_ok COMMAND...
expect_ok() {
	"$@" || fail "'$*' ended with status $?"
}

# expect_fail COMMAND...
expect_fail() {
	if "$@"; then
		fail "'$*' succeeded"
	fi
}

# expect_errno TEXT COMMAND...: the command fails and prints the text of this errno, like 'Device or
# resource busy'.
expect_errno() {
	_errno=$1
	shift
	if _said=$("$@" 2>&1 >/dev/null); then
		fail "'$*' succeeded instead of: $_errno"
	fi
	expect_match "the error of '$*'" "$_said" "*$_errno*"
}

# attribute FILE VALUE: writes a sysfs attribute in one system call.
attribute() {
	printf '%s' "$2" >"$1"
}

# store FILE VALUE: the same, and prints `ok` or the name of the error, like EBUSY. The value may
# have the escapes `\n`, `\t` and `\0` of C. An empty value is written as a NUL, as libndctl does,
# since drivers do not see a write of no bytes.
store() {
	/host/tools/sysfs-probe write "$1" "$2"
}

# expect_store_errno NAME FILE VALUE: the store fails with this errno, and the attribute keeps its
# value.
expect_store_errno() {
	_before=$(cat "$2" 2>/dev/null || true)
	expect_eq "the error of writing '$3' to $2" "$(store "$2" "$3")" "$1"
	expect_eq "$2 after a refused store" "$(cat "$2" 2>/dev/null || true)" "$_before"
}

# expect_kernel_message REGEX: the kernel's log has such a line since the test began.
expect_kernel_message() {
	dmesg | grep -Eq -- "$1" || fail "the kernel did not say '$1'"
}

# wait_for SECONDS COMMAND...: repeats a command until it succeeds.
wait_for() {
	within "$@" || {
		shift
		fail "'$*' does not come true"
	}
}

# within SECONDS COMMAND...: repeats a command until it succeeds. Fails when the time is over.
within() {
	_tries=$(($1 * 10))
	shift
	until "$@"; do
		_tries=$((_tries - 1))
		[ "$_tries" -gt 0 ] || return 1
		sleep 0.1
	done
}

# udev_settle [SECONDS]: waits until udevd has handled all events. In some 10,000 calls, udevd has
# closed the connection once before it answered ("Broken pipe"), in a guest just booted. As long as
# udevd lives, such a call is repeated.
udev_settle() {
	for _try in 1 2; do
		udevadm settle --timeout="${1:-120}" && return
		pgrep -x systemd-udevd >/dev/null || {
			echo "udevd has ended" >&2
			dmesg | grep -E 'udev|segfault|traps:|Out of memory' | tail -n 5 >&2
			return 1
		}
		echo "udevadm settle failed, attempt $_try" >&2
	done
	return 1
}

# remove_modules MODULE...: removes those that are loaded, in this order.
remove_modules() {
	_loaded=" $(cut -d ' ' -f 1 /proc/modules | tr '\n' ' ')"
	_removed=
	for _module; do
		case $_loaded in
		*" $_module "*) _removed="$_removed $_module" ;;
		esac
	done
	# shellcheck disable=SC2086
	[ -z "$_removed" ] || rmmod $_removed
}

# argument NAME DEFAULT: prints the value of NAME=VALUE on the kernel's command line.
argument() {
	_value=$(tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p")
	echo "${_value:-$2}"
}

# plug: plugs in the next of the NVDIMMs that the test's head lists under `plugs`.
plug() {
	echo plug >&3
}

# port NAME: prints the device of the virtio port of this name.
port() {
	for _port in /sys/class/virtio-ports/*; do
		if [ "$(cat "$_port/name")" = "$1" ]; then
			echo "/dev/${_port##*/}"
			return
		fi
	done
	fail "there is no port $1"
}

# btt_create NAMESPACE SECTOR_SIZE: makes a BTT on a raw namespace, as in the kernel's
# documentation, and prints its name.
btt_create() {
	_region=$(basename "$(dirname "$(readlink -f "$ND/$1")")")
	_seed=$(cat "$ND/$_region/btt_seed")
	attribute "$ND/$_seed/uuid" "$(cat /proc/sys/kernel/random/uuid)"
	attribute "$ND/$_seed/sector_size" "$2"
	attribute "$ND/$_seed/namespace" "$1"
	if [ -e "/sys/bus/nd/drivers/nd_pmem/$1" ]; then
		attribute /sys/bus/nd/drivers/nd_pmem/unbind "$1"
	fi
	attribute /sys/bus/nd/drivers/nd_pmem/bind "$_seed"
	echo "$_seed"
}

# NVDIMM devices in sysfs.
ND=/sys/bus/nd/devices
