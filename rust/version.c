// SPDX-License-Identifier: GPL-2.0
/*
 * The version of a module, for `modinfo -F version` and /sys/module/NAME/version. `module!` of the
 * kernel crate has no such field. Kbuild compiles this file once for each module.
 */

#include <linux/module.h>
#include <linux/stringify.h>

MODULE_VERSION(__stringify(ND_VERSION));
