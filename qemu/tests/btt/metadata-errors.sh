#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Media errors in the metadata of a BTT during detection: an info block is restored from the other
# one. Without both, or without a part of the flog, there is no disk, because a sector might have
# its contents from before the last write. Without a part of the map where a write may have been
# interrupted, the disk is read-only. In these cases the media are not changed, and restoring the
# metadata restores all data.
#
# timeout: 300
. "$LIB"
. "${LIB%/*}/simulated.sh"
. "${LIB%/*}/errors.sh"

create_sector_namespace

# expect_copied INPUT OUTPUT SKIP SEEK FLAG: copies a block.
expect_copied() {
	copy_block "$@" || fail "$1 to $2: $(cat dd.log)"
}

# save NAME OFFSET and put_back NAME OFFSET: save and restore a page of the namespace.
save() {
	expect_copied "/dev/$raw_disk" "$1" $(($2 / 4096)) 0 iflag=direct
}

put_back() {
	raw
	expect_copied "$1" "/dev/$raw_disk" 0 $(($2 / 4096)) oflag=direct
	end_raw
}

# image NAME: copies everything of the namespace that can be read.
image() {
	raw
	dd if="/dev/$raw_disk" of="$1" bs=4096 iflag=direct conv=noerror,sync status=none 2>dd.log || :
	end_raw
}

# lose OFFSET: injects an error into the sector there, and lets a scrub find it.
lose() {
	raw
	inject "$namespace" $(($1 / 512)) 1
	find_errors
	expect_match "bad sectors" ",$(bad_sectors "$raw_disk")" "*,$(($1 / 512)) 1,*"
	end_raw
}

# expect_data SECTOR
expect_data() {
	expect_copied "/dev/$disk" read "$1" 0 iflag=direct
	expect_ok cmp data read
}

expect_whole() {
	expect_ok ndctl enable-namespace "$namespace" >/dev/null
	expect_data 5
	expect_data 2000
	expect_eq "whether the disk can only be read" "$(cat "/sys/block/$disk/ro")" 0
}

# expect_absent: there is no disk of a BTT, and the media have not changed.
expect_absent() {
	image before
	ndctl enable-namespace "$namespace" >/dev/null 2>&1 || :
	[ ! -e "/sys/block/$disk" ] || fail "there is /dev/$disk"
	image after
	expect_ok cmp before after
}

head -c 4096 /dev/urandom >data
expect_copied data "/dev/$disk" 0 5 oflag=direct
expect_copied data "/dev/$disk" 0 2000 oflag=direct
arena=$(echo /sys/kernel/debug/btt/btt"${region#region}".*/arena0)
map=$(($(cat "$arena/mapoff")))
flog=$(($(cat "$arena/logoff")))
copy=$(($(cat "$arena/info2off")))
raw
save info 0
save info2 $copy
save map $map
save flog $flog
end_raw

# The first info block.
lose 0
expect_whole
expect_kernel_message "restored"
expect_eq "bad sectors once it was restored" "$(cat "$ND/$region/badblocks")" ""
raw
save restored 0
end_raw
expect_ok cmp info restored

# The second info block.
lose $copy
expect_whole

# Both.
lose 0
expect_absent
put_back info2 $copy
expect_whole

# A group of the flog.
lose $flog
expect_absent
expect_kernel_message "has a damaged BTT"
put_back flog $flog
expect_whole

# The word of the map that was written last.
lose $map
expect_ok ndctl enable-namespace "$namespace" >/dev/null
expect_kernel_message "arena 0 is read only: map entry 5"
expect_eq "whether the disk can only be read" "$(cat "/sys/block/$disk/ro")" 1
expect_fail read_sectors "$disk" 40 8
expect_data 2000
expect_fail write_sectors "$disk" 16000 8
put_back map $map
expect_whole
