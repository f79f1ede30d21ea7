#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A configured, disabled namespace gets a new UUID: the UUID is in the labels, and the namespace can
# be enabled.
#
# tags: quick
# timeout: 120
. "$LIB"
. "${LIB%/*}/simulated.sh"

reset_labels 1.1
namespace=$(field "$(ndctl create-namespace -b "$N0" -m raw)" dev)
expect_ok ndctl disable-namespace "$namespace"
uuid=$(uuidgen)
expect_eq "writing a new UUID" "$(store "$ND/$namespace/uuid" "$uuid")" ok
expect_ok ndctl enable-namespace "$namespace"
expect_eq "the UUID" "$(cat "$ND/$namespace/uuid")" "$uuid"

expect_ok ndctl disable-region -b "$N0" all
expect_ok ndctl enable-region -b "$N0" all
found=$(ndctl list -b "$N0" -N | jq -c 'map(.uuid)')
expect_eq "the UUIDs that are found again" "$found" "[\"$uuid\"]"
