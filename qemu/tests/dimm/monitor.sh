#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A DIMM that crosses a threshold wakes the pollers of its flags and no others: ndctl monitor logs
# the events of the DIMMs that it monitors.
#
# tags: quick
# timeout: 180
. "$LIB"
. "${LIB%/*}/simulated.sh"

first=$(ndctl list -b "$N0" -D | jq -r 'map(select(.handle == 0)) | .[0].dev')
other=$(ndctl list -b "$N0" -D | jq -r 'map(select(.handle == 256)) | .[0].dev')

ndctl monitor -b "$N0" -d "$first" -D dimm-spares-remaining -l "$PWD/log" &
monitor=$!
sleep 3

seen() {
	grep -q "\"dev\":\"$first\"" log
}
ndctl inject-smart -s 4 "$other" || true
ndctl inject-smart -s 4 "$first" || true
tries=100
until seen || [ $tries = 0 ]; do
	tries=$((tries - 1))
	sleep 0.1
done
# The monitor has the devices open.
kill $monitor || fail "ndctl monitor has ended: $(cat log)"
wait $monitor || true
seen || fail "no event of $first was logged: $(cat log)"
if grep -q "\"dev\":\"$other\"" log; then
	fail "$other was not to be watched"
fi
