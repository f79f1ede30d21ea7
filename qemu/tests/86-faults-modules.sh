#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Memory fails while modules are loaded: each one is not there then, and can be loaded afterwards.
# Of the many places of nfit every fifth fails, or more with ARGS="--append every=1".
#
# needs: nvdimm=64M
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/faults.sh"

# A bus that cannot be registered takes back a lock class that it has not made yet: a defect of the
# kernel.
spare bus_register

unload_modules
for module in libnvdimm nd_btt nd_pmem; do
	# The driver core says EINVAL when it has no memory for a module's directory of drivers.
	faults --or EINVAL load "$(modinfo -F filename $module)" $module
done
# What the firmware says is read in many calls of ACPI.
faults --every "$(argument every 5)" --or EINVAL --or ENXIO --undo /sys/bus/nd/drivers/nd_region/unbind region0 \
	load "$(modinfo -F filename nfit)" nfit
expect_no_complaints 40
load_modules
