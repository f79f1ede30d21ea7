#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Address range scrub: its attributes, and an error that is added to the lists of region and disk,
# and is cleared in the firmware when it is overwritten.
#
# timeout: 240
. "$LIB"
. "${LIB%/*}/simulated.sh"
. "${LIB%/*}/errors.sh"

for provider in "$N0" "$N1"; do
	scrub=$(scrub_file "$provider")
	expect_ok ndctl wait-scrub "$provider" >/dev/null
	expect_eq "scrubs of $provider after the start" "$(cat "$scrub")" 1
done
hardware=$(scrub_file "$N0")
hardware=${hardware%scrub}hw_error_scrub

# Values that may be written, and the attribute during a scrub.
scrub=$(scrub_file "$N0")
for value in 0 2 -1 x ''; do
	expect_store_errno EINVAL "$scrub" "$value"
done
expect_eq "a request" "$(store "$scrub" '1\n')" ok
expect_eq "a scrub that runs" "$(cat "$scrub")" 1+
# A request covers the ranges that are not queued yet. The range that is being scrubbed is one of
# them, so another request may be accepted.
refused=
for _ in 1 2 3 4 5 6 7 8 9 10; do
	answer=$(store "$scrub" 1)
	case $answer in
	ok) ;;
	EBUSY)
		refused=1
		break
		;;
	*) fail "a request while others wait: $answer" ;;
	esac
done
[ -n "$refused" ] || fail "no request was refused, though all ranges were waiting for one"
scrubbed
expect_eq "the count" "$(cat "$scrub")" 2
for value in 2 -1 x; do
	expect_store_errno EINVAL "$hardware" "$value"
done

# Reading the attribute all the time does not change the number of scrubs.
look() {
	perl -e '
		open my $scrub, "<", $ARGV[0] or die "$ARGV[0]: $!\n";
		while (-e "looking") {
			for (1 .. 100) {
				sysseek $scrub, 0, 0;
				sysread $scrub, my $state, 16;
			}
		}' "$scrub"
}
: >looking
look &
first=$!
look &
second=$!
for count in 3 4 5 6; do
	expect_eq "a request" "$(store "$scrub" 1)" ok
	scrubbed
	sleep 2
	expect_eq "the count while others look" "$(cat "$scrub")" $count
done
rm looking
wait "$first" "$second"

# A scrub finds an error without a notification.
reset_labels 1.2
region=$(region_of_ways 2)
created=$(ndctl create-namespace -r "$region" -m raw) || fail "create: $?"
namespace=$(field "$created" dev)
disk=$(field "$created" blockdev)
middle=$(($(field "$created" size) / 1024))
inject "$namespace" "$middle" 8 --no-notify
expect_eq "errors that the firmware knows" "$(injected "$namespace")" "$middle 8,"
expect_eq "bad sectors before a scrub" "$(bad_sectors "$disk")" ""
expect_ok read_sectors "$disk" "$middle" 8
find_errors
expect_eq "bad sectors of the disk" "$(bad_sectors "$disk")" "$middle 8,"
offset=$((($(cat "$ND/$namespace/resource") - $(cat "$ND/$region/resource")) / 512))
expect_eq "bad sectors of the region" "$(cat "$ND/$region/badblocks")" "$((offset + middle)) 8"
listed=$(ndctl list -n "$namespace" --media-errors | jq -c '.[0] | [.badblock_count, [.badblocks[] | [.offset, .length]]]')
expect_eq "what ndctl lists" "$listed" "[8,[[$middle,8]]]"
expect_lost "$disk" "$middle" 8
expect_ok read_sectors "$disk" $((middle - 8)) 8
expect_ok read_sectors "$disk" $((middle + 8)) 8
expect_fail read_sectors "$disk" $((middle - 1)) 2

# It stays in the lists when the region is disabled and enabled. The list cannot be read in between.
expect_ok ndctl disable-region "$region" >/dev/null
expect_errno "No such device or address" cat "$ND/$region/badblocks"
expect_ok ndctl enable-region "$region" >/dev/null
expect_eq "bad sectors of the disk again" "$(bad_sectors "$disk")" "$middle 8,"
expect_eq "bad sectors of the region again" "$(cat "$ND/$region/badblocks")" "$((offset + middle)) 8"

# Writing clears the error in all lists.
expect_ok write_sectors "$disk" $((middle + 2)) 3
expect_eq "bad sectors after a write" "$(bad_sectors "$disk")" "$middle 2,$((middle + 5)) 3,"
expect_eq "errors that the firmware knows" "$(injected "$namespace")" "$middle 2,$((middle + 5)) 3,"
expect_ok read_sectors "$disk" $((middle + 2)) 3
expect_lost "$disk" "$middle" 2
expect_ok write_sectors "$disk" $((middle - 4)) 16
expect_eq "bad sectors after all was written" "$(bad_sectors "$disk")" ""
expect_eq "bad sectors of the region" "$(cat "$ND/$region/badblocks")" ""
expect_eq "errors that the firmware knows" "$(injected "$namespace")" ""
expect_ok read_sectors "$disk" "$middle" 8
find_errors
expect_eq "bad sectors after one more scrub" "$(bad_sectors "$disk")" ""

# The firmware collects errors when it begins to scrub a range, and reports them a second later,
# when they may have been overwritten. One of these writes happens while the range is being
# scrubbed, whichever of the two ranges is scrubbed first.
inject "$namespace" "$middle" 3 --no-notify
find_errors
expect_eq "bad sectors before the scrub" "$(bad_sectors "$disk")" "$middle 3,"
expect_eq "a request" "$(store "$scrub" 1)" ok
expect_ok write_sectors "$disk" "$middle" 1
sleep 1
expect_ok write_sectors "$disk" $((middle + 1)) 1
sleep 1
expect_ok write_sectors "$disk" $((middle + 2)) 1
scrubbed
expect_eq "bad sectors after a scrub during which they were overwritten" "$(bad_sectors "$disk")" ""
expect_eq "bad sectors of the region" "$(cat "$ND/$region/badblocks")" ""
expect_ok read_sectors "$disk" "$middle" 3
