# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
#
# For comparisons of commands, after lib.sh and devices.sh: `. "${LIB%/*}/commands.sh"`.
#
# A script prints what every command said, its exit status, and what it changed in sysfs, on the disks and at the start of the
# label areas. What is left out as different in every run or on purpose is named in tools/attribute/src/state.

# step COMMAND...: runs it, and prints all that.
step() {
	echo "### $*"
	status=0
	"$@" >said 2>&1 </dev/null || status=$?
	# What a list may have changed is seen after the next command that is none.
	case "$1 ${2-}" in
	*ctl\ list)
		/host/tools/attribute report said $status
		;;
	*)
		settle
		/host/tools/attribute report --since state said $status
		;;
	esac
}

# create ID OPTION...: a namespace with a UUID that is always the same.
create() {
	id=$1
	shift
	step ndctl create-namespace -u "00000000-0000-4000-8000-0000000000$id" "$@"
}

# media NAMESPACE: a sum of all its bytes, whatever they mean, but for the random UUIDs in the info blocks of BTTs and the
# check sums over them.
media() {
	raw_access "$1"
	sum=$(perl -e '
		while (read STDIN, my $block, 4096) {
			if ($block =~ /^BTT_ARENA_INFO\0/) {
				substr($block, 16, 16) = "\0" x 16;
				substr($block, 4088, 8) = "\0" x 8;
			}
			print $block;
		}' <"/dev/$disk" | cksum)
	echo "--- bytes of $1: $sum"
	no_raw_access "$1"
}

# label_region REGION DIMM [OPTION...]: an index on the DIMM, so that the region may have many namespaces.
label_region() {
	region=$1
	dimm=$2
	shift 2
	ndctl disable-region "$region" >/dev/null 2>&1
	ndctl init-labels -f "$@" "$dimm" >/dev/null 2>&1
	ndctl enable-region "$region" >/dev/null 2>&1
	settle
}
