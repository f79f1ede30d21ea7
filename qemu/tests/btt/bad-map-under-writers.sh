#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A part of the map of a BTT becomes bad while writers of the same sectors wait for each other. The
# request that meets it fails. If it had begun to change the map, the disk is read only and the
# other writer fails as well. The next opening, in the same boot and after a power cut, finds a
# sound BTT with each acknowledged write.
#
# The writer on one CPU writes sectors on both sides of an edge between two units of media errors in
# the map; the other one only what lies behind it, whose map words stay good. So the second one
# often waits for a request that fails between its commits and its map words.
#
# needs: nvdimm=128M
# boots: 2
# tags: slow
# timeout: 1800
. "$LIB"
. "${LIB%/*}/devices.sh"
overlap=${LIB%/*}/overlap.pl
ROUNDS=$(argument rounds 40)
# So many rounds have to leave a request half done.
INTERRUPTED=3
# Sectors of 4096 bytes. A unit of media errors, 512 bytes, has 128 words of the map.
SIZE=4096

# simulate_dimms: the memory of the NVDIMM becomes that of simulated DIMMs. Their errors can be
# injected. $namespace is on the region of four of them; the raw disk of another one keeps notes
# through the power cut.
simulate_dimms() {
	settle
	memory=$(cat "$ND/region0/resource")
	! enabled namespace0.0 || unbind namespace0.0
	unbind region0
	modprobe nfit_test "memory=$memory" || fail "nfit_test cannot be loaded"
	settle
	for region in "$ND"/region*; do
		case $(readlink -f "$region"):$(cat "$region/mappings") in
		*/nfit_test.0/*:4) namespace=namespace${region##*/region}.0 ;;
		*/nfit_test.0/*:2) notes=/dev/$(disk_of "namespace${region##*/region}.0") ;;
		esac
	done
	bus=/dev/ndctl$(readlink -f "$ND/$namespace" | sed 's/.*ndbus\([0-9]*\).*/\1/')
	wait_for 10 test -b "$notes"
}

leave() {
	_status=$?
	trap - EXIT
	ndctl disable-region all >/dev/null 2>&1 || :
	modprobe -r nfit_test || _status=1
	exit $_status
}
trap leave EXIT

# map_address: where the map of the one arena is, as a physical address. The BTT begins behind 4096
# bytes, as there are no labels.
map_address() {
	echo $(($(cat "$ND/$namespace/resource") + 4096 + $(cat "/sys/kernel/debug/btt/$btt/arena0/mapoff")))
}

is_read_only() {
	[ "$(cat "/sys/block/$disk/ro")" = 1 ]
}

# fail_writers ROUND: the map becomes bad under two writers.
fail_writers() {
	round=$1
	rm -f stop
	perl "$overlap" write "/dev/$disk" $SIZE 96 80 1 $((round << 32)) >log.1 || fail "the first write of round $round"
	taskset -c 0 perl "$overlap" write "/dev/$disk" $SIZE 104 48 2 $((round << 32)) never >log.2 &
	first=$!
	taskset -c 1 perl "$overlap" write "/dev/$disk" $SIZE 128 16 3 $((round << 32)) stop >log.3 &
	second=$!
	sleep 0.5
	perl "$overlap" inject "$bus" "$(map_address)" 512 || fail "the map cannot be lost"
	wait $first || fail "the first writer of round $round: $?"
	# The second writer makes some more requests, and a disk becomes read only in the
	# background.
	sleep 0.5
	: >stop
	wait $second || fail "the second writer of round $round: $?"
	expect_match "the end of the first writer" "$(tail -n 1 log.2)" '*Input/output error'
	if is_read_only; then
		expect_match "the end of the second writer" "$(tail -n 1 log.3)" '*Input/output error'
	else
		expect_match "the end of the second writer, which nothing has interrupted" "$(tail -n 1 log.3)" '*ok'
	fi
}

# judge: the BTT that was found is sound, and holds what it has to.
judge() {
	echo 1 >"/sys/kernel/debug/btt/$btt/check"
	expect_match "the check" "$(cat "/sys/kernel/debug/btt/$btt/check")" '0 defects*'
	perl "$overlap" check "/dev/$disk" $SIZE log.1 log.2 log.3 >judged || fail "$(cat judged)"
	dd if="/dev/$disk" of=/dev/null bs=1M iflag=direct 2>dd.log || fail "reading all sectors: $(cat dd.log)"
}

simulate_dimms
if [ "$BOOT" = 1 ]; then
	make_btt "$namespace" $SIZE
	interrupted=0
	for round in $(seq "$ROUNDS"); do
		fail_writers "$round"
		! is_read_only || interrupted=$((interrupted + 1))
		[ $interrupted -lt $INTERRUPTED ] || break
		address=$(map_address)
		release "$btt"
		perl "$overlap" clear "$bus" "$address" 512 || fail "the error of round $round cannot be cleared"
		detect "$namespace"
		judge
	done
	say "$interrupted of $round rounds left a request half done"
	[ $interrupted = $INTERRUPTED ] || fail "only $interrupted requests were interrupted in $ROUNDS rounds"
	tar -cf - log.1 log.2 log.3 | dd of="$notes" bs=64K iflag=fullblock conv=sync,fsync oflag=direct 2>dd.log || fail "notes: $(cat dd.log)"
	power_cut
fi

# --- After the cut
dd if="$notes" bs=64K iflag=direct 2>dd.log | tar -xf - || fail "there are no notes"
wait_for 20 test -n "$(show "$namespace" holder)"
release "$(show "$namespace" holder)"
ndctl check-namespace "$namespace" >check.out 2>&1 || fail "ndctl: $(cat check.out)"
detect "$namespace"
judge
