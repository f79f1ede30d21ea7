#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Boolean module parameters, in the forms that modprobe.d may use.
#
# stacks: rust c
. "$LIB"
. "${LIB%/*}/devices.sh"

# shows MODULE PARAMETER VALUE
shows() {
	expect_eq "$2 of $1" "$(cat "/sys/module/$1/parameters/$2")" "$3"
}

unload_modules
expect_ok modprobe libnvdimm
shows libnvdimm key_revalidate Y
expect_ok modprobe nfit force_labels no_init_ars=Y disable_vendor_specific=off force_enable_dimms=1
shows nfit force_labels Y
shows nfit no_init_ars Y
shows nfit disable_vendor_specific N
shows nfit force_enable_dimms Y
remove_modules nfit libnvdimm

expect_fail modprobe libnvdimm key_revalidate=maybe 2>/dev/null
expect_ok modprobe libnvdimm key_revalidate=n
shows libnvdimm key_revalidate N
expect_ok modprobe nfit
shows nfit force_labels N
remove_modules nfit libnvdimm
