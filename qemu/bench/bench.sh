#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The guest's part of `make bench`: makes BTTs on the first two NVDIMMs and leaves the third one
# raw. Then it measures each line of the file `cells` in the share `run`: NAME DISK RW BLOCK_SIZE
# JOBS ENGINE. It prints NAME and a number for each: requests a second, or with the argument
# `icount` the mean nanoseconds of a request, which are instructions then.
#
# Under emulation, fio takes as long to start as for thousands of requests. All cells are therefore
# measured by one run of fio, one after the other.
. "$LIB"
. "${LIB%/*}/devices.sh"

mode=${1:-}
make_btt namespace0.0 4096
btt4096=$disk
make_btt namespace1.0 512
btt512=$disk
enabled namespace2.0 || bind namespace2.0
raw=$(disk_of namespace2.0)
# Write every sector first: the blocks of a new BTT are in order.
for disk in "$btt4096" "$btt512" "$raw"; do
	dd if=/dev/zero of="/dev/$disk" bs=1M oflag=direct 2>dd.log || true
done

disk_of_cell()
{
	case $1 in
	btt4096) echo "/dev/$btt4096" ;;
	btt512) echo "/dev/$btt512" ;;
	raw) echo "/dev/$raw" ;;
	esac
}

# requests BYTES: prints the number of requests of that size to count. The timer interrupts every
# four million instructions, whose share must be the same in all cells. A disk has space for 48 MiB
# of requests.
requests()
{
	most=$((48 * 1024 * 1024 / $1))
	if [ "$most" -lt 4000 ]; then echo "$most"; else echo 4000; fi
}

if [ "$mode" = icount ]; then
	while read -r name disk rw bs _ engine; do
		fio --name="$name" --filename="$(disk_of_cell "$disk")" --rw="$rw" --bs="$bs" --ioengine="$engine" --size=48M --direct=1 \
			--randseed=5 --number_ios="$(requests "$bs")" --output-format=json >fio.json
		number='([.read, .write] | map(select(.total_ios > 0)) | .[0].clat_ns.mean | floor)'
		jq -r --arg name "$name" ".jobs[0] | \"\(\$name) \($number)\"" fio.json
	done </host/run/cells
	exit
fi

cat >cells.fio <<EOF
[global]
direct=1
randseed=5
size=48M
offset_increment=48M
thread
group_reporting
time_based
runtime=300ms
EOF
while read -r name disk rw bs jobs engine; do
	cat <<-EOF
		[$name]
		stonewall
		new_group
		filename=$(disk_of_cell "$disk")
		rw=$rw
		bs=$bs
		numjobs=$jobs
		ioengine=$engine
	EOF
	if [ "$engine" = io_uring ]; then
		echo iodepth=8
	fi
done </host/run/cells >>cells.fio
fio --output-format=json cells.fio >fio.out
# Remarks of fio precede the JSON.
sed -n '/^{/,$p' fio.out >fio.json
jq -r '.jobs[] | "\(.jobname) \(.read.iops + .write.iops | floor)"' fio.json
