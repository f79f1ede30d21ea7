#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The image of an NVDIMM becomes smaller than its BTT, and has its old size again in the next boot.
# In between the BTT counts as damaged: there is neither its disk nor the raw one, and configuring a
# BTT by hand does not overwrite it. The C driver does not check the size: its BTT device claims the
# namespace and fails at its end when it reads the log. ndctl can discard the data.
#
# needs: nvdimm=96M
# boots: 4
# sizes: 96M 64M 96M 64M
# stacks: rust c
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

uuid=29292929-2929-4929-8929-292929292929
part=$((1024 * 1024))

expect_data() {
	same 1 "$part" 0 || fail "the start of the data is not there"
	same 2 "$part" $((size - part)) || fail "the end of the data is not there"
}

# checksum: sets $sum to a checksum of the namespace.
checksum() {
	raw_access namespace0.0
	drop_caches
	sum=$(sha256sum "/dev/$disk")
	no_raw_access namespace0.0
}

# no_disks: there is neither the disk of the BTT nor the raw one.
no_disks() {
	set -- /sys/block/pmem*
	[ ! -e "$1" ] || fail "there is ${1##*/}"
	! enabled namespace0.0 || fail "namespace0.0 is enabled"
}

case $BOOT in
1)
	make_btt namespace0.0 4096 "$uuid"
	size=$(disk_bytes "$disk")
	put 1 "$part" 0
	put 2 "$part" $((size - part))
	release "$btt"
	;;
2)
	settle
	expect_eq "size of the smaller namespace" "$(show namespace0.0 size)" $((64 << 20))
	no_disks
	misfit='info2off is 0x5ffe000, expected at most 0x3ffe000'
	holder=$(show namespace0.0 holder)
	ndctl list -NXi
	if [ "$STACK" = rust ]; then
		expect_eq "holder of the smaller namespace" "$holder" ""
	else
		expect_match "holder of the smaller namespace" "$holder" "btt0.*"
		expect_eq "uuid of the holder" "$(show "$holder" uuid)" "$uuid"
		expect_eq "the error of binding it" "$(driver bind nd_pmem "$holder")" ENOMEM
		release "$holder"
	fi
	checksum
	before=$sum

	# Detection is repeated.
	expect_eq "the error of binding the smaller namespace" "$(driver bind nd_pmem namespace0.0)" ENXIO
	settle
	no_disks
	if [ "$STACK" = rust ]; then
		expect_kernel_message "namespace0.0: has a damaged BTT: arena 0: $misfit"
	else
		release "$(show namespace0.0 holder)"
	fi

	# A BTT is made as in the kernel's documentation.
	dmesg -C
	claim namespace0.0 4096
	expect_eq "the error of making a BTT over one that does not fit" "$(driver bind nd_pmem "$btt")" ENOMEM
	[ "$STACK" = c ] || expect_kernel_message "$btt: could not be opened: arena 0: $misfit"
	no_disks
	release "$btt"
	checksum
	expect_eq "the namespace afterwards" "$sum" "$before"

	ndctl check-namespace namespace0.0 2>&1 || echo "check-namespace: $?"
	raw_access namespace0.0
	status=0
	/host/tools/btt check "/dev/$disk" >btt.log 2>&1 || status=$?
	expect_eq "status of btt check" "$status" 1
	expect_match "what btt check says" "$(cat btt.log)" "*$misfit*"
	status=0
	/host/tools/btt create "/dev/$disk" >btt.log 2>&1 || status=$?
	expect_eq "status of btt create" "$status" 2
	expect_match "what btt create says" "$(cat btt.log)" "*$misfit*"
	no_raw_access namespace0.0
	checksum
	expect_eq "the namespace in the end" "$sum" "$before"
	;;
3)
	settle
	btt=$(show namespace0.0 holder)
	[ -n "$btt" ] || fail "the BTT is not found again"
	expect_eq "uuid of the BTT" "$(show "$btt" uuid)" "$uuid"
	disk=$(disk_of "$btt")
	size=$(disk_bytes "$disk")
	expect_data
	release "$btt"
	ndctl check-namespace namespace0.0 >check.out 2>&1 || fail "check-namespace: $(cat check.out)"
	;;
4)
	settle
	no_disks
	ndctl create-namespace -f -e namespace0.0 -m sector -l 4096 >create.out 2>&1 || fail "create-namespace: $(cat create.out)"
	btt=$(show namespace0.0 holder)
	[ -n "$btt" ] || fail "namespace0.0 has no BTT"
	[ "$(show "$btt" uuid)" != "$uuid" ] || fail "the BTT is the one from before"
	disk=$(disk_of "$btt")
	put 3 "$part" 0
	same 3 "$part" 0 || fail "the new BTT does not keep data"
	;;
esac
