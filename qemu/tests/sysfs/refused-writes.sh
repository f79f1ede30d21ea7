#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Invalid writes to every writable attribute, in every state in which they are invalid: they fail
# with the expected error, and no attribute changes. The tables are the same for both stacks.
#
# needs: nvdimm=64M nvdimm=64M,label=128K
# stacks: rust c
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"

# refused STATE: the rows on standard input are refused. The names of the devices are filled in.
refused() {
	sed "s/BTT/$btt/; s/PFN/$pfn/; s/DAX/$dax/; s/NMEM/$nmem/; s/LABELLED/$labelled/" >table
	/host/tools/sysfs-probe refusals --root /sys/bus/nd <table >complaints ||
		fail "while $1:
$(cat complaints)"
}

# names: sets $btt, $pfn, $dax and $nmem to the seeds of region0 and its DIMM.
names() {
	btt=$(seed btt region0) pfn=$(seed pfn region0) dax=$(seed dax region0)
	nmem=$(cut -d, -f1 "$ND/region0/mapping0")
	[ -n "$pfn" ] && [ -n "$dax" ] || fail "there are no PFN or DAX seeds"
}

# With labels on its DIMM, the other region has namespaces that can be changed.
nmem=$(for dimm in "$ND"/nmem*; do ! cat "$dimm/available_slots" >slots 2>&1 || basename "$dimm"; done)
region=$(basename "$(dirname "$(grep -l "^$nmem," "$ND"/region*/mapping0)")")
[ "$region" = region1 ] || fail "$nmem, which has labels, is in $region"
unbind region1
ndctl init-labels -f "$nmem" >init.out 2>&1 || fail "init-labels: $(cat init.out)"
bind region1
labelled=$(seed namespace region1)

names
/host/tools/sysfs-probe read-only "$ND"/* >complaints || fail "$(cat complaints)"

# Invalid in every state.
cat >always <<-'END'
	devices/ndbus0/nfit/hw_error_scrub | 2 | EINVAL
	devices/ndbus0/nfit/hw_error_scrub | on | EINVAL
	devices/ndbus0/nfit/hw_error_scrub | | EINVAL
	devices/ndbus0/nfit/revision | 1 | EACCES
	devices/ndbus0/wait_probe | 1 | EACCES
	devices/ndbus0/provider | x | EACCES
	devices/region0/align | 0 | EINVAL
	devices/region0/align | 2048 | EINVAL
	devices/region0/align | 12288 | EINVAL
	devices/region0/align | 4097 | EINVAL
	devices/region0/align | 0x8000000 | EINVAL
	devices/region0/align | x | EINVAL
	devices/region0/align | -4096 | EINVAL
	devices/region0/align | 4096 4096 | EINVAL
	devices/region0/align | 0x10000000000000000 | ERANGE
	devices/region0/align | 4k | EINVAL
	devices/region0/align | | EINVAL
	devices/region0/read_only | x | EINVAL
	devices/region0/read_only | 2 | EINVAL
	devices/region0/read_only | -1 | EINVAL
	devices/region0/read_only | | EINVAL
	devices/region0/deep_flush | 1 | EACCES
	devices/region0/btt_seed | btt0.9 | EACCES
	devices/region0/size | 1 | EACCES
	devices/region0/set_cookie | 1 | EACCES
	devices/namespace0.0/force_raw | x | EINVAL
	devices/namespace0.0/force_raw | 2 | EINVAL
	devices/namespace0.0/force_raw | | EINVAL
	devices/namespace0.0/size | 0 | EACCES
	devices/namespace0.0/mode | raw | EACCES
	devices/namespace0.0/holder | BTT | EACCES
	devices/namespace0.0/resource | 1 | EACCES
	devices/BTT/size | 1 | EACCES
	devices/BTT/log_zero_flags | Y | EACCES
	devices/BTT/sector_sizes | 512 | EACCES
	devices/NMEM/state | idle | EACCES
	devices/NMEM/nfit/handle | 1 | EACCES
	drivers/nd_pmem/bind | namespace9.9 | ENODEV
	drivers/nd_pmem/bind | region0 | ENODEV
	drivers/nd_pmem/bind | NMEM | ENODEV
	drivers/nd_pmem/bind | DAX | ENODEV
	drivers/nd_pmem/bind | | ENODEV
	drivers/nd_region/bind | namespace0.0 | ENODEV
	drivers/nd_region/bind | region0 | EBUSY
	drivers/nvdimm/bind | region0 | ENODEV
	drivers/nvdimm/bind | NMEM | EBUSY
	drivers/nd_pmem/unbind | region0 | ENODEV
	drivers/nd_pmem/unbind | namespace9.9 | ENODEV
	drivers/nd_region/unbind | NMEM | ENODEV
END
# This attribute does not exist.
sed -i 's/^\(.*sector_sizes .*\)EACCES/\1ENOENT/' always

refused "a namespace is raw and the seeds are fresh" <<-END
	$(cat always)
	devices/namespace0.0/holder_class | btt | EBUSY
	devices/namespace0.0/holder_class | pfn | EBUSY
	devices/namespace0.0/holder_class | | EBUSY
	devices/BTT/sector_size | 0 | EINVAL
	devices/BTT/sector_size | 513 | EINVAL
	devices/BTT/sector_size | 1024 | EINVAL
	devices/BTT/sector_size | 8192 | EINVAL
	devices/BTT/sector_size | x | EINVAL
	devices/BTT/sector_size | -512 | EINVAL
	devices/BTT/sector_size | 512 4096 | EINVAL
	devices/BTT/sector_size | | EINVAL
	devices/BTT/sector_size | 18446744073709551616 | ERANGE
	devices/BTT/uuid | x | EINVAL
	devices/BTT/uuid | | EINVAL
	devices/BTT/uuid | 00000000-0000-0000-0000-00000000000 | EINVAL
	devices/BTT/uuid | 00000000-0000-0000-0000-00000000000g | EINVAL
	devices/BTT/uuid | 0000000000000-0000-0000-00000000000g | EINVAL
	devices/BTT/uuid | {0000000-0000-0000-0000-000000000000} | EINVAL
	devices/BTT/namespace | x | EINVAL
	devices/BTT/namespace | btt0.0 | EINVAL
	devices/BTT/namespace | \\ namespace0.0 | EINVAL
	devices/BTT/namespace | namespace | ENODEV
	devices/BTT/namespace | namespace0 | ENODEV
	devices/BTT/namespace | namespace0.1 | ENODEV
	devices/BTT/namespace | namespace1.0 | ENODEV
	devices/BTT/namespace | namespace0.0/../region0 | ENODEV
	devices/PFN/mode | xy | EINVAL
	devices/PFN/mode | ramdisk | EINVAL
	devices/PFN/align | 0 | EINVAL
	devices/PFN/align | 8192 | EINVAL
	devices/PFN/align | x | EINVAL
	devices/PFN/uuid | x | EINVAL
	devices/PFN/namespace | x | EINVAL
	devices/PFN/namespace | namespace1.0 | ENODEV
	devices/DAX/mode | xy | EINVAL
	devices/DAX/align | 3 | EINVAL
	devices/DAX/uuid | x | EINVAL
	devices/DAX/namespace | namespace1.0 | ENODEV
	drivers/nd_pmem/bind | namespace0.0 | EBUSY
	drivers/nd_pmem/bind | BTT | ENODEV
	drivers/nd_pmem/bind | PFN | ENODEV
	drivers/nd_pmem/unbind | BTT | ENODEV
END

unbind namespace0.0
refused "a namespace is idle" <<-END
	$(cat always)
	devices/namespace0.0/holder_class | x | EINVAL
	devices/namespace0.0/holder_class | bt | EINVAL
	devices/namespace0.0/holder_class | btt2 | EINVAL
	drivers/nd_pmem/unbind | namespace0.0 | ENODEV
END

# A BTT that lacks one of its three properties cannot be bound.
set_attribute "$btt" uuid "$(uuidgen)"
refused "a BTT has no sector size and no namespace" <<-END
	drivers/nd_pmem/bind | BTT | ENODEV
END
set_attribute "$btt" sector_size 4096
refused "a BTT has no namespace" <<-END
	drivers/nd_pmem/bind | BTT | ENODEV
	devices/BTT/sector_size | 4097 | EINVAL
	devices/BTT/uuid | x | EINVAL
END
set_attribute "$btt" namespace namespace0.0

refused "a BTT is configured" <<-END
	$(cat always)
	devices/BTT/namespace | namespace0.0 | EBUSY
	devices/BTT/namespace | namespace1.0 | EBUSY
	devices/BTT/namespace | x | EINVAL
	devices/BTT/sector_size | 1 | EINVAL
	devices/BTT/uuid | x | EINVAL
	devices/PFN/namespace | namespace0.0 | EBUSY
	devices/DAX/namespace | namespace0.0 | EBUSY
	devices/namespace0.0/holder_class | pfn | EBUSY
	devices/namespace0.0/holder_class | x | EBUSY
	drivers/nd_pmem/bind | namespace0.0 | ENXIO
END

bind "$btt"
refused "a BTT is enabled" <<-END
	$(cat always)
	devices/BTT/sector_size | 512 | EBUSY
	devices/BTT/sector_size | x | EBUSY
	devices/BTT/uuid | $(uuidgen) | EBUSY
	devices/BTT/uuid | x | EBUSY
	devices/BTT/namespace | | EBUSY
	devices/BTT/namespace | \\n | EBUSY
	devices/BTT/namespace | x | EBUSY
	devices/BTT/namespace | namespace0.0 | EBUSY
	devices/namespace0.0/holder_class | btt | EBUSY
	devices/namespace0.0/holder_class | | EBUSY
	drivers/nd_pmem/bind | namespace0.0 | ENXIO
	drivers/nd_pmem/bind | BTT | EBUSY
END

refused "a labelled namespace is empty" <<-END
	devices/LABELLED/size | 0x1000000 | ENXIO
	devices/LABELLED/size | 0 | ENXIO
	devices/LABELLED/size | x | EINVAL
	devices/LABELLED/size | -1 | EINVAL
	devices/LABELLED/size | 16M | EINVAL
	devices/LABELLED/size | | EINVAL
	devices/LABELLED/size | 0x10000000000000000 | ERANGE
	devices/LABELLED/uuid | x | EINVAL
	devices/LABELLED/uuid | | EINVAL
	devices/LABELLED/uuid | 00000000-0000-0000-0000-00000000000g | EINVAL
	devices/LABELLED/alt_name | 0123456789012345678901234567890123456789012345678901234567890123 | EINVAL
	devices/LABELLED/sector_size | 0 | EINVAL
	devices/LABELLED/sector_size | 520 | EINVAL
	devices/LABELLED/sector_size | x | EINVAL
	devices/LABELLED/holder_class | x | EINVAL
	devices/LABELLED/holder_class | btt2 | EINVAL
	devices/LABELLED/force_raw | 2 | EINVAL
	devices/LABELLED/dpa_extents | 1 | EACCES
	devices/LABELLED/resource | 1 | EACCES
	drivers/nd_pmem/bind | LABELLED | ENODEV
END

set_attribute "$labelled" uuid 11111111-0000-4000-8000-000000000000
refused "a labelled namespace has a UUID and no size" <<-END
	devices/LABELLED/uuid | 11111111-0000-4000-8000-000000000000 | EINVAL
	devices/LABELLED/size | 0x1000001 | EINVAL
	devices/LABELLED/size | 0x1001000 | EINVAL
	devices/LABELLED/size | 0x5000000 | ENOSPC
	devices/LABELLED/size | 0x8000000000000000 | ENOSPC
END

set_attribute "$labelled" size 0x2000000
cat >used <<-'END'
	devices/LABELLED/size | 0x1000000 | EBUSY
	devices/LABELLED/size | 0 | EBUSY
	devices/LABELLED/size | x | EINVAL
	devices/LABELLED/uuid | 22222222-0000-4000-8000-000000000000 | EBUSY
	devices/LABELLED/uuid | x | EBUSY
	devices/LABELLED/alt_name | name | EBUSY
	devices/LABELLED/sector_size | 4096 | EBUSY
	devices/LABELLED/sector_size | x | EBUSY
	devices/LABELLED/holder_class | | EBUSY
	devices/LABELLED/holder_class | pfn | EBUSY
	devices/LABELLED/holder_class | x | EBUSY
END
bind "$labelled"
refused "a labelled namespace is enabled" <used
unbind "$labelled"
set_attribute "$labelled" holder_class dax
btt=$(seed btt region1)
refused "a labelled namespace is set aside" <<-END
	devices/BTT/namespace | $labelled | EBUSY
END
set_attribute "$labelled" holder_class btt
set_attribute "$btt" namespace "$labelled"
refused "a labelled namespace is claimed" <used

# The C driver prints no messages.
if [ "$STACK" = rust ]; then
	expect_kernel_message "region0: align is not set to '12288': .* expected"
	expect_kernel_message "btt0\.[0-9]: sector_size is not set to '18446744073709551616': .* expected"
	expect_kernel_message "$labelled: uuid is not set to '11111111-0000-4000-8000-000000000000': .* expected"
fi
