# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
#
# Library for comparisons of commands, after lib.sh and devices.sh: `. "${LIB%/*}/commands.sh"`.
#
# A script prints the output of every command, its exit status, and its changes in sysfs, on the
# disks and at the start of the label areas. tools/sysfs-probe/src/state lists what is omitted
# because it differs in every run or on purpose.

# step COMMAND...: runs a command and prints all of this.
step() {
	echo "### $*"
	status=0
	"$@" >said 2>&1 </dev/null || status=$?
	# Changes by a list command are shown after the next other command.
	case "$1 ${2-}" in
	*ctl\ list)
		/host/tools/sysfs-probe report said $status
		;;
	*)
		settle
		/host/tools/sysfs-probe report --since state said $status
		;;
	esac
}

# create ID OPTION...: creates a namespace with a UUID that is the same in every run.
create() {
	id=$1
	shift
	step ndctl create-namespace -u "00000000-0000-4000-8000-0000000000$id" "$@"
}

# media NAMESPACE: prints a checksum of all its bytes except for the random UUIDs in the info blocks
# of BTTs and the checksums over them.
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

# label_region REGION DIMM [OPTION...]: initialises the label area of the DIMM, so that the region
# may have several namespaces.
label_region() {
	region=$1
	dimm=$2
	shift 2
	ndctl disable-region "$region" >/dev/null 2>&1
	ndctl init-labels -f "$@" "$dimm" >/dev/null 2>&1
	ndctl enable-region "$region" >/dev/null 2>&1
	settle
}

# create_four: initialises the label area of the DIMM of region0, and makes namespaces of several
# sizes and modes there.
create_four() {
	label_region region0 nmem0
	create 01 -r region0 -m raw -s 32M
	create 02 -r region0 -m sector -s 32M
	create 03 -r region0 -m sector -l 512 -s 32M -n three
	create 04 -r region0 -m raw -l 4096 -s 16M
}
