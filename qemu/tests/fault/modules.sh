#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Allocations fail while modules are loaded: loading fails, and succeeds afterwards. Every fifth of
# the many allocations of nfit fails, or all with ARGS="--append every=1".
#
# needs: nvdimm=64M
# config: FAILSLAB FAIL_PAGE_ALLOC FAULT_INJECTION_USERCOPY FAULT_INJECTION_STACKTRACE_FILTER
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/faults.sh"

# If bus_register() fails, it unregisters a lock class that it has not registered yet: a defect of
# the kernel.
spare bus_register

unload_modules
for module in libnvdimm nd_btt nd_pmem; do
	# The driver core returns EINVAL if it has no memory for a module's directory of drivers.
	faults --or EINVAL load "$(modinfo -F filename $module)" $module
done
# The firmware is queried in many ACPI calls.
faults --every "$(argument every 5)" --or EINVAL --or ENXIO --undo /sys/bus/nd/drivers/nd_region/unbind region0 \
	load "$(modinfo -F filename nfit)" nfit
expect_no_complaints 40
load_modules
