#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# btt report describes the machine, each part of it, and has no contents of sectors. `btt --version`
# and modinfo agree on the version of the modules.
#
# needs: nvdimm=64M nvdimm=64M
# tags: quick
. "$LIB"
. "${LIB%/*}/devices.sh"

tool=/host/tools/btt
pattern='a sector that no report may have'
make_btt namespace0.0 4096
uuid=$(show "$btt" uuid)
for target in "$disk" pmem1; do
	yes "$pattern" | dd of="/dev/$target" bs=4096 count=16 iflag=fullblock oflag=direct 2>dd.log || fail "$(cat dd.log)"
done
echo "nd_pmem: a message of a driver" >/dev/kmsg
echo "EXT4-fs error (device pmem0s): a message of a file system" >/dev/kmsg

# has LINE: the report has this line, a pattern of grep.
has() {
	grep -qx -e "$1" report || fail "the report has no line '$1': $(cat report)"
}

# has_no_data: the pattern is not in the report, as text or in hexadecimal numbers.
has_no_data() {
	hex=$(printf '%.8s' "$pattern" | xxd -p)
	! grep -qi -e "$pattern" -e "$hex" report || fail "the report has data: $(cat report)"
}

version=$(modinfo -F version nd_btt)
expect_match "the version of nd_btt" "$version" '[0-9]*.[0-9]*.[0-9]*'
"$tool" --version >versions
for module in libnvdimm nfit nd_pmem nd_btt; do
	expect_eq "the version of $module" "$(modinfo -F version "$module")" "$version"
	grep -qx "$module $version" versions || fail "btt --version: $(cat versions)"
done
grep -qx "btt $version" versions || fail "btt --version: $(cat versions)"
grep -qx "ramdax not loaded" versions || fail "btt --version: $(cat versions)"

expect_ok "$tool" report report
expect_eq "the mode of the report" "$(stat -c %a report)" 600
for heading in Versions Kernel Modules "Kernel log" "BTTs in use" Devices "Raw disks"; do
	has "## $heading"
done
# Some attributes are ENXIO as long as their device is not configured.
expect_eq "what cannot be read" "$(grep 'cannot be read' report | grep -v '(os error 6)')" ""
has "nd_btt $version"
has "release: $(uname -r)"
has "command line: .*console=.*"
has "nd_btt [0-9]* [0-9]* .* Live (O.*)"
has "libnvdimm/parameters/key_revalidate Y"
has "$btt/uuid $uuid"
has "$btt/driver -> nd_pmem"
has "$btt/arena0/external_lbasize 4096"
has "$btt/statistics .*sectors_written.*"
has "namespace1.0, pmem1:"
has "\[ *[0-9.]*\] nd_pmem: a message of a driver"
! grep -q 'a message of a file system' report || fail "the report has a message of a file system"
has_no_data

# Other files are kept, also behind a link.
ln -s elsewhere link
for file in report link; do
	expect_fail "$tool" report "$file" 2>/dev/null
done
has "## Versions"
[ ! -e elsewhere ] || fail "the link was followed"

# A user without rights gets a report, too, with what that user may read.
setpriv --reuid=65534 --regid=65534 --clear-groups "$tool" report >unprivileged || fail "btt report: $?"
for line in "## Raw disks" "nd_btt $version" "$btt/uuid $uuid" "debugfs: cannot be read: .*(os error 13)" \
	"region0/resource: cannot be read: .*(os error 13)"; do
	grep -qx -e "$line" unprivileged || fail "the report has no line '$line': $(cat unprivileged)"
done

# The info blocks of a BTT on a raw disk.
release "$btt"
raw_access namespace0.0
"$tool" report >report || fail "btt report: $?"
has "  BTT $uuid, version 1.1"
has "  arena 0: .*256 free, flog slots 0 and 1"
has_no_data
no_raw_access namespace0.0
detect namespace0.0
