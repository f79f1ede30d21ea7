#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Calls to the nodes of buses and DIMMs, and writes to attributes, that are made up: none ends in a
# surprise, what is in use stays as it was, and no capacity is lost. On QEMU's DIMMs and on the
# simulated buses, which know more commands.
#
# A longer run: make test ARGS="--append fuzz=600 48-" takes 600 seconds, half of it for calls.
# fuzz-seed=N begins as another run did.
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

# unscrubbed: no bus is being scrubbed, as those of nfit_test are for some seconds from their start
# on.
unscrubbed() {
	! grep -q + "$ND"/ndbus*/nfit/scrub
}

# --- Calls ------------------------------------------------------------------------------------------------------------
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
/host/tools/attribute save before
fuzz fuzz-ioctl.pl /dev/ndctl0 "/dev/$nmem"
/host/tools/attribute save after
diff before after || fail "calls have changed something that is in use"
same 1 65536 0 || fail "the BTT does not hold its data"

# What a simulated DIMM or bus does is no matter here, but that it answers to all commands, health
# among them: as long as the number of a call was looked at without its subsystem, the question
# whether such a node is a terminal smashed the stack of whoever opened it.
bus=$(ndctl list -b "$N0" -B | jq -r '.[0].dev')
dimm=$(ndctl list -b "$N0" -D | jq -r 'map(select(.handle == 0)) | .[0].dev')
fuzz fuzz-ioctl.pl "/dev/ndctl${bus#ndbus}" "/dev/$dimm"

# --- Attributes ---------------------------------------------------------------------------------------------------------
fuzz fuzz-sysfs.pl ACPI.NFIT
fuzz fuzz-sysfs.pl nfit_test

# What writes have bound, claimed, resized and made can all be undone.
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
