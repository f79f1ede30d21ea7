#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# ndctl and daxctl on DIMMs without labels: lists in all forms, and the commands for labels.
#
# needs: nvdimm=192M,label=128K nvdimm=96M,label=128K nvdimm=32M
# stacks: rust c
# compare
# boots: 1
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/commands.sh"

# Initial state: the DIMMs have no labels, the regions have one namespace each.
step ndctl list -BDRNiv
step ndctl list
step ndctl list -B
step ndctl list -D
step ndctl list -R
step ndctl list -N
step ndctl list -Nu
step ndctl list -X
step ndctl list -i
step ndctl list -H
step ndctl list -F
step ndctl list -M
step ndctl list --region region0
step ndctl list --dimm nmem1 -D
step ndctl list --bus ACPI.NFIT -R
step ndctl list --bus nothing
step ndctl list --mode raw -N
step ndctl list --type blk -R
step ndctl list --mode nonsense
step daxctl list
step ndctl version
step ndctl nonsense

# Commands for labels need idle DIMMs.
step ndctl check-labels all
step ndctl init-labels nmem0
step ndctl zero-labels nmem0
step ndctl write-labels nmem0 -i /dev/zero
step ndctl disable-region region0
step ndctl list -Ri
step ndctl init-labels nmem0
step ndctl check-labels nmem0
step ndctl init-labels nmem0
step ndctl init-labels -f nmem0
step ndctl read-labels -j nmem0 -I
ndctl read-labels nmem0 2>/dev/null | cksum
step ndctl zero-labels nmem0
step ndctl init-labels -V 1.1 nmem0
step ndctl check-labels nmem0 -v
step ndctl init-labels -f -V 1.2 nmem0
step ndctl init-labels -V 1.3 nmem0
step ndctl init-labels nmem2
step ndctl init-labels nmem9
step ndctl disable-dimm nmem0
step ndctl init-labels -f nmem0
step ndctl enable-region region0
step ndctl enable-dimm nmem0
step ndctl enable-region region0
step ndctl list -RNi
