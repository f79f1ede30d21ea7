#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Random ioctls to the nodes of buses and DIMMs, and random writes to attributes: none has an
# unexpected result, namespaces in use do not change, and no capacity is lost. On QEMU's DIMMs and
# on the simulated buses, which support more commands.
#
# `make test ARGS="--append fuzz=600 stress/fuzz"` takes 600 seconds, half of it for ioctls.
# fuzz-seed=N repeats the random choices of another run.
#
# needs: nvdimm=64M nvdimm=64M,label=128K
# timeout: 900
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/simulated.sh"

quarter=$(($(argument fuzz 12) / 4))
seed=$(argument fuzz-seed "$(date +%s)")
echo "seed $seed"

# fuzz SCRIPT ARGUMENT...
fuzz() {
	_script=$1
	shift
	perl "${LIB%/*}/$_script" "$seed" $quarter "$@" || fail "seed $seed: $_script ended in a surprise"
}

# unscrubbed: tests whether no bus is being scrubbed. nfit_test scrubs for some seconds after
# loading.
unscrubbed() {
	! grep -q + "$ND"/ndbus*/nfit/scrub
}

# --- Calls ----------------------------------------------------------------------------------------
region=region1
nmem=$(cut -d, -f1 "$ND/$region/mapping0")
[ -e "$ND/$nmem/available_slots" ] && show "$nmem" available_slots >/dev/null || fail "$nmem of $region has no labels"
ndctl disable-region $region 2>/dev/null
ndctl init-labels -f "$nmem" 2>/dev/null
ndctl enable-region $region 2>/dev/null
settle
free=$(show $region available_size) slots=$(show "$nmem" available_slots)
ndctl create-namespace -r $region -m sector -s 32M >/dev/null || fail "create-namespace: $?"
settle
disk=$(disk_of "$(show namespace1.0 holder)")
put 1 65536 0
wait_for 60 unscrubbed
/host/tools/sysfs-probe save before
fuzz fuzz-ioctl.pl /dev/ndctl0 "/dev/$nmem"
/host/tools/sysfs-probe save after
diff before after || fail "calls have changed something that is in use"
same 1 65536 0 || fail "the BTT does not hold its data"

# Simulated DIMMs and buses support all commands, including health. When the driver looked at the
# number of an ioctl without its type, the query whether such a node is a terminal overwrote the
# stack of the process that opened it.
bus=$(ndctl list -b "$N0" -B | jq -r '.[0].dev')
dimm=$(ndctl list -b "$N0" -D | jq -r 'map(select(.handle == 0)) | .[0].dev')
fuzz fuzz-ioctl.pl "/dev/ndctl${bus#ndbus}" "/dev/$dimm"

# --- Attributes -----------------------------------------------------------------------------------
fuzz fuzz-sysfs.pl ACPI.NFIT
fuzz fuzz-sysfs.pl nfit_test

# Everything that the writes have bound, claimed, resized and created can be undone.
for device in "$ND"/region* "$ND"/nmem*; do
	device=${device##*/}
	! enabled "$device" || [ "${device#region}" = "$device" ] || unbind "$device"
done
for device in "$ND"/nmem*; do
	enabled "${device##*/}" || driver bind nvdimm "${device##*/}" >/dev/null
done
ndctl init-labels -f "$nmem" 2>init.log || fail "init-labels: $(cat init.log)"
set_attribute $region align $((16 << 20))
set_attribute $region read_only 0
set_attribute region0 read_only 0
driver bind nd_region region0 >/dev/null
bind $region
expect_eq "available_size afterwards" "$(show $region available_size)" "$free"
expect_eq "available_slots afterwards" "$(show "$nmem" available_slots)" "$slots"
make_btt namespace0.0 4096
put 2 65536 0
same 2 65536 0 || fail "$disk does not keep what is written after it all"
release "$btt"
