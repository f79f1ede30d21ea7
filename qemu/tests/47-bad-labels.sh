#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Labels that are damaged, from the future, or nonsense: a namespace that is refused is refused alone, and its neighbours come up
# with their data. Then areas with random bytes: whatever becomes of the namespaces, the kernel goes on.
#
# needs: nvdimm=128M,label=128K
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"

RANDOM_AREAS=12
one=11111111-1111-4111-8111-111111111111
two=22222222-2222-4222-8222-222222222222
three=33333333-3333-4333-8333-333333333333
future=99999999-9999-4999-8999-999999999999

# load: lets the driver see the label area in the file `area`. Namespaces are driven afterwards.
load() {
	ndctl disable-region region0 >/dev/null 2>&1 || true
	ndctl write-labels -i area nmem0 >/dev/null 2>&1 || true
	dmesg -C
	ndctl enable-dimm nmem0 >/dev/null 2>&1 || true
	ndctl enable-region region0 >/dev/null 2>&1 || true
	settle
}

names() {
	ndctl list -N 2>/dev/null | jq -r '.[].name' | sort | tr '\n' ' '
}

# found NAMES WHAT [MESSAGE]: the namespaces are there that have these names, and the neighbours have their data.
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

# with NAMES MESSAGE CHANGE...: what becomes of changes to the label of `two`.
with() {
	names=$1 message=$2
	shift 2
	cp good area
	perl "${LIB%/*}/labels.pl" area $two "$@" || fail "labels.pl $*: $?"
	load
	found "$names" "$*" "$message"
}

# with_index NAMES CHANGE...: what becomes of changes to both index blocks.
with_index() {
	names=$1
	shift
	cp good area
	perl "${LIB%/*}/labels.pl" area index "$@" || fail "labels.pl $*: $?"
	load
	found "$names" "index $*"
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

# Labels that are none.
with "one three " "" checksum=1
with "one three " "" slot=77
# Labels of others.
with "one three " "" cookie=1
with "one three " "" dpa=0x7ffffffff000
# Labels that are wrong.
with "one three " "region0: namespace $two refused: mapping0: nlabel is 2, expected 1" nlabel=2
with "one three " "region0: namespace $two refused: mapping0: position is 1, expected" position=1
with "one three " "region0: namespace $two refused: mapping0: type GUID is $future, expected" type=$future
with "one three " "region0: namespace $two refused: mapping0: dpa is" dpa=0x6000000 rawsize=0x10000000
with "one three " "" rawsize=0
with "one three " "" rawsize=0xffffffffffffffff
# Labels that are unusual.
with "one three two " "" class=$future
expect_eq "class from the future" "$(cat "$ND"/namespace0.*/holder_class | sort -u | tr -d '\n')" "<unknown>"
with "one three two " "" lbasize=12345
with "one three two " "the update of its labels was interrupted" flags=0xffffffff
with "$(printf '%064d' 7) one three " "" "name=$(printf '%064d' 7)"
# Addresses that somebody else has: whose they are cannot be known, so the DIMM is not used.
with "" "nmem0: " dpa=0x1000000
[ ! -e "$ND/nmem0/driver" ] || fail "a DIMM is enabled of which two namespaces have the same addresses"

# Indexes that are none, or from the future: no labels.
for change in signature=NAMESPACE_INDEY checksum=7 major=2 labelsize=7 sequence=0 slots=0xffffffff slots=0 own=0x100000 size=0x7fffffff \
	size=0 other=7 labels=0xfffffffffffff000; do
	with_index "" $change
done

# Random bytes.
for seed in $(seq $RANDOM_AREAS); do
	cp good area
	perl "${LIB%/*}/labels.pl" area random "$seed" $((seed * seed))
	load
done

cp good area
load
found "one three two " "nothing changed any more"
