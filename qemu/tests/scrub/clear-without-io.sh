#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Clearing errors for a write does not allocate memory in ways that may start I/O, which could wait
# for that write.
#
# timeout: 180
. "$LIB"
. "${LIB%/*}/simulated.sh"
. "${LIB%/*}/errors.sh"

expect_ok unload_simulated
expect_ok modprobe nfit_test noio_clear=1
wait_for_buses
region=$(region_of_ways 2)
namespace=namespace${region#region}.0
disk=$(basename "$ND/$namespace"/block/*)
scrubbed
inject "$namespace" 64 2
scrubbed
expect_eq "bad sectors" "$(bad_sectors "$disk")" "64 2,"

# Clearing by an ioctl may start I/O: no I/O waits for it.
ndctl clear-errors "$namespace" >/dev/null 2>&1 || true
expect_eq "errors that ndctl was to clear" "$(injected "$namespace")" "64 2,"
expect_kernel_message "media errors are not cleared: the caller may start I/O"

write_sectors "$disk" 64 2 || fail "bad sectors cannot be written: $(cat dd.log)"
expect_eq "bad sectors after a write" "$(bad_sectors "$disk")" ""
expect_eq "errors after a write" "$(injected "$namespace")" ""
