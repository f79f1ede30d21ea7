// SPDX-License-Identifier: GPL-2.0
/*
 * Exports the Rust symbols of the crates that are linked into a module. Kbuild compiles this file
 * once for each module with exports, and makes the list from the objects of its crates.
 */

#include <linux/export.h>

#define EXPORT_SYMBOL_RUST_GPL(symbol) extern int symbol; EXPORT_SYMBOL_GPL(symbol)

#include "exports_generated.h"
