#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# btt check and ndctl check-namespace on the same images, good and damaged in all ways that tools/damage knows: they agree whether
# an image is good, can be repaired or cannot, and what they repair becomes the same, byte for byte. Where they do not
# agree, it is for a reason that stands below.
#
# Arguments: how many images, and the seed of the first one. 18 in a row are of all kinds.
#
# needs: nvdimm=18M
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
	# A zeroed info block stands for a BTT that was given up, and foreign data may be wanted: btt wants to be told. ndctl does
	# not ask.
	zeroed/none | overwritten/damaged) echo repairable ;;
	# 0 is the number of a slot that was never written; it goes with 1 in the first slot only. ndctl takes any two numbers up
	# to 3 that differ.
	flog-number/damaged) echo 'good or damaged' ;;
	# ndctl says that the copy needs to be restored, and ends with status 0.
	copy/repairable) echo good ;;
	# If the map is as in a new BTT, a sector that was written by two lanes seems interrupted in the first. ndctl then finishes
	# both writes if the lanes are in the order of the writes; btt refuses what depends on the order of lanes.
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
echo "$agreed agreed, $explained differed as explained"
[ $((agreed + explained)) = "$count" ] || fail "$count images expected"
