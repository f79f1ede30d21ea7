#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The device mapper over a raw disk: data, flushes and a file system go through a table whose parts
# are in another order than on the disk, with one that fails. A flush comes to the disk with a
# sector that has no meaning.
#
# needs: nvdimm=64M
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/mapper.sh"

settle
in_another_order pmem0
