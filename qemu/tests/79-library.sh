#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What ndctl's test of its library asserts of DIMMs, labels, raw and sector mode: by a program on
# libndctl, tools/library, but for the commands that DIMMs know.
#
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

expect_ok /host/tools/library
