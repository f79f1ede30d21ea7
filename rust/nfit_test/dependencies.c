// SPDX-License-Identifier: GPL-2.0
/* Modules that are to be loaded before this one, so that its namespaces are driven as soon as modprobe returns. */

#include <linux/module.h>

MODULE_SOFTDEP("pre: nd_pmem dax_pmem");
