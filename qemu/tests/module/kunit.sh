#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The KUnit tests in our modules have passed. The kernel runs them while it loads a module, but a
# failure does not prevent loading. The suite of nfit_get_smbios_id() asks for DIMMs of nfit_test.
#
# tags: quick
# config: KUNIT
. "$LIB"
. "${LIB%/*}/simulated.sh"

kunit=/sys/kernel/debug/kunit
for suite in nd_badrange nd_btt_disk nd_ioctl_cmd_layout nd_kernel_ext_badblocks \
	nd_kernel_ext_bus nd_kernel_ext_cursor nd_kernel_ext_firmware_address nd_kernel_ext_key \
	nd_kernel_ext_mm nd_kernel_ext_notifier nd_kernel_ext_parameter nd_kernel_ext_persist \
	nd_kernel_ext_poison nd_kernel_ext_range nd_kernel_ext_release nd_kernel_ext_static_mutex \
	nd_nfit_get_smbios_id nd_nfit_smbios nd_poison nd_range_set; do
	[ -e "$kunit/$suite/results" ] || fail "the suite $suite has not run"
done
for results in "$kunit"/nd_*/results; do
	grep -Eq '^ *ok [0-9]+ ' "$results" || fail "$results: $(cat "$results")"
	! grep -Eq 'not ok|fail:[1-9]' "$results" || fail "$results: $(cat "$results")"
done

# Other drivers link with this function. nfit_test could not be loaded if it were not exported.
grep -q '[[:space:]]T nfit_get_smbios_id[[:space:]]\[nfit\]$' /proc/kallsyms || fail "nfit_get_smbios_id is not in nfit"
