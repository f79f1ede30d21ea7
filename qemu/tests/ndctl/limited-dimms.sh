#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# ndctl on labels of version 1.1, on a region without labels, and for commands that QEMU's DIMMs do
# not support.
#
# needs: nvdimm=96M,label=128K nvdimm=32M
# stacks: rust c
# compare
# tags: slow
# boots: 1
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/commands.sh"

# Labels of version 1.1, and a DIMM that gets labels from the first namespace.
step ndctl disable-region region0
step ndctl init-labels -V 1.1 nmem0
step ndctl enable-region region0
create 31 -r region0 -m sector -s 32M
create 32 -r region0 -m raw -s 16M -l 4096
create 33 -r region0 -m sector -l 512
step ndctl read-labels -j nmem0
step ndctl list -RNDiv
step ndctl disable-namespace all
step ndctl list -Ni
step ndctl enable-namespace all
step ndctl list -Ni
step ndctl disable-namespace namespace0.0
media namespace0.0
step ndctl enable-namespace namespace0.0

# Without labels.
step ndctl create-namespace -f -e namespace1.0 -m sector -u 00000000-0000-4000-8000-000000000041
step ndctl list -r region1 -RN
step ndctl disable-namespace namespace1.0
step ndctl enable-namespace namespace1.0
step ndctl destroy-namespace -f namespace1.0
step ndctl list -r region1 -RNi
step ndctl create-namespace -f -e namespace1.0 -m raw
step ndctl disable-region all
step ndctl disable-dimm all
step ndctl list -BDRNi
step ndctl enable-dimm all
step ndctl enable-region all
step ndctl list -BDRNi

# Commands that these DIMMs do not support.
step ndctl start-scrub
step ndctl wait-scrub
step ndctl inject-error namespace1.0 --block=8 --count=1
step ndctl clear-errors namespace1.0
step ndctl inject-smart nmem0 --media-temperature=50
step ndctl freeze-security nmem0
step ndctl wait-overwrite nmem0
step ndctl update-firmware nmem0 -f /dev/null
step ndctl activate-firmware ACPI.NFIT
step ndctl write-infoblock namespace1.0
step ndctl read-infoblock namespace1.0
