#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The stressors of stress-ng that reach the disk, one after the other on ext4 and XFS: all pass, and
# the file system is intact when the BTT was detected again. Data are mostly compared in the page
# cache here; stress/fio and stress/fsx read them from the disk.
# `make test ARGS="--timeout-scale 4 stress/stress-ng -- 4"` gives each 4 s.
#
# needs: nvdimm=384M
# stacks: rust c
# tags: slow
# timeout: 400
. "$LIB"
. "${LIB%/*}/devices.sh"

seconds=${1:-1}

# In the order in which stress-ng runs them.
stressors=aio,aiol,chattr,copy-file,dentry,dir,dirdeep,dirmany,fallocate,fiemap,filename,filerace,fpunch,fsize,getdent,hdd,inode-flags,io
stressors=$stressors,iomix,link,metamix,mknod,msync,open,pseek,rawdev,readahead,rename,revio,seek,symlink,touch,unlink,utime,xattr

# With direct I/O where possible. Sizes are limited to less than half of the disk.
options="--hdd-opts direct --copy-file-bytes 128M --fallocate-bytes 32M --hdd-bytes 32M --iomix-bytes 32M --msync-bytes 32M
	--readahead-bytes 32M --revio-bytes 32M"

# stress KIND: runs all stressors on the mounted file system. The summary has a line like
# `passed: 2: aio (1) aiol (1)`.
stress() {
	# shellcheck disable=SC2086
	stress-ng --seq 1 --with "$stressors" $options --timeout "$seconds" --verify --no-rand-seed --temp-path "$PWD/mounted" \
		>stress.out 2>&1 || fail "stress-ng on $1: $(cat stress.out)"
	passed=$(sed -n '/\] passed: /{ s/.*passed: [0-9]*: //; s/ ([0-9]*)//g; s/ /,/g; p; }' stress.out)
	expect_eq "stressors that passed on $1" "$passed" "$stressors"
}

# stress_on KIND SECTOR_SIZE: runs them on a new file system of a new BTT, which is detected again
# before the file system is checked.
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
