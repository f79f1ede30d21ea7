#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# ndctl on a labelled DIMM: namespaces of all sizes and modes, refused commands, and disks that are
# in use.
#
# needs: nvdimm=192M,label=128K
# stacks: rust c
# compare
# boots: 1
# timeout: 600
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/commands.sh"

# Namespaces of all sizes and modes.
create_four
create 05 -r region0 -m sector -l 4160 -s 16M
step ndctl list -RNDi
step ndctl list -Nv
step ndctl list -N -u -n namespace0.1
step ndctl read-labels -j nmem0
step ndctl read-labels -j nmem0 -u
step ndctl read-labels nmem0 -o labels.saved
step ndctl check-namespace namespace0.1
step ndctl disable-namespace namespace0.1
step ndctl check-namespace namespace0.1
step ndctl check-namespace namespace0.1 --repair
step ndctl check-namespace namespace0.0
media namespace0.1
step ndctl enable-namespace namespace0.1
step ndctl enable-namespace namespace0.1
step ndctl check-namespace --force namespace0.1

# Refused.
create 06 -r region0 -m raw -s 5000
create 06 -r region0 -m raw -s 1G
create 06 -r region0 -m raw -s nonsense
create 06 -r region0 -m sector -l 1000 -s 16M
create 06 -r region0 -m nonsense -s 16M
create 06 -r region9 -m raw -s 16M
create 01 -r region0 -m raw -s 16M
step ndctl create-namespace -u nonsense -r region0 -m raw -s 16M
step ndctl create-namespace -r region0 -m raw -s 4G -u 00000000-0000-4000-8000-000000000010
step ndctl create-namespace -r region0 -m raw -n "$(pattern 1 100 | xxd -p | tr -d '\n')" -s 16M -u 00000000-0000-4000-8000-000000000011
step ndctl destroy-namespace namespace0.0
step ndctl destroy-namespace namespace9.9
step ndctl destroy-namespace
step ndctl disable-dimm nmem0
step ndctl disable-dimm nmem9
step ndctl disable-region region9
step ndctl disable-namespace namespace9.9
step ndctl enable-region nonsense
step ndctl write-labels nmem0 -i labels.saved

# The disk is in use.
disk=$(disk_of "$(show namespace0.1 holder)")
sleep 1000 3<"/dev/$disk" &
user=$!
step ndctl destroy-namespace -f namespace0.1
kill "$user"
wait "$user" || true
step ndctl list -Ni
mkfs.ext4 -q "/dev/$(disk_of namespace0.0)" >mkfs.log 2>&1
mkdir -p mounted
mount "/dev/$(disk_of namespace0.0)" mounted
step ndctl disable-namespace namespace0.0
step ndctl destroy-namespace -f namespace0.0
step ndctl disable-region region0
step ndctl create-namespace -f -e namespace0.0 -m sector
umount mounted
step ndctl list -RNi
