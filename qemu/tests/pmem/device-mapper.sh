#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The device mapper over a raw disk: data, flushes and a file system through a table whose parts are
# in another order than on the disk, and one of which fails. The sector number of a flush is
# meaningless to the disk.
#
# needs: nvdimm=64M
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/mapper.sh"

settle
in_another_order pmem0
