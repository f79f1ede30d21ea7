#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Update of the firmware of simulated DIMMs, and its activation without a reset: three DIMMs can be
# armed, the fourth only by force. Then all are disarmed, armed, and activated.
#
# Activation with `quiesce` is not tested: it suspends all devices, which the 9p mounts of the guest
# do not survive under either stack.
#
# timeout: 240
. "$LIB"
. "${LIB%/*}/simulated.sh"

bus=$(field "$(ndctl list -B -b "$N0")" dev)
firmware=$ND/$bus/firmware

# dimms_in STATE JSON: prints how many of the DIMMs in the output of a command are in a state.
dimms_in() {
	printf '%s' "$2" | jq "map(select(.firmware.activate_state == \"$1\")) | length"
}

bus_state() {
	cat "$firmware/activate"
}

# shows FILE VALUE: tests whether the file has this value.
shows() {
	[ "$(cat "$1")" = "$2" ]
}

expect_eq "mode of the bus's activate" "$(stat -c %a "$firmware/activate")" 600
expect_eq "mode of the bus's capability" "$(stat -c %a "$firmware/capability")" 444
expect_eq "capability" "$(cat "$firmware/capability")" quiesce
expect_eq "state at first" "$(cat "$firmware/activate")" idle
for value in '' reset 'quiesce now'; do
	expect_store_errno EINVAL "$firmware/activate" "$value"
done
expect_store_errno ENXIO "$firmware/activate" live
expect_store_errno ENXIO "$firmware/activate" quiesce

first=$(field "$(ndctl list -D -b "$N0")" dev)
dimm=$ND/$first/firmware
expect_eq "mode of a DIMM's activate" "$(stat -c %a "$dimm/activate")" 600
expect_eq "mode of a DIMM's result" "$(stat -c %a "$dimm/result")" 400
expect_eq "a DIMM at first" "$(cat "$dimm/activate" "$dimm/result" | xargs)" "idle none"
expect_store_errno EINVAL "$dimm/activate" armed
expect_eq "a bus without activation" "$(ls "$ND/$(field "$(ndctl list -B -b "$N1")" dev)/firmware")" ""

# Whether devices must be idle during activation.
noidle=$ND/$bus/nfit/firmware_activate_noidle
expect_eq "firmware_activate_noidle" "$(cat "$noidle")" N
attribute "$noidle" 1
expect_eq "firmware_activate_noidle, set" "$(cat "$noidle")" Y
expect_store_errno EINVAL "$noidle" maybe
attribute "$noidle" 0

# Four DIMMs get new firmware. Activation of more than three armed DIMMs takes longer than the
# platform allows.
truncate -s 192K image
expect_ok ndctl wait-scrub "$N0" >/dev/null
said=$(ndctl update-firmware -b "$N0" -f image all) || fail "the firmware cannot be updated"
expect_eq "armed DIMMs" "$(dimms_in armed "$said")" 3
expect_eq "DIMMs left out" "$(dimms_in idle "$said")" 1
expect_eq "bus with three DIMMs" "$(bus_state)" armed
left_out=$(printf '%s' "$said" | jq -r '.[] | select(.firmware.activate_state == "idle").dev')

said=$(ndctl update-firmware -b "$N0" -A --force "$left_out") || fail "the fourth DIMM cannot be armed"
expect_eq "forced DIMMs" "$(dimms_in armed "$said")" 1
expect_eq "bus with four DIMMs" "$(bus_state)" overflow

said=$(ndctl update-firmware -b "$N0" -D all) || fail "DIMMs cannot be disarmed"
expect_eq "disarmed DIMMs" "$(dimms_in idle "$said")" 4
expect_eq "bus without armed DIMMs" "$(bus_state)" idle

said=$(ndctl update-firmware -b "$N0" -A --force all) || fail "DIMMs cannot be armed again"
expect_eq "armed DIMMs, all" "$(dimms_in armed "$said")" 4

attribute "$firmware/activate" live
# The bus is busy for three seconds, which may have passed before the check.
case "$(store "$dimm/activate" arm) $(cat "$firmware/activate")" in
EBUSY*) ;;
"ok armed") attribute "$dimm/activate" disarm ;;
*) fail "after activation $dimm can neither be armed nor is it busy" ;;
esac
wait_for 30 shows "$firmware/activate" idle
for result in "$ND/$bus"/nmem*/firmware/result; do
	expect_eq "$result" "$(cat "$result")" success
done

# A DIMM without new firmware.
attribute "$dimm/activate" arm
attribute "$dimm/activate" arm
expect_eq "armed DIMM" "$(cat "$dimm/activate")" armed
attribute "$firmware/activate" live
wait_for 30 shows "$firmware/activate" idle
expect_eq "result of a DIMM without new firmware" "$(cat "$dimm/result")" not_staged
expect_eq "result of a DIMM that was not armed" "$(cat "$ND/$left_out/firmware/result")" none
