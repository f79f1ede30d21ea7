#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The stressors of stress-ng that reach the disk, one after the other on ext4 and XFS: none fails, and the file system is whole when the
# BTT was found again. Data are mostly compared in the page cache here; 21-fio and 24-exerciser read them from the disk. A line for each,
# so that none passes under the C modules only. make test ARGS="--patience 4 --arguments 4 23-" gives each 4 s.
#
# needs: nvdimm=384M
# stacks: rust c
# compare
# timeout: 400
. "$LIB"
. "${LIB%/*}/devices.sh"

seconds=${1:-1}

stressors=aio,aiol,chattr,copy-file,dentry,dir,dirdeep,dirmany,fallocate,fiemap,filename,filerace,fpunch,fsize,getdent,hdd,inode-flags,io
stressors=$stressors,iomix,link,metamix,mknod,msync,open,pseek,rawdev,readahead,rename,revio,seek,symlink,touch,unlink,utime,xattr

# Less than half of the disk, for those that would take more.
sizes="--hdd-opts direct --copy-file-bytes 128M --fallocate-bytes 32M --hdd-bytes 32M --iomix-bytes 32M --msync-bytes 32M --readahead-bytes 32M
	--revio-bytes 32M"

# stress KIND: all of them on the file system that is mounted. From its summary, `passed: 2: aio (1) aiol (1)`, a line for each.
stress() {
	# shellcheck disable=SC2086
	stress-ng --seq 1 --with "$stressors" $sizes --timeout "$seconds" --verify --no-rand-seed --temp-path "$PWD/mounted" \
		>stress.out 2>&1 || fail "stress-ng on $1: $(cat stress.out)"
	sed -n 's/.*\] \(passed\|skipped\): [0-9]*: /\1 /p' stress.out | while read -r verdict those; do
		echo "$those" | sed 's/ ([0-9]*)//g' | tr ' ' '\n' | sed "s/^/$1: $verdict /"
	done >verdicts
	expect_eq "stressors on $1 with a verdict" "$(sed 's/.* //' verdicts | sort)" "$(echo "$stressors" | tr , '\n' | sort)"
	cat verdicts
}

# stress_on KIND SECTOR_SIZE: the same on a new file system of a new BTT, which is found again before the file system is looked at.
stress_on() {
	make_btt namespace0.0 "$2"
	make_filesystem "$1"
	mount -t "$1" "/dev/$disk" mounted
	stress "$1"
	umount mounted
	release "$btt"
	detect namespace0.0
	check_filesystem "$1"
	release "$btt"
	wipe namespace0.0
}

mkdir mounted
stress_on ext4 512
stress_on xfs 4096
