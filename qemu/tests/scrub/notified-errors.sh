#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Errors with a notification of the firmware are found without a request for a scrub, and ndctl
# clears them. There are more errors than fit into one answer of the firmware.
#
# timeout: 240
. "$LIB"
. "${LIB%/*}/simulated.sh"
. "${LIB%/*}/errors.sh"

reset_labels 1.2
region=$(region_of_ways 4)
created=$(ndctl create-namespace -r "$region" -m raw) || fail "create: $?"
namespace=$(field "$created" dev)
disk=$(field "$created" blockdev)
scrub=$(scrub_file "$N0")
scrubbed

# is_notified: tests whether a notification has started a scrub.
is_notified() {
	[ "$(cat "$scrub")" != "$before" ]
}

for hardware in 0 1; do
	expect_eq "hw_error_scrub" "$(store "${scrub%scrub}hw_error_scrub" $hardware)" ok
	expect_eq "hw_error_scrub" "$(cat "${scrub%scrub}hw_error_scrub")" $hardware
	before=$(cat "$scrub")
	inject "$namespace" $((100 * hardware)) 4
	wait_for 20 is_notified
	scrubbed
	expect_match "bad sectors" "$(bad_sectors "$disk")" "*$((100 * hardware)) 4,"
done
expect_eq "bad sectors" "$(bad_sectors "$disk")" "0 4,100 4,"

expect_ok ndctl clear-errors "$namespace" 2>cleared
expect_match "what ndctl cleared" "$(cat cleared)" "*cleared 1 namespace*"
expect_eq "bad sectors after they were cleared" "$(bad_sectors "$disk")" ""
expect_eq "errors that the firmware knows" "$(injected "$namespace")" ""

# ndctl injects 256 bytes for each sector: 400 errors, and one answer has space for 170.
inject "$namespace" 1000 400 --no-notify
find_errors
expect_eq "bad sectors of many" "$(bad_sectors "$disk")" "1000 400,"
expect_ok write_sectors "$disk" 1000 400
expect_eq "bad sectors after they were written" "$(bad_sectors "$disk")" ""

# Removed before a scrub has found it.
inject "$namespace" 7 3 --no-notify
inject "$namespace" 7 3 --uninject
find_errors
expect_eq "bad sectors of an error that was taken back" "$(bad_sectors "$disk")" ""
