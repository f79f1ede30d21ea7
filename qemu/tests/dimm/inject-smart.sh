#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Health of simulated DIMMs: initial values, values that are injected and removed again, thresholds,
# and the latch of the shutdown status.
#
# timeout: 180
. "$LIB"
. "${LIB%/*}/simulated.sh"

dimm=$(ndctl list -b "$N0" -D | jq -r 'map(select(.handle == 0)) | .[0].dev')

# health FIELD
health() {
	ndctl list -H -d "$dimm" | jq -r ".[0].health.$1 | if type == \"number\" then floor else . end"
}

expect_health() {
	expect_eq "health: $1" "$(health "$1")" "$2"
}

expect_health health_state non-critical
expect_health temperature_celsius 23
expect_health controller_temperature_celsius 25
expect_health spares_percentage 75
expect_health life_used_percentage 5
expect_health shutdown_state clean
expect_health shutdown_count 42
expect_health spares_threshold 5
expect_health temperature_threshold 40

expect_ok ndctl inject-smart -m 45 "$dimm"
expect_health temperature_celsius 45
expect_health alarm_temperature true
expect_ok ndctl inject-smart -M 50 "$dimm"
expect_health temperature_threshold 50
expect_ok ndctl inject-smart --media-temperature-uninject "$dimm"
expect_health temperature_celsius 23

expect_ok ndctl inject-smart -s 4 "$dimm"
expect_health spares_percentage 4
expect_ok ndctl inject-smart -S 99 "$dimm"
expect_health spares_threshold 99
expect_ok ndctl inject-smart --spares-uninject "$dimm"
expect_health spares_percentage 75

expect_ok ndctl inject-smart -f "$dimm"
expect_health health_state fatal
expect_ok ndctl inject-smart --fatal-uninject "$dimm"
expect_health health_state non-critical

expect_ok ndctl inject-smart -U "$dimm"
expect_health shutdown_state dirty
expect_health shutdown_count 43
expect_ok ndctl inject-smart --unsafe-shutdown-uninject "$dimm"
expect_health shutdown_state clean

expect_eq "dirty_shutdown" "$(cat "$ND/$dimm/nfit/dirty_shutdown")" 42
