#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Documentation/ABI/testing describes the attributes of all devices, and no others. The buses are an
# emulated NVDIMM, memory of the command line and the simulated buses of nfit_test.
#
# needs: nvdimm=64M,label=128K
# memmap: 64M!512M
# timeout: 240
. "$LIB"
. "${LIB%/*}/simulated.sh"

# Attributes that the platform of this guest may lack.
OPTIONAL='target_node$'

# described: prints the names that the files describe, without the directory of devices.
described() {
	sed -n 's,^What:[[:space:]]*/sys/bus/nd/devices/,,p; s,^What:[[:space:]]*/sys/class/,,p' abi/* | sort
}

# names DIRECTORY: prints the attributes below a directory of devices, as the files name them.
# Attributes of the driver core are left out, and the files of devices further down.
names() {
	for device in "$1"/*; do
		[ -e "$device/uevent" ] || continue
		name=${device##*/}
		for file in "$device"/* "$device"/*/*; do
			[ -f "$file" ] || continue
			# A directory is a group, unless it is another device or a link to one.
			group=${file%/*}
			if [ "$group" != "$device" ] && { [ -L "$group" ] || [ -e "$group/uevent" ]; }; then
				continue
			fi
			case ${file##*/} in
			uevent | dev) continue ;;
			esac
			printf '%s\n' "$name/${file#"$device"/}"
		done
	done | sed -E '
		s,^(namespace|btt|pfn|dax)[0-9]+\.[0-9]+/,\1X.Y/,
		s,^(ndbus|nmem|region|test_dimm)[0-9]+/,\1X/,
		s,/mapping[0-9]+$,/mappingY,'
}

reset_labels 1.2
mkdir abi
mount -t 9p -o trans=virtio,version=9p2000.L,ro abi abi
described >described
[ -s described ] || fail "the files describe nothing"

{
	names "$ND"
	names /sys/class/nfit_test_dimm | sed 's,^,nfit_test_dimm/,'
} | sort -u >found
for kind in ndbusX nmemX regionX namespaceX.Y bttX.Y pfnX.Y daxX.Y; do
	grep -q "^$kind/" found || fail "there is no $kind"
done

expect_eq "attributes without an entry" "$(comm -13 described found)" ""
expect_eq "entries without an attribute" "$(comm -23 described found | grep -Ev "$OPTIONAL" || true)" ""
umount abi
unload_simulated || fail "nfit_test cannot be unloaded"
