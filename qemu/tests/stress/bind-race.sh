#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# All attributes are read and written while devices are added and removed. Nothing crashes or hangs,
# and everything works afterwards.
#
# needs: nvdimm=96M,label=128K nvdimm=64M
# cpus: 4
# stacks: rust
# timeout: 300
. "$LIB"
. "${LIB%/*}/devices.sh"

# The processes run as long as the file `storm` exists.
: >storm

# readers: reads every readable attribute in a loop. Errors of devices that were removed are
# ignored.
readers() {
	while [ -e storm ]; do
		for file in "$ND"/*/* "$ND"/*/*/*; do
			case $file in
			*/wait_probe | */subsystem/* | */driver/* | */block/* | */uevent) continue ;;
			esac
			[ ! -f "$file" ] || cat "$file" >/dev/null 2>&1 || true
			[ -e storm ] || break
		done
	done
}

# writers: writes invalid values and its own value to every writable attribute.
writers() {
	while [ -e storm ]; do
		for file in "$ND"/btt1.*/* "$ND"/pfn*/* "$ND"/dax*/* "$ND"/namespace1.*/* "$ND"/nmem1/* "$ND"/region1/*; do
			case $file in
			*/uevent | */driver* | */subsystem*) continue ;;
			esac
			[ -f "$file" ] && [ -w "$file" ] || continue
			own=$(cat "$file" 2>/dev/null || true)
			for value in nonsense 18446744073709551616 -1 "$own"; do
				printf '%s' "$value" >"$file" || true
			done
			[ -e storm ] || break
		done
	done 2>/dev/null
}

processes=
for process in readers writers; do
	$process &
	processes="$processes $!"
done

# Meanwhile BTTs are made and released in one region, and the other one is disabled and enabled.
turn=0
while [ $turn -lt 3 ]; do
	turn=$((turn + 1))
	make_btt namespace0.0 4096
	put $turn 65536 0
	same $turn 65536 0 || fail "$disk does not keep what was written in turn $turn"
	release "$btt"
	wipe namespace0.0
	driver unbind nd_region region1 >/dev/null
	driver bind nd_region region1 >/dev/null
done
rm storm
for process in $processes; do
	waited=0
	while kill -0 "$process" 2>/dev/null; do
		waited=$((waited + 1))
		[ $waited -lt 300 ] || fail "a process of the storm does not end: $(cat "/proc/$process/stack" 2>&1)"
		sleep 0.1
	done
done

# After a reload everything works.
unload_modules
load_modules
wait_for 20 test -b /dev/pmem0
bind_count=$(ls "$ND" | grep -c '^namespace')
[ "$bind_count" -ge 2 ] || fail "there are $bind_count namespaces after the storm"
make_btt namespace0.0 512
put 7 65536 0
same 7 65536 0 || fail "$disk does not keep what was written after the storm"
release "$btt"
wipe namespace0.0
