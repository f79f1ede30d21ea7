#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Calls to the nodes of buses and DIMMs with sizes, offsets, numbers and families that are made up: none ends in a surprise, and what
# is in use stays as it was. A longer run is the same with more CALLS.
#
# The nodes of QEMU's own DIMMs are left out: an emulated DIMM ends the machine when it is asked for 0 bytes of labels.
#
# needs: nvdimm=64M,label=128K
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"

CALLS=3000
seed=$(date +%s)
echo "seed $seed"

ndctl disable-region region0 2>/dev/null
ndctl init-labels -f nmem0 2>/dev/null
ndctl enable-region region0 2>/dev/null
ndctl create-namespace -r region0 -m sector -s 32M >/dev/null || fail "create-namespace: $?"
settle
perl "${LIB%/*}/state.pl" before
perl "${LIB%/*}/fuzz-ioctl.pl" "$seed" $CALLS /dev/ndctl0 || fail "a call ended in a surprise"
perl "${LIB%/*}/state.pl" after
diff before after || fail "calls have changed something that is in use"
disk=$(disk_of "$(show namespace0.0 holder)")
put 1 65536 0
same 1 65536 0 || fail "the BTT does not hold its data"

# The simulated buses know many commands. What those do is no matter here, but that they do not end in a fault.
if modprobe nfit_test 2>/dev/null; then
	settle
	for node in /dev/ndctl1 /dev/ndctl2 /dev/nmem1 /dev/nmem4; do
		nodes="${nodes:-} $node"
	done
	# shellcheck disable=SC2086
	perl "${LIB%/*}/fuzz-ioctl.pl" "$seed" $CALLS $nodes || fail "a call ended in a surprise"
	ndctl disable-region -b nfit_test.0 all >/dev/null 2>&1 || true
	ndctl disable-region -b nfit_test.1 all >/dev/null 2>&1 || true
	modprobe -r nfit_test
fi
