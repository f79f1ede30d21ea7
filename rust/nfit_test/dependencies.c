// SPDX-License-Identifier: GPL-2.0
/* Drivers are loaded first, so that namespaces are bound as soon as modprobe returns. */

#include <linux/module.h>

MODULE_SOFTDEP("pre: nd_pmem dax_pmem");
