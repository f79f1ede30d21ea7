#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A BTT is made through sysfs as in the kernel's documentation: size and block size of its disk, a
# new seed, and removal.
#
# needs: nvdimm=32M nvdimm=1G
# stacks: rust c
# compare
# tags: quick
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

region=$(region_of namespace0.0)
first=$(seed btt "$region")
expect_eq "sector sizes of a fresh seed" "$(show "$first" sector_size)" "512 520 528 4096 4104 4160 4224 "
expect_eq "uuid of a fresh seed" "$(show "$first" uuid)" ""

uuid=$(uuidgen)
set_attribute "$first" uuid "$uuid\n"
set_attribute "$first" sector_size '4096\n'
set_attribute "$first" namespace 'namespace0.0\n'
expect_eq "uuid" "$(show "$first" uuid)" "$uuid"
expect_eq "sector size" "$(show "$first" sector_size)" "512 520 528 [4096] 4104 4160 4224 "
expect_eq "namespace" "$(show "$first" namespace)" namespace0.0
expect_eq "holder" "$(show namespace0.0 holder)" "$first"
expect_eq "mode of a claimed namespace" "$(show namespace0.0 mode)" safe
expect_eq "binding a BTT while the raw disk is there" "$(driver bind nd_pmem "$first")" EBUSY

unbind namespace0.0
expect_eq "binding a claimed namespace" "$(driver bind nd_pmem namespace0.0)" ENXIO
bind "$first"
wait_for 10 test -b /dev/pmem0s
# An arena of 32 MiB - 4096 bytes.
expect_eq "bytes of pmem0s" "$(disk_bytes pmem0s)" 32440320
expect_eq "size of $first" "$(show "$first" size)" 32440320
expect_eq "disk of $first" "$(disk_of "$first")" pmem0s

second=$(seed btt "$region")
[ -n "$second" ] && [ "$second" != "$first" ] || fail "the BTT seed is '$second' after $first was used"
for limit in logical_block_size=4096 physical_block_size=4096 'write_cache=write through' fua=0 dax=0; do
	expect_eq "${limit%%=*} of pmem0s" "$(cat "/sys/block/pmem0s/queue/${limit%%=*}")" "${limit#*=}"
done

release "$first"
expect_eq "holder after release" "$(show namespace0.0 holder)" ""
expect_eq "mode after release" "$(show namespace0.0 mode)" raw
[ ! -e /dev/pmem0s ] || fail "pmem0s is still there"
wait_for 10 test ! -e "$ND/$first"

# The layout is still on the media, and the driver finds it.
detect namespace0.0
expect_eq "uuid of the BTT found" "$(show "$btt" uuid)" "$uuid"
expect_eq "bytes of the disk found" "$(disk_bytes "$disk")" 32440320

# Sizes of disks of other sector sizes, on 1 GiB - 4096 bytes.
for vector in 512 520 4104:1055125504 4224:1039138816; do
	sector=${vector%%:*}
	make_btt namespace1.0 "$sector"
	bytes=$(disk_bytes "$disk")
	[ "$vector" = "$sector" ] || expect_eq "bytes of a disk of $sector" "$bytes" "${vector#*:}"
	echo "$sector: $bytes bytes in blocks of $(cat "/sys/block/$disk/queue/logical_block_size")"
	release "$btt"
	wipe namespace1.0
done
