#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Flush hints at various addresses. Hints in an unused page are written to, and two of them may
# share the page, which is reserved once and released with the module. A hint in the kernel's image,
# in other RAM, or beyond the address width of the CPU disables only its region, and is not written
# to.
#
# firmware: hints
# stacks: rust c
# config: DEVMEM !STRICT_DEVMEM
# compare
. "$LIB"
. "${LIB%/*}/devices.sh"

# memory ADDRESS: prints the eight bytes at a physical address.
memory() {
	dd if=/dev/mem bs=8 skip=$(($1 / 8)) count=1 2>/dev/null | xxd -p
}

BASE=$((608 << 20))
KERNEL=$((0x1200000))
code=$(sed -n 's/^ *\(.*\)-\(.*\) : Kernel code$/0x\1 0x\2/p' /proc/iomem)
[ $((${code% *})) -le $KERNEL ] && [ $KERNEL -lt $((${code#* })) ] || fail "the kernel's code is at $code"
kernel=$(memory $KERNEL)
expect_eq "bytes of the kernel" "${#kernel}" 16

for region in "$ND"/region*; do
	index=$(cat "$region/nfit/range_index")
	if enabled "${region##*/}"; then
		echo "range $index is enabled: deep_flush $(cat "$region/deep_flush")"
	else
		echo "range $index is not enabled: binding it is $(driver bind nd_region "${region##*/}")"
	fi
done | sort
for region in "$ND"/region*; do
	[ "$STACK" = rust ] || break
	index=$(cat "$region/nfit/range_index")
	[ "$index" -lt 4 ] || expect_kernel_message "${region##*/}.*flush hint"
done

expect_eq "the hint of DIMM 1 before" "$(memory $((BASE + 0x100)))" 0000000000000000
expect_eq "the hint of DIMM 2 before" "$(memory $((BASE + 0x200)))" 0000000000000000
for region in "$ND"/region*; do
	! enabled "${region##*/}" || attribute "$region/deep_flush" 1
done
expect_eq "the hint of DIMM 1 afterwards" "$(memory $((BASE + 0x100)))" 0100000000000000
expect_eq "the hint of DIMM 2 afterwards" "$(memory $((BASE + 0x200)))" 0100000000000000
expect_eq "what lies between the hints" "$(memory $((BASE + 0x180)))" 0000000000000000
expect_eq "what lies in the kernel's image" "$(memory $KERNEL)" "$kernel"

# fsync writes to the hint as well.
dd if=/dev/zero of=/dev/mem bs=8 seek=$(((BASE + 0x200) / 8)) count=1 conv=notrunc 2>/dev/null || fail "/dev/mem cannot be written to"
for region in "$ND"/region*; do
	[ "$(cat "$region/nfit/range_index")" = 2 ] || continue
	namespace=namespace${region##*region}.0
	disk=$(disk_of "$namespace")
	wait_for 10 test -b "/dev/$disk"
	dd if=/dev/zero of="/dev/$disk" bs=4096 count=1 conv=fsync 2>/dev/null
done
expect_eq "the hint of DIMM 2 after fsync" "$(memory $((BASE + 0x200)))" 0100000000000000

if [ "$STACK" = rust ]; then
	page=$(printf '%x' $BASE)
	bus=$(basename "$(readlink -f "$region/..")")
	expect_eq "what is reserved of the page" "$(sed -n "s/^ *$page-/-/p" /proc/iomem)" "-${page%000}fff : $bus"
	unload_modules
	expect_eq "what is reserved of the page afterwards" "$(sed -n "s/^ *$page-/-/p" /proc/iomem)" ""
	load_modules
fi
