#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Passphrases of simulated DIMMs, through ndctl and sysfs: setting, changing and removing them,
# unlocking when a DIMM is enabled, freezing, erasing, overwriting, the master passphrase, and
# refused operations.
#
# timeout: 240
if [ -z "${IN_SESSION:-}" ]; then
	# ndctl keeps keys in the user's keyring; the kernel searches that of the session.
	IN_SESSION=1 exec keyctl session - sh "$0" "$@"
fi
keyctl link @u @s || exit 1
. "$LIB"
. "${LIB%/*}/simulated.sh"

KEYS=/etc/ndctl/keys
KNOBS=/sys/devices/platform/nfit_test.0/nfit_test_dimm

dimm=$(ndctl list -b "$N0" -D | jq -r 'map(select(.handle == 0)) | .[0].dev')
id=$(cat "$ND/$dimm/nfit/id")
security=$ND/$dimm/security
region=$(region_of_ways 2)

expect_security() {
	expect_eq "security of $dimm" "$(cat "$security")" "$1"
	expect_eq "security that ndctl lists" "$(field "$(ndctl list -D -d "$dimm" -i)" security)" "$1"
}

# operation RESULT WORDS...: writes an operation, and expects `ok` or this error.
operation() {
	_result=$1
	shift
	expect_eq "the result of '$*'" "$(store "$security" "$*")" "$_result"
}

# key NAME: makes an encrypted key of 32 bytes, and prints its serial number.
key() {
	keyctl add encrypted "$1" "new user:nvdimm-master 32" @u
}

# --- Initial state, and invalid operations --------------------------------------------------------
expect_eq "mode of security" "$(stat -c %a "$security")" 644
expect_eq "mode of frozen" "$(stat -c %a "$ND/$dimm/frozen")" 444
expect_eq "mode of lock_dimm" "$(stat -c %a $KNOBS/test_dimm0/lock_dimm)" 200
other=$(ndctl list -b "$N1" -D | jq -r '.[0].dev')
[ ! -e "$ND/$other/security" ] || fail "$other has security"
expect_security disabled
expect_eq "frozen" "$(cat "$ND/$dimm/frozen")" 0
for value in '' open 'open 0' update 'update 0' 'update a b' 'erase -1' 'freezes'; do
	expect_store_errno EINVAL "$security" "$value"
done
expect_store_errno ERANGE "$security" "erase 0x100000000"
# Erasing a DIMM in use is refused.
expect_store_errno EBUSY "$security" "erase 0"
expect_store_errno EBUSY "$security" "overwrite 0"
expect_ok ndctl disable-region -b "$N0" all
expect_store_errno ENOKEY "$security" "update 0 0"
expect_store_errno ENOKEY "$security" "update 0 99999999"
expect_store_errno ENOKEY "$security" "update 99999999 0"
expect_store_errno EOPNOTSUPP "$security" "disable_master 0"
expect_store_errno EIO "$security" freeze

# --- By ndctl -------------------------------------------------------------------------------------
mkdir -p $KEYS
head -c 32 /dev/urandom | keyctl padd user nvdimm-master @u >/dev/null || fail "no master key"
keyctl pipe "$(keyctl search @u user nvdimm-master)" >$KEYS/nvdimm-master.blob

expect_ok ndctl setup-passphrase "$dimm" -k user:nvdimm-master
expect_security unlocked
expect_ok ndctl remove-passphrase "$dimm"
expect_security disabled
expect_ok ndctl setup-passphrase "$dimm" -k user:nvdimm-master
expect_ok ndctl update-passphrase "$dimm"
expect_security unlocked
expect_ok ndctl sanitize-dimm -c "$dimm"
expect_security disabled

# The kernel looks up the key of a locked DIMM when the DIMM is enabled; without the key the DIMM
# stays locked.
expect_ok ndctl setup-passphrase "$dimm" -k user:nvdimm-master
expect_ok ndctl disable-dimm "$dimm"
expect_eq "locking" "$(store $KNOBS/test_dimm0/lock_dimm 1)" ok
expect_security locked
expect_ok ndctl enable-dimm "$dimm"
expect_security unlocked
expect_ok ndctl enable-region "$region"
expect_ok ndctl disable-region "$region"

expect_ok ndctl disable-dimm "$dimm"
expect_eq "locking" "$(store $KNOBS/test_dimm0/lock_dimm 1)" ok
number=$(keyctl search @u encrypted "nvdimm:$id")
expect_ok keyctl unlink "$number" @u
expect_ok ndctl enable-dimm "$dimm"
expect_security locked
expect_kernel_message "nvdimm $dimm: stays locked"
expect_ok ndctl load-keys
expect_ok keyctl search @u encrypted "nvdimm:$id"
expect_ok ndctl disable-dimm "$dimm"
expect_ok ndctl enable-dimm "$dimm"
expect_security unlocked
expect_ok ndctl remove-passphrase "$dimm"
expect_security disabled

# --- Through sysfs, with keys ---------------------------------------------------------------------
right=$(key right)
wrong=$(key wrong)
short=$(keyctl add encrypted short "new user:nvdimm-master 20" @u)
plain=$(keyctl add user plain 01234567890123456789012345678901 @u)
operation ENOKEY "update 0 $short"
operation ENOKEY "update 0 $plain"
operation EINVAL "update $wrong $right"
operation ok "update 0 $right"
expect_security unlocked
operation EINVAL "disable $wrong"
operation EINVAL "erase $wrong"
operation EINVAL "update 0 $wrong"
operation ok "update $right $wrong"
operation ok "disable $wrong"
expect_security disabled

# The master passphrase allows erasing a DIMM that a user passphrase protects.
operation EINVAL "master_update $wrong $right"
operation ok "master_update 0 $right"
operation ok "update 0 $wrong"
operation EINVAL "master_erase $wrong"
operation ok "master_erase $right"
expect_security disabled
operation ok "master_update $right $wrong"

# --- Overwriting ----------------------------------------------------------------------------------
operation ok "update 0 $right"
operation EINVAL "overwrite $wrong"
operation ok "overwrite $right"
# It takes five seconds, in which a slow machine cannot start many processes.
expect_eq "security while it goes on" "$(cat "$security")" overwrite
expect_store_errno EBUSY /sys/bus/nd/drivers/nd_region/bind "$region"
operation EBUSY "disable $right"
operation EBUSY freeze
expect_kernel_message "$region: cannot be enabled: DIMM $dimm is being overwritten"
# ndctl polls the attribute.
expect_ok timeout 60 ndctl wait-overwrite "$dimm"
expect_security unlocked
expect_ok ndctl enable-region "$region"
expect_ok ndctl disable-region "$region"

# The module can be unloaded while a DIMM is being overwritten.
operation ok "overwrite $right"
expect_ok unload_simulated
load_simulated
dimm=$(ndctl list -b "$N0" -D | jq -r 'map(select(.handle == 0)) | .[0].dev')
security=$ND/$dimm/security
expect_security disabled
expect_ok ndctl disable-region -b "$N0" all

# --- Freezing comes last: only a power cycle ends it ----------------------------------------------
operation ok "update 0 $right"
expect_ok ndctl freeze-security "$dimm"
expect_eq "frozen" "$(cat "$ND/$dimm/frozen")" 1
expect_eq "frozen that ndctl lists" "$(field "$(ndctl list -D -d "$dimm" -i)" security_frozen)" true
operation EIO "disable $right"
operation EIO "overwrite $right"
expect_fail ndctl remove-passphrase "$dimm" 2>/dev/null
expect_security unlocked
