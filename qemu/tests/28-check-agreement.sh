#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# btt check and ndctl check-namespace on the same images, good and damaged in all ways that
# tools/damage knows: they agree whether an image is good, can be repaired or cannot, and what they
# repair becomes the same, byte for byte. Where they do not agree, it is for a reason that stands
# below.
#
# Images as other systems leave them are found, read and written by the driver, and good afterwards.
#
# Arguments: how many damaged images, and the seed of the first one. 19 in a row are of all kinds.
#
# needs: nvdimm=18M nvdimm=18M,label=128K
# stacks: rust c
# timeout: 3600
. "$LIB"
. "${LIB%/*}/devices.sh"

count=${1:-6}
first=${2:-0}
namespace=namespace0.0
unbind "$namespace"
bytes=$(show "$namespace" size)
# What udev does with each disk costs more than all programs here, and ndctl waits for it.
udevadm settle
udevadm control --exit
trap '/usr/lib/systemd/systemd-udevd --daemon' EXIT

# ours IMAGE: what btt says, in $our: good, repairable, damaged or none.
ours() {
	_status=0
	/host/tools/btt check "$1" >ours.log 2>&1 || _status=$?
	case $_status in
	0) our=good ;;
	4) our=repairable ;;
	1) our=damaged ;;
	3) our=none ;;
	*) fail "btt check: $_status: $(cat ours.log)" ;;
	esac
}

# theirs: the same of ndctl for the namespace, which is repaired if it can be, in $their.
theirs() {
	if ndctl check-namespace "$namespace" >theirs.log 2>&1; then
		their=good
	elif ndctl check-namespace --repair "$namespace" >>theirs.log 2>&1; then
		their=repairable
	else
		their=damaged
	fi
}

# expected KIND OURS: what ndctl says if btt says OURS.
expected() {
	case $1/$2 in
	# A zeroed info block stands for a BTT that was given up, and foreign data may be wanted:
	# btt wants to be told. ndctl does not ask.
	zeroed/none | overwritten/damaged) echo repairable ;;
	# 0 is the number of a slot that was never written; it goes with 1 in the first slot only.
	# ndctl takes any two numbers up to 3 that differ.
	flog-number/damaged) echo 'good or damaged' ;;
	# ndctl says that the copy needs to be restored, and ends with status 0.
	copy/repairable) echo good ;;
	# If the map is as in a new BTT, a sector that was written by two lanes seems interrupted in
	# the first. ndctl then finishes both writes if the lanes are in the order of the writes;
	# btt refuses what depends on the order of lanes.
	map-lost/damaged) echo 'damaged or repairable' ;;
	*/none) echo damaged ;;
	*) echo "$2" ;;
	esac
}

agreed=0
explained=0
seed=$first
raw_access "$namespace"
while [ "$seed" -lt $((first + count)) ]; do
	kind=$(/host/tools/damage "$seed" image --size "$bytes")
	expect_ok dd if=image of="/dev/$disk" bs=1M oflag=direct status=none
	no_raw_access "$namespace"
	ours image
	theirs
	wanted=$(expected "$kind" "$our")
	case " $wanted " in
	*" $their "*) ;;
	*) fail "image $seed ($kind): ndctl says $their, btt $our: $(cat theirs.log ours.log)" ;;
	esac
	echo "$seed $kind: btt $our, ndctl $their"
	if [ "$our" = "$their" ] || [ "$our/$their" = none/damaged ]; then
		agreed=$((agreed + 1))
	else
		explained=$((explained + 1))
	fi
	raw_access "$namespace"
	if [ "$their" = repairable ] && [ "$kind/$our" != map-lost/damaged ]; then
		rm -f backup
		expect_ok /host/tools/btt repair --restore-info --backup backup image
		cmp image "/dev/$disk" || fail "image $seed ($kind): ndctl repairs it to something else"
	fi
	seed=$((seed + 1))
done
no_raw_access "$namespace"

# leave WRITER [OPTION...]: its image is on the namespace.
leave() {
	writer=$1
	rm -f image
	expect_eq "who left the image" "$(/host/tools/damage "$@" image --size "$(show "$namespace" size)")" "$writer"
	raw_access "$namespace"
	expect_ok dd if=image of="/dev/$disk" bs=1M oflag=direct status=none
	no_raw_access "$namespace"
}

# expect_sector NUMBER BYTE: of $disk.
expect_sector() {
	head -c 4096 /dev/zero | tr '\0' "\\$(printf %03o "$2")" >expected
	expect_ok dd if="/dev/$disk" of=read bs=4096 skip="$1" count=1 iflag=direct status=none
	cmp expected read || fail "sector $1 of the image that $writer left"
}

# expect_left: what all of them have written.
expect_left() {
	expect_sector 0 1
	expect_sector 1 2
	expect_sector 7 8
	expect_sector 300 50
}

# expect_marks: what libpmemblk was told to read as zeroes, and to fail.
expect_marks() {
	expect_sector 5 0
	expect_fail dd if="/dev/$disk" of=read bs=4096 skip=9 count=1 iflag=direct status=none 2>dd.log
}

# expect_ndctl: what ndctl says of it. It takes flags in the log for bits of a block number; both
# drivers leave them out.
expect_ndctl() {
	theirs
	case $writer in
	zero-flags | pmemblk | firmware)
		expect_eq "what ndctl says of it: $(cat theirs.log)" "$their" damaged
		expect_match "what ndctl says of it" "$(cat theirs.log)" "*found a log entry with an out of bounds 'old' mapping*"
		;;
	*) expect_eq "what ndctl says of it: $(cat theirs.log)" "$their" good ;;
	esac
}

for writer in linux early-linux zero-flags pmemblk many-lanes; do
	leave "$writer"
	detect "$namespace"
	expect_left
	[ "$writer" != pmemblk ] || expect_marks
	put 1 65536 0
	put 2 65536 $(($(disk_bytes "$disk") - 65536))
	release "$btt"
	raw_access "$namespace"
	expect_ok dd if="/dev/$disk" of=image bs=1M iflag=direct status=none
	no_raw_access "$namespace"
	ours image
	expect_eq "what btt says of it: $(cat ours.log)" "$our" good
	expect_ndctl
	echo "$writer: btt $our, ndctl $their"
	detect "$namespace"
	expect_sector 300 50
	same 1 65536 0 || fail "what was written over the image that $writer left is not there"
	release "$btt"
done

# Fewer lanes than its own are not for the C driver.
leave few-lanes
if [ "$STACK" = rust ]; then
	detect "$namespace"
	expect_sector 300 50
	release "$btt"
else
	expect_eq "the error of a BTT with few lanes" "$(driver bind nd_pmem "$namespace")" ENXIO
	settle
	btt=$(show "$namespace" holder)
	! enabled "$btt" || fail "$btt is enabled"
	release "$btt"
fi

# A version in the place of the other is no BTT for the C driver. Ours does not take the namespace
# for an empty one.
leave misplaced
if [ "$STACK" = rust ]; then
	expect_eq "the error of a misplaced BTT" "$(driver bind nd_pmem "$namespace")" ENXIO
	expect_kernel_message "$namespace: has a damaged BTT: arena 0: version is 2.0, expected 1.1"
else
	bind "$namespace"
	unbind "$namespace"
fi

# Version 2.0 is for namespaces whose labels say so.
ndctl disable-region region1 >/dev/null 2>&1 || fail "disable-region: $?"
ndctl init-labels -f -V 1.2 nmem1 >/dev/null 2>&1 || fail "init-labels: $?"
ndctl enable-region region1 >/dev/null 2>&1 || fail "enable-region: $?"
created=$(ndctl create-namespace -r region1 -m sector -l 4096) || fail "create-namespace: $?"
namespace=$(printf '%s' "$created" | jq -r .dev)
ndctl disable-namespace "$namespace" >/dev/null 2>&1 || fail "disable-namespace: $?"
leave firmware --namespace "$(show "$namespace" uuid)"
detect "$namespace"
expect_left
expect_marks
put 1 65536 0
release "$btt"
expect_ndctl
detect "$namespace"
expect_sector 300 50
same 1 65536 0 || fail "what was written over the image that firmware left is not there"

echo "$agreed agreed, $explained differed as explained"
[ $((agreed + explained)) = "$count" ] || fail "$count images expected"
