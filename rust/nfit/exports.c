// SPDX-License-Identifier: GPL-2.0
/* Exports the Rust symbols of the crate that is linked into this module; the list is made from their objects. */

#include <linux/export.h>

#define EXPORT_SYMBOL_RUST_GPL(symbol) extern int symbol; EXPORT_SYMBOL_GPL(symbol)

#include "exports_generated.h"
