#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# All forms in which a value may be written, and what is shown then: newline, NUL, number bases,
# words for booleans.
#
# needs: nvdimm=64M nvdimm=64M,label=128K
# stacks: rust c
# tags: quick
. "$LIB"
. "${LIB%/*}/devices.sh"

# The DIMM of this region gets labels.
unbind region1
ndctl init-labels -f "$(cut -d, -f1 "$ND/region1/mapping0")" >init.out 2>&1 || fail "init-labels: $(cat init.out)"
bind region1
btt=$(seed btt region0) labelled=$(seed namespace region1)
set_attribute "$labelled" uuid 22222222-2222-4222-8222-222222222222
# Columns: device, attribute, written value, value shown then.
while IFS='|' read -r device attribute value shown; do
	set_attribute "$device" "$attribute" "$value"
	expect_eq "$attribute of $device after writing '$value'" "$(show "$device" "$attribute")" "$shown"
done <<-END
	region0|align|4096|0x1000
	region0|align|0x200000\\n|0x200000
	region0|align|010000\\n\\0|0x1000
	region0|align|16777216\\0|0x1000000
	region0|read_only|1|1
	region0|read_only|n|0
	region0|read_only|Y\\n|1
	region0|read_only|off|0
	region0|read_only|on\\0|1
	region0|read_only|false|0
	namespace0.0|force_raw|true|1
	namespace0.0|force_raw|0\\n\\0|0
	$labelled|alt_name|a name\\n|a name
	$labelled|alt_name|Größe 日本\\n|Größe 日本
	$labelled|alt_name|\\0|
	$btt|sector_size|0x1000|512 520 528 [4096] 4104 4160 4224 
	$btt|sector_size|528\\n|512 520 [528] 4096 4104 4160 4224 
	$btt|sector_size|01000\\0|[512] 520 528 4096 4104 4160 4224 
	$btt|uuid|01234567-89ab-cdef-0123-456789ABCDEF\\n|01234567-89ab-cdef-0123-456789abcdef
	$btt|uuid|11234567-89ab-cdef-0123-456789abcdef and more|11234567-89ab-cdef-0123-456789abcdef
	$btt|namespace|namespace0.0 \\t\\n\\0|namespace0.0
END
# A name is a string of bytes in any encoding.
latin=$(printf '\351t\351')
attribute "$ND/$labelled/alt_name" "$latin"
expect_eq "a name that is not UTF-8" "$(show "$labelled" alt_name)" "$latin"
set_attribute "$labelled" alt_name ''
expect_eq "a claimed namespace's holder" "$(show namespace0.0 holder)" "$btt"
expect_eq "the disk is read-only" "$(cat /sys/block/pmem0/ro)" 0
set_attribute region0 read_only 1
wait_for 5 grep -q 1 /sys/block/pmem0/ro
expect_errno 'Operation not permitted' dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 oflag=direct
set_attribute region0 read_only 0
wait_for 5 grep -q 0 /sys/block/pmem0/ro
set_attribute "$btt" namespace '\n'
expect_eq "the namespace's holder after release" "$(show namespace0.0 holder)" ""
expect_eq "uuid of a seed after release" "$(show "$btt" uuid)" ""
expect_eq "sector size of a seed after release" "$(show "$btt" sector_size)" "512 520 528 4096 4104 4160 4224 "
