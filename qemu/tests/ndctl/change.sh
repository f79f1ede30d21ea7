#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# ndctl on a labelled DIMM: namespaces are reconfigured, destroyed and recreated, and labels written
# from a file.
#
# needs: nvdimm=192M,label=128K
# stacks: rust c
# compare
# boots: 1
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/commands.sh"

create_four
step ndctl read-labels nmem0 -o labels.saved

# Reconfigure, destroy, recreate.
step ndctl create-namespace -f -e namespace0.0 -m sector -l 4096 -u 00000000-0000-4000-8000-000000000021
step ndctl create-namespace -f -e namespace0.0 -m raw -u 00000000-0000-4000-8000-000000000022
step ndctl create-namespace -e namespace0.0 -m sector -u 00000000-0000-4000-8000-000000000023
step ndctl create-namespace -f -e namespace0.3 -m sector -n renamed -u 00000000-0000-4000-8000-000000000024
step ndctl create-namespace -f -e namespace0.3 -s 32M -m raw -u 00000000-0000-4000-8000-000000000025
step ndctl list -RNi
step ndctl disable-namespace namespace0.2
step ndctl destroy-namespace namespace0.2
step ndctl list -Ri
create 26 -r region0 -m raw -s 48M
create 27 -r region0 -m raw -s 16M
step ndctl destroy-namespace -f all -r region0
step ndctl list -RDi
create 28 -r region0 -m sector
step ndctl list -RNi
step ndctl disable-region region0
step ndctl enable-region region0
step ndctl list -RNi
step ndctl destroy-namespace -f all -r region0

# Labels from a file: the former namespaces exist again.
step ndctl disable-region region0
step ndctl write-labels nmem0 -i labels.saved
step ndctl check-labels nmem0
step ndctl enable-region region0
step ndctl list -RNi
step ndctl disable-region region0
step ndctl zero-labels nmem0
step ndctl enable-region region0
step ndctl list -RNDi
