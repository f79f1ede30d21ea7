#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Allocations fail while disks are added and removed: a raw disk, a BTT that is made, detected and
# released, and a region with its devices.
#
# needs: nvdimm=64M
# config: FAILSLAB FAIL_PAGE_ALLOC FAULT_INJECTION_USERCOPY FAULT_INJECTION_STACKTRACE_FILTER
# timeout: 400
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/faults.sh"

# The kernel does not report why a range cannot be reserved, and returns EINVAL if it has no memory
# for a disk's name.
others='--or EBUSY --or EINVAL'

unbind namespace0.0
# shellcheck disable=SC2086
bind_with_faults nd_pmem namespace0.0 $others
unbind namespace0.0
btt=$(seed btt region0)
set_with_faults "$btt" uuid "$(uuidgen)" "$(uuidgen)"
set_with_faults "$btt" sector_size 4096 512
set_with_faults "$btt" namespace namespace0.0 ""
# shellcheck disable=SC2086
bind_with_faults nd_pmem "$btt" $others
disk=$(disk_of "$btt")
put 1 65536 0
unbind_with_faults nd_pmem "$btt"
# shellcheck disable=SC2086
bind_with_faults nd_pmem "$btt" $others
same 1 65536 0 || fail "$disk is not what it was before the faults"
unbind_with_faults nd_region region0
bind_with_faults nd_region region0
disk=$(disk_of "$(show namespace0.0 holder)")
same 1 65536 0 || fail "$disk is not what it was before the faults in its region"

# A BTT that is not the seed disappears with its claim.
detected_btt() {
	detect namespace0.0
	same 1 65536 0 || fail "$disk is not what it was before $btt was detected"
	[ "$btt" != "$(seed btt region0)" ] || fail "$btt is the seed"
	unbind "$btt"
	device=$btt
}

still_claimed() {
	expect_eq "who holds namespace0.0" "$(show namespace0.0 holder)" "$device"
}

unclaimed() {
	expect_eq "who holds namespace0.0" "$(show namespace0.0 holder)" ""
	expect_eq "the mode of namespace0.0" "$(show namespace0.0 mode)" raw
}

release "$(show namespace0.0 holder)"
remove_with_faults namespace "" detected_btt still_claimed unclaimed
expect_no_complaints 100
