#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A namespace must be contiguous on each DIMM: with free space in two extents, the default size is
# that of the larger one.
#
# tags: quick
# timeout: 120
. "$LIB"
. "${LIB%/*}/simulated.sh"

reset_labels 1.1
region=$(region_of_ways 4)
quarter=$(($(cat "$ND/$region/available_size") / 4))
expect_eq "a quarter" $quarter 16777216

first=$(field "$(ndctl create-namespace -r "$region" -m raw -s $quarter)" dev)
second=$(field "$(ndctl create-namespace -r "$region" -m raw -s $quarter)" dev)
third=$(field "$(ndctl create-namespace -r "$region" -m raw -s $quarter)" dev)
[ "$first" != "$third" ] || fail "two namespaces have the name $first"
expect_eq "what is available" "$(cat "$ND/$region/available_size")" $quarter

expect_ok ndctl destroy-namespace -f "$second"
expect_eq "what is available" "$(cat "$ND/$region/available_size")" $((2 * quarter))
expect_eq "the largest piece" "$(cat "$ND/$region/max_available_extent")" $quarter
created=$(ndctl create-namespace -r "$region" -m raw) || fail "create: $?"
expect_eq "the size of a namespace of the default size" "$(field "$created" size)" $quarter
