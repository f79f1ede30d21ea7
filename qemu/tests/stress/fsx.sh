#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# fsx changes files at random and compares each read with what it wrote: two at the same time on
# ext4 and XFS, and the disk itself. The files are the same after the BTT was detected again.
# `make test ARGS="stress/fsx -- 100000"` does that number of steps.
#
# needs: nvdimm=384M
# stacks: rust c
# timeout: 400
. "$LIB"
. "${LIB%/*}/devices.sh"

steps=${1:-800}

cat >file.toml <<-END
	flen = 4194304
	[opsize]
	max = 262144
	[weights]
	close_open = 1
	read = 10
	write = 20
	mapread = 5
	mapwrite = 10
	invalidate = 1
	truncate = 5
	fsync = 3
	fdatasync = 3
	posix_fallocate = 3
	punch_hole = 5
	sendfile = 2
	posix_fadvise = 10
	copy_file_range = 5
END

# exercise SEED CONFIGURATION FILE
exercise() {
	mkdir -p "kept.$1"
	/host/tools/fsx -q -f "$2" -N "$steps" -S "$1" -P "kept.$1" "$3" >"fsx.$1" 2>&1 ||
		fail "fsx with seed $1 on $3: $(tail -n 30 "fsx.$1")"
}

# exercise_disk SEED: runs fsx on the disk itself. Holes can be punched if the disk can write
# zeroes.
exercise_disk() {
	_punch=5
	[ "$(cat "/sys/block/$disk/queue/write_zeroes_max_bytes")" != 0 ] || _punch=0
	cat >disk.toml <<-END
		flen = 4194304
		blockmode = true
		nosizechecks = true
		[opsize]
		max = 262144
		align = 4096
		[weights]
		truncate = 0
		read = 10
		write = 20
		mapread = 5
		mapwrite = 5
		fsync = 3
		punch_hole = $_punch
		posix_fadvise = 10
	END
	exercise "$1" disk.toml "/dev/$disk"
}

mkdir mounted
for sector_size in 512 4096; do
	make_btt namespace0.0 $sector_size
	for kind in ext4 xfs; do
		make_filesystem $kind
		mount -t $kind "/dev/$disk" mounted
		exercise 1 file.toml mounted/one &
		exercise 2 file.toml mounted/two
		wait $! || fail "the other fsx failed"
		sums=$(sha256sum mounted/one mounted/two)
		umount mounted
		release "$btt"
		detect namespace0.0
		mount -t $kind "/dev/$disk" mounted
		expect_eq "files on $kind after the BTT was found again" "$(sha256sum mounted/one mounted/two)" "$sums"
		umount mounted
	done
	exercise_disk 3
	release "$btt"
	wipe namespace0.0
done
