# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
#
# Library for tests in the guest, after simulated.sh: `. "${LIB%/*}/errors.sh"`. Media errors of
# namespaces on the first simulated bus.
#
# Sectors have 512 bytes and are counted from the start of the namespace.

# scrub_file PROVIDER: prints the path of the attribute `scrub` of its bus.
scrub_file() {
	for _bus in "$ND"/ndbus*; do
		if [ "$(cat "$_bus/provider")" = "$1" ]; then
			echo "$_bus/nfit/scrub"
			return
		fi
	done
	fail "there is no bus of $1"
}

# scrubbed: waits until no scrub of the first bus is running.
scrubbed() {
	expect_ok ndctl wait-scrub "$N0" >/dev/null
}

# inject NAMESPACE SECTOR COUNT [OPTION...]: injects media errors. With --no-notify the firmware
# sends no notification.
inject() {
	_namespace=$1 _sector=$2 _count=$3
	shift 3
	expect_ok ndctl inject-error --block="$_sector" --count="$_count" "$@" "$_namespace" >/dev/null
}

# find_errors: scrubs the first bus and waits for the end.
find_errors() {
	expect_ok ndctl start-scrub "$N0" >/dev/null
	scrubbed
}

# create_sector_namespace: empties the label areas of the first bus, and makes a namespace in sector
# mode, with sectors of 4096 bytes, on the region of two DIMMs. Sets $region, $namespace, $disk and
# $raw_disk.
create_sector_namespace() {
	reset_labels 1.2
	region=$(region_of_ways 2)
	_created=$(ndctl create-namespace -r "$region" -m sector -l 4096) || fail "create: $?"
	namespace=$(field "$_created" dev)
	disk=$(field "$_created" blockdev)
	raw_disk=${disk%s}
}

# copy_block INPUT OUTPUT SKIP SEEK FLAG: copies 4096 bytes; SKIP and SEEK are in units of that, and
# FLAG says which side is a disk: iflag=direct or oflag=direct. Errors are in dd.log.
copy_block() {
	dd if="$1" of="$2" bs=4096 skip="$3" seek="$4" count=1 "$5" status=none 2>dd.log
}

# read_sectors DISK SECTOR COUNT and write_sectors DISK SECTOR COUNT: with direct I/O.
read_sectors() {
	dd if="/dev/$1" of=/dev/null bs=512 skip="$2" count="$3" iflag=direct status=none 2>dd.log
}

write_sectors() {
	dd if=/dev/zero of="/dev/$1" bs=512 seek="$2" count="$3" oflag=direct status=none 2>dd.log
}

# expect_lost DISK SECTOR COUNT: reading each of the sectors fails with EIO.
expect_lost() {
	_end=$(($2 + $3))
	_sector=$2
	while [ "$_sector" -lt "$_end" ]; do
		if read_sectors "$1" "$_sector" 1; then
			fail "sector $_sector of $1 can be read"
		fi
		expect_match "the error of sector $_sector" "$(cat dd.log)" "*Input/output error*"
		_sector=$((_sector + 1))
	done
}

# bad_sectors DISK: prints the bad blocks of a disk on one line.
bad_sectors() {
	tr '\n' ',' <"/sys/block/$1/badblocks"
}

# injected NAMESPACE: prints the errors in the firmware's list on one line.
injected() {
	ndctl inject-error --status "$1" | jq -r '.badblocks // [] | map("\(.block) \(.count),") | join("")'
}
