#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The modules meet the requirements of ndctl's test suite: all are in updates/, are marked as
# out-of-tree, and have the aliases that libndctl looks up. `modprobe nfit_test` alone loads all
# drivers, and only enabled regions hold a reference to it.
#
# timeout: 240
. "$LIB"

# Tests begin with all modules loaded; this one unloads them.
for module in nfit_test nd_pmem dax_pmem nd_btt nfit nd_e820 libnvdimm; do
	if grep -q "^$module " /proc/modules; then
		rmmod "$module" || fail "$module cannot be unloaded"
	fi
done

for module in libnvdimm nd_btt nd_pmem dax_pmem device_dax nfit nd_e820; do
	expect_match "the file of $module" "$(modinfo -F filename "$module")" '*/updates/*'
done

# alias_leads_to ALIAS MODULE
alias_leads_to() {
	expect_eq "the module of $1" "$(modprobe --resolve-alias "$1")" "$2"
}
for type in 1 2; do
	alias_leads_to "nd:t$type" libnvdimm
done
for type in 4 5; do
	alias_leads_to "nd:t$type" nd_pmem
done
alias_leads_to nd:t7 dax_pmem
alias_leads_to acpi:ACPI0012: nfit
alias_leads_to platform:e820_pmem nd_e820

. "${LIB%/*}/devices.sh"
. "${LIB%/*}/simulated.sh"
for module in libnvdimm nd_btt nd_pmem dax_pmem nfit nfit_test; do
	expect_match "taint of $module" "$(cat "/sys/module/$module/taint")" '*O*'
done
for driver in nd_bus nvdimm nd_region nd_pmem dax_pmem; do
	[ -d "/sys/bus/nd/drivers/$driver" ] || fail "there is no driver $driver"
done
for namespace in "$ND"/namespace*.0; do
	[ -e "$namespace/driver" ] || fail "$namespace is not driven"
done

# An enabled region holds a reference to the module, an open node does not. Without enabled regions
# it can be unloaded, even with DIMMs enabled.
expect_fail rmmod nfit_test 2>/dev/null
expect_ok ndctl disable-region -b "$N0" all
expect_fail rmmod nfit_test 2>/dev/null
bus=$(field "$(ndctl list -B -b "$N0")" dev)
dimm=$(field "$(ndctl list -D -b "$N0")" dev)
exec 8</dev/"ndctl${bus#ndbus}" 9</dev/"$dimm"
expect_ok ndctl disable-region -b "$N1" all
[ -e "$ND/$dimm/driver" ] || fail "$dimm is disabled"
expect_ok modprobe -r nfit_test
exec 8<&- 9<&-

# A device DAX can be configured, but enabling it is refused with a message. A PFN device becomes a
# disk once it is configured.
load_simulated
reset_labels 1.2
region=$(region_of_ways 4)
namespace=$(seed namespace "$region") dax=$(seed dax "$region")
set_attribute "$namespace" uuid "$(uuidgen)"
set_attribute "$namespace" size 0x2000000
set_attribute "$dax" uuid "$(uuidgen)"
set_attribute "$dax" mode pmem
pfn=$(seed pfn "$region")
expect_eq "enabling $pfn, which claims nothing" "$(driver bind nd_pmem "$pfn")" ENODEV
set_attribute "$dax" namespace "$namespace"
expect_eq "enabling $dax" "$(driver bind dax_pmem "$dax")" ENXIO
expect_kernel_message "$dax: device DAX is not supported"
release "$dax"
set_attribute "$pfn" uuid "$(uuidgen)"
set_attribute "$pfn" mode pmem
set_attribute "$pfn" namespace "$namespace"
bind "$pfn"
expect_eq "bytes of the disk of $pfn" "$(disk_bytes "$(disk_of "$pfn")")" "$(show "$pfn" size)"
release "$pfn"
expect_eq "holder of $namespace" "$(show "$namespace" holder)" ""
