#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Labels that are damaged, of unknown versions, or invalid: only the namespace concerned is refused,
# and its neighbours are enabled with their data. Then areas with random bytes: the kernel survives.
# `make test ARGS="--append areas=100 label/malformed-labels"` tries 100 of them.
#
# needs: nvdimm=128M,label=128K
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"

RANDOM_AREAS=$(argument areas 4)
one=11111111-1111-4111-8111-111111111111
two=22222222-2222-4222-8222-222222222222
three=33333333-3333-4333-8333-333333333333
future=99999999-9999-4999-8999-999999999999

# load: writes the label area from the file `area` and enables the region.
load() {
	ndctl disable-region region0 >/dev/null 2>&1 || true
	# This enables the DIMM, if it was enabled before.
	dmesg -C
	ndctl write-labels -i area nmem0 >/dev/null 2>&1 || true
	ndctl enable-dimm nmem0 >/dev/null 2>&1 || true
	ndctl enable-region region0 >/dev/null 2>&1 || true
	settle
}

names() {
	ndctl list -N 2>/dev/null | jq -r '.[].name' | sort | tr '\n' ' '
}

# found NAMES WHAT [MESSAGE]: the namespaces have these names, and the neighbours have their data.
found() {
	expect_eq "namespaces with $2" "$(names)" "$1"
	[ -z "${3:-}" ] || expect_kernel_message "$3"
	for name in one three; do
		case " $1" in
		*" $name "*)
			disk=$(ndctl list -N | jq -r --arg name $name '.[] | select(.name == $name) | .blockdev')
			same "${#name}" 65536 0 || fail "the data of $name are gone with $2"
			;;
		esac
	done
}

# with NAMES MESSAGE CHANGE...: changes the label of `two` and checks the result.
with() {
	names=$1 message=$2
	shift 2
	cp good area
	perl "${LIB%/*}/labels.pl" area $two "$@" || fail "labels.pl $*: $?"
	load
	found "$names" "$*" "$message"
}

# with_index MESSAGE CHANGE...: changes both index blocks. There are no namespaces and none can be
# created. If there is a message, the area is damaged and must not be changed.
with_index() {
	message=$1
	shift
	cp good area
	perl "${LIB%/*}/labels.pl" area index "$@" || fail "labels.pl $*: $?"
	load
	found "" "index $*" "$message"
	if ndctl create-namespace -r region0 -m raw -s 16M >/dev/null 2>&1; then
		fail "a namespace is made in an area with index $*"
	fi
	ndctl disable-region region0 >/dev/null 2>&1 || true
	ndctl read-labels -o now nmem0 2>/dev/null
	[ -z "$message" ] || expect_ok cmp area now
}

ndctl disable-region region0 2>/dev/null
ndctl init-labels -f -V 1.2 nmem0 2>/dev/null
ndctl enable-region region0 2>/dev/null
settle
for name in one two three; do
	eval "uuid=\$$name"
	disk=$(ndctl create-namespace -r region0 -m raw -s 32M -n $name -u "$uuid" | jq -r .blockdev)
	wait_for 20 test -b "/dev/$disk"
	put "${#name}" 65536 0
done
ndctl disable-region region0 2>/dev/null
ndctl read-labels -o good nmem0 2>/dev/null
ndctl enable-region region0 2>/dev/null
cp good area
load
found "one three two " "nothing changed"

# Invalid labels.
with "one three " "region0: namespace $two refused: mapping0: slot .*: checksum is 0x0*1, expected" checksum=1
expect_eq "free space beside a damaged label" "$(show region0 available_size)" $((32 << 20))
with "one three " "region0: namespace $two refused: mapping0: slot .*: slot is 77, expected" slot=77
# Labels that belong to another region.
with "one three " "" cookie=1
with "one three " "" dpa=0x7ffffffff000
# Labels with wrong fields.
with "one three " "region0: namespace $two refused: mapping0: nlabel is 2, expected 1" nlabel=2
with "one three " "region0: namespace $two refused: mapping0: position is 1, expected" position=1
with "one three " "region0: namespace $two refused: mapping0: type GUID is $future, expected" type=$future
with "one three " "region0: namespace $two refused: mapping0: dpa is" dpa=0x6000000 rawsize=0x10000000
with "one three " "region0: namespace $two refused: mapping0: slot .*: rawsize is 0x0 at" rawsize=0
with "one three " "region0: namespace $two refused: mapping0: slot .*: rawsize is 0xffffffffffffffff at" rawsize=0xffffffffffffffff
# Labels with unusual, but valid fields.
with "one three two " "" class=$future
expect_eq "class from the future" "$(cat "$ND"/namespace0.*/holder_class | sort -u | tr -d '\n')" "<unknown>"
with "one three two " "" lbasize=12345
with "one three two " "" flags=0xffffffff
with "$(printf '%064d' 7) one three " "" "name=$(printf '%064d' 7)"
# Overlapping addresses: their owner is unknown, so both namespaces are refused.
with "three " "region0: namespace $two refused: mapping0: dpa is 0x1000000\.\.0x3000000, expected no overlap with 0x0\.\.0x2000000" dpa=0x1000000
expect_kernel_message "region0: namespace $one refused: mapping0: dpa is 0x0\.\.0x2000000, expected no overlap with 0x1000000\.\.0x3000000"
shown=$(ndctl list -Ni | jq -r --arg uuid $two '.[] | select(.uuid == $uuid) | .dev')
ndctl destroy-namespace -f "$shown" >/dev/null 2>said || fail "destroy-namespace: $(cat said)"
ndctl disable-region region0 2>/dev/null
ndctl enable-region region0 2>/dev/null
settle
found "one three " "one of two given up that had the same addresses"

# Invalid index blocks, or of an unknown version: the area is not changed.
with_index "nmem0: label area: label of version 1\.2 in slot .*, but no index" signature=NAMESPACE_INDEY
with_index "nmem0: label area: index0: checksum is 0x0*7, expected" checksum=7
with_index "nmem0: label area: index0: version is 2\.2, expected" major=2
with_index "nmem0: label area: index.: labelsize is 7, expected" labelsize=7
with_index "nmem0: label area: index0: seq is 0x0, expected" sequence=0
with_index "nmem0: label area: index0: nslot is 4294967295, expected" slots=0xffffffff
with_index "" slots=0
with_index "nmem0: label area: index.: myoff is 0x100000, expected" own=0x100000
with_index "nmem0: label area: index0: mysize is 0x7fffffff, expected" size=0x7fffffff
with_index "nmem0: label area: index0: mysize is 0x0, expected" size=0
with_index "nmem0: label area: index0: otheroff is 0x7, expected" other=7
with_index "nmem0: label area: index0: labeloff is 0xfffffffffffff000, expected" labels=0xfffffffffffff000

# Random bytes.
for seed in $(seq $RANDOM_AREAS); do
	cp good area
	perl "${LIB%/*}/labels.pl" area random "$seed" $((seed * seed))
	load
done

cp good area
load
found "one three two " "nothing changed any more"
