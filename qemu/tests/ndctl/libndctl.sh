#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Assertions of ndctl's test of libndctl on DIMMs, labels, raw and sector mode: a program on
# libndctl, tools/libndctl-test, checks them. The commands of DIMMs are checked here.
#
# tags: quick
# timeout: 240
. "$LIB"
. "${LIB%/*}/simulated.sh"

seen=
for dimm in "$ND"/nmem*; do
	case $(cat "$dimm/nfit/handle") in
	0x0)
		commands="smart smart_thresh get_size get_data set_data cmd_call "
		mask=0x7ffff476
		;;
	0x10000)
		commands="get_size get_data set_data cmd_call "
		mask=0x470
		;;
	*) continue ;;
	esac
	expect_eq "commands of ${dimm##*/}" "$(cat "$dimm/commands")" "$commands"
	expect_eq "dsm_mask of ${dimm##*/}" "$(cat "$dimm/nfit/dsm_mask")" $mask
	seen=$seen+
done
expect_eq "DIMMs that were looked at" "$seen" ++

expect_ok /host/tools/libndctl-test
