#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# btt check and ndctl check-namespace on the same images, good and damaged in all ways of
# tools/btt-corrupt: they agree whether an image is good, repairable or beyond repair, and repaired
# images are identical. The exceptions are explained below.
#
# The driver detects, reads and writes images of other systems, which are good afterwards.
#
# Arguments: the number of damaged images, and the seed of the first one. 19 consecutive seeds cover
# all kinds.
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
# udev takes longer for each disk than all programs here, and ndctl waits for it.
udev_settle
udevadm control --exit
trap '/usr/lib/systemd/systemd-udevd --daemon' EXIT

# ours IMAGE: sets $our to the result of btt check: good, repairable, damaged or none.
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

# theirs: sets $their to the result of ndctl for the namespace, and repairs it if possible.
theirs() {
	if ndctl check-namespace "$namespace" >theirs.log 2>&1; then
		their=good
	elif ndctl check-namespace --repair "$namespace" >>theirs.log 2>&1; then
		their=repairable
	else
		their=damaged
	fi
}

# expected KIND OURS: prints the expected results of ndctl if that of btt is OURS.
expected() {
	case $1/$2 in
	# A zeroed info block means that the BTT was removed, and foreign data may be needed: btt
	# only repairs with an option. ndctl always repairs.
	zeroed/none | overwritten/damaged) echo repairable ;;
	# 0 is the number of a slot that was never written, and is valid only together with 1 in the
	# first slot. ndctl accepts any two different numbers up to 3.
	flog-number/damaged) echo 'good or damaged' ;;
	# ndctl reports that the copy needs to be restored, but exits with status 0.
	copy/repairable) echo good ;;
	# If the map is that of a new BTT, a sector that was written by two lanes looks interrupted
	# in the first. ndctl then finishes both writes if the lanes are in the order of the writes;
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
	kind=$(/host/tools/btt-corrupt "$seed" image --size "$bytes")
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

# leave WRITER [OPTION...]: writes the image of this writer to the namespace.
leave() {
	writer=$1
	rm -f image
	expect_eq "who left the image" "$(/host/tools/btt-corrupt "$@" image --size "$(show "$namespace" size)")" "$writer"
	raw_access "$namespace"
	expect_ok dd if=image of="/dev/$disk" bs=1M oflag=direct status=none
	no_raw_access "$namespace"
}

# expect_sector NUMBER BYTE: all bytes of this sector of $disk have this value.
expect_sector() {
	head -c 4096 /dev/zero | tr '\0' "\\$(printf %03o "$2")" >expected
	expect_ok dd if="/dev/$disk" of=read bs=4096 skip="$1" count=1 iflag=direct status=none
	cmp expected read || fail "sector $1 of the image that $writer left"
}

# expect_left: the sectors that all writers have written.
expect_left() {
	expect_sector 0 1
	expect_sector 1 2
	expect_sector 7 8
	expect_sector 300 50
}

# expect_marks: the sectors that libpmemblk marked as zero and as bad.
expect_marks() {
	expect_sector 5 0
	expect_fail dd if="/dev/$disk" of=read bs=4096 skip=9 count=1 iflag=direct status=none 2>dd.log
}

# expect_ndctl: checks the result of ndctl. It treats flags in the log as bits of a block number;
# both drivers mask them.
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

# The C driver does not accept fewer lanes than its own.
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

# The C driver does not detect a BTT of one version at the offset of the other. Ours does not treat
# the namespace as empty.
leave misplaced
if [ "$STACK" = rust ]; then
	expect_eq "the error of a misplaced BTT" "$(driver bind nd_pmem "$namespace")" ENXIO
	expect_kernel_message "$namespace: has a damaged BTT: arena 0: version is 2.0, expected 1.1"
else
	bind "$namespace"
	unbind "$namespace"
fi

# Version 2.0 requires labels that select it.
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
