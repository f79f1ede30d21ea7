#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What a command has to know about a namespace is checked after it has waited for a probe, not
# before. Errors of a namespace that was bound meanwhile are not cleared, and a namespace that is
# being removed gets no new labels.
#
# Both concern what waits while a device of the bus is being probed. So a probe is stalled: a
# process on CPU 1 binds a BTT. The driver core makes the link `driver` before it calls the driver,
# and a loop with a real-time priority occupies CPU 1 as soon as the link is there. All other
# processes of the test run on CPU 0. A round counts if the wait was seen and the BTT had no disk
# yet afterwards. The test fails if no round counts.
#
# timeout: 180
. "$LIB"
. "${LIB%/*}/devices.sh"
. "${LIB%/*}/simulated.sh"
. "${LIB%/*}/errors.sh"

ROUNDS=15
MIB=$((1 << 20))
# Numbers of system calls on x86-64.
WRITE=1
IOCTL=16
# The CPU time in nanoseconds that the scheduler reserves for processes without a real-time
# priority. It is 0 while a probe is stalled.
RESERVE=/sys/kernel/debug/sched/fair_server/cpu1/runtime
[ -e $RESERVE ] || skip "this kernel has no setting for the CPU time of other processes"

# binder: binds each device that standard input names, and writes `ok` or `failed` to btt.bound.
binder() {
	while read -r device; do
		if echo "$device" >/sys/bus/nd/drivers/nd_pmem/bind; then
			echo ok >btt.bound
		else
			echo failed >btt.bound
		fi
	done
}

# hog: occupies a CPU after each line of standard input until there is no file `hogging`. A stalled
# probe may hold a lock that the test needs for any file of sysfs, so the loop ends after 15 s, too.
hog() {
	while read -r _; do
		read -r end _ </proc/uptime
		end=$((${end%.*} + 15))
		now=0
		while [ -e hogging ] && [ "$now" -lt $end ]; do
			read -r now _ </proc/uptime
			now=${now%.*}
		done
	done
}

# Both end when this shell has closed the pipes.
mkfifo devices orders
binder <devices &
binder=$!
hog <orders &
hog=$!
exec 4>devices 5>orders
taskset -c -p 1 "$binder" >/dev/null
taskset -c -p 1 "$hog" >/dev/null
chrt --fifo --pid 50 "$hog"
# The shell has to see the link at once. The processes that it starts have no priority.
taskset -c -p 0 $$ >/dev/null
chrt --reset-on-fork --fifo --pid 5 $$
reserve=$(cat $RESERVE)

# begin_stall: binds $btt, and stalls the probe. The test must not end before end_stall, so what it
# does meanwhile cannot fail.
begin_stall() {
	: >hogging
	: >btt.bound
	echo 0 >$RESERVE
	echo "$btt" >&4
	_left=100000
	until [ -e "$ND/$btt/driver" ] || [ $_left = 0 ]; do
		_left=$((_left - 1))
	done
	echo >&5
}

# stalled: tests whether the probe is not over.
stalled() {
	[ ! -e "$ND/$btt/block" ]
}

# end_stall: lets the probe go on.
end_stall() {
	rm hogging
	echo "$reserve" >$RESERVE
	wait_for 30 test -s btt.bound
	expect_eq "the end of binding $btt" "$(cat btt.bound)" ok
}

# waits PROCESS CALL: tests whether a process sleeps in this system call.
waits() {
	_call=
	read -r _call _ <"/proc/$1/syscall" || :
	[ "$_call" = "$2" ]
} 2>/dev/null

# waits_or_ended PROCESS CALL FILE: tests the same, or whether its answer is in the file.
waits_or_ended() {
	waits "$1" "$2" || [ -s "$3" ]
}

# count_round: counts a round if $counts is `yes`. Fails after the last round if none has counted.
count_round() {
	[ "$counts" = no ] || counted=$((counted + 1))
	round=$((round + 1))
	[ $round -lt $ROUNDS ] || [ $counted -gt 0 ] || fail "none of $ROUNDS rounds stalled the probe for long enough"
}

# make MIB: makes a namespace of this size, and sets $namespace to its name. It is enabled, so
# another one is the seed afterwards.
make() {
	namespace=$(seed namespace "$region")
	read -r _uuid </proc/sys/kernel/random/uuid
	set_attribute "$namespace" uuid "$_uuid"
	set_attribute "$namespace" size $(($1 * MIB))
	bind "$namespace"
}

# Linux: include/uapi/linux/ndctl.h, struct nd_cmd_clear_error.
cat >clear.pl <<'END'
use strict;
use warnings;
use Fcntl;

# clear.pl CONTROL START LENGTH: clears the errors of the addresses, and prints ok or the error.
my ($control, $start, $length) = @ARGV;
sysopen my $node, $control, O_RDWR or die "$control: $!\n";
my $command = pack "QQLLQ", $start, $length, 0, 0, 0;
print ioctl($node, 0xc0204e04, $command) ? "ok\n" : "$!\n";
END

# clear: runs the command for all of $first.
clear() {
	exec perl clear.pl "$control" "$start" $((16 * MIB))
}

# expect_listed LIST: the bad sectors of the disk of $first and of its region, where it is first.
expect_listed() {
	expect_eq "bad sectors of $first" "$(bad_sectors "$(disk_of "$first")")" "$1"
	expect_eq "bad sectors of $region" "$(tr '\n' , <"$ND/$region/badblocks")" "$1"
}

reset_labels 1.2
region=$(region_of_ways 4)
scrub=$(scrub_file "$N0")
bus=${scrub%/nfit/scrub}
control=/dev/ndctl${bus##*ndbus}
make 16
first=$namespace
start=$(($(show "$first" resource)))
make 32
make_btt "$namespace" 512
scrubbed

# --- Errors of a namespace that is bound while the command waits

inject "$first" 64 1
scrubbed
expect_listed "64 1,"
expect_eq "the command for a namespace with a driver" "$(clear)" "Device or resource busy"

counted=0
round=0
while [ $round -lt $ROUNDS ] && [ $counted = 0 ]; do
	unbind "$first"
	unbind "$btt"
	: >answer
	: >bound

	begin_stall
	clear >answer &
	clearing=$!
	within 20 waits_or_ended "$clearing" $IOCTL answer || :
	driver bind nd_pmem "$first" >bound &
	other=$!
	# Binding waits only if the stalled probe holds the bus lock or one of sysfs. The round
	# does not count then, as the command may get the bus lock before the second probe does.
	counts=no
	if within 10 test -s bound && waits "$clearing" $IOCTL && stalled; then
		counts=yes
	fi
	report=$(stalled && echo stalled || echo over)
	end_stall

	wait_for 30 test -s answer
	wait_for 30 test -s bound
	wait "$clearing" "$other"
	echo "round $round: probe $report, counts: $counts; clearing: $(cat answer), binding: $(cat bound)"
	expect_eq "the error of binding $first" "$(cat bound)" ok
	if [ $counts = yes ]; then
		expect_eq "the command for a namespace that was bound while it waited" "$(cat answer)" "Device or resource busy"
		expect_listed "64 1,"
	elif [ "$(cat answer)" = ok ]; then
		inject "$first" 64 1
		scrubbed
	fi
	count_round
done
unbind "$first"
expect_eq "the command for a namespace without a driver" "$(clear)" ok
bind "$first"
expect_listed ""

# --- Labels of a namespace that is being removed

full=$(show "$region" available_size)
counted=0
round=0
while [ $round -lt $ROUNDS ] && [ $counted = 0 ]; do
	# It is neither the first namespace nor the seed, so it is removed with its labels.
	make 16
	unbind "$namespace"
	unbind "$btt"
	read -r uuid </proc/sys/kernel/random/uuid

	# The processes have different priorities and share a CPU, so they go on in this order.
	begin_stall
	stores=
	number=0
	for wanted in "size 0" "uuid $uuid" "size $((16 * MIB))"; do
		number=$((number + 1))
		: >stored.$number
		chrt --fifo $((40 - number * 10)) \
			/host/tools/sysfs-probe write "$ND/$namespace/${wanted% *}" "${wanted#* }" >stored.$number &
		stores="$stores $!"
		within 20 waits_or_ended $! $WRITE stored.$number || :
	done
	counts=yes
	for process in $stores; do
		waits "$process" $WRITE || counts=no
	done
	stalled || counts=no
	report=$(stalled && echo stalled || echo over)
	end_stall

	for number in 1 2 3; do
		wait_for 30 test -s stored.$number
	done
	# shellcheck disable=SC2086
	wait $stores
	settle
	wait_for 30 test ! -e "$ND/$namespace"
	echo "round $round: probe $report, counts: $counts; size 0, UUID and size:" $(cat stored.1 stored.2 stored.3)
	expect_eq "the error of setting the size to 0" "$(cat stored.1)" ok
	expect_eq "the available size after the namespace was removed" "$(show "$region" available_size)" "$full"
	if [ $counts = yes ]; then
		expect_eq "the error of a UUID for a namespace that is being removed" "$(cat stored.2)" ENODEV
		expect_eq "the error of a size for a namespace that is being removed" "$(cat stored.3)" ENODEV
	fi
	count_round
done

exec 4>&- 5>&-
wait "$binder" "$hog"
