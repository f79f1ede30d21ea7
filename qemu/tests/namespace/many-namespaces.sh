#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A region has as many namespaces as its labels describe.
#
# needs: nvdimm=64M,label=512K
# stacks: rust c
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

COUNT=1100

expect_ok ndctl disable-region region0 2>/dev/null
expect_ok ndctl init-labels -f -V 1.2 nmem0 2>/dev/null
expect_ok ndctl enable-region region0 2>/dev/null
settle
# The namespaces are smaller than a page, so that they have no disks.
ndctl create-namespace -r region0 -m raw -s 16M >/dev/null || fail "create-namespace: $?"
expect_ok ndctl disable-region region0 2>/dev/null
expect_ok ndctl read-labels -o area nmem0 2>/dev/null
perl "${LIB%/*}/labels.pl" area fill $COUNT 512 || fail "labels.pl: $?"
expect_ok ndctl write-labels -i area nmem0 2>/dev/null
expect_eq "binding the region" "$(driver bind nd_region region0)" ok
settle
set -- "$ND"/region0/namespace0.*
expect_eq "namespaces" $# $COUNT
for number in 0 1023 1024 $((COUNT - 1)); do
	expect_eq "size of namespace0.$number" "$(show "namespace0.$number" size)" 512
done
expect_eq "seed" "$(seed namespace region0)" namespace0.0
expect_eq "init_namespaces" "$(show region0 init_namespaces)" $COUNT/$COUNT

unbind region0
expect_ok ndctl init-labels -f -V 1.2 nmem0 2>/dev/null
expect_eq "binding the region again" "$(driver bind nd_region region0)" ok
settle
expect_eq "namespaces without labels" "$(cd "$ND/region0" && echo namespace0.*)" namespace0.0
