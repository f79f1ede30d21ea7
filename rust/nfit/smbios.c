// SPDX-License-Identifier: GPL-2.0
/*
 * Exports the C function that smbios.rs implements. This is apart from exports.c, which knows no
 * types: with CONFIG_MODVERSIONS the checksum of the symbol is made from its declaration.
 */

#include <linux/errno.h>
#include <linux/export.h>
#include <linux/types.h>
#include <acpi/nfit.h>

#if IS_ENABLED(CONFIG_ACPI_NFIT)
EXPORT_SYMBOL_GPL(nfit_get_smbios_id);
#endif
