/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Input of our own bindgen run: headers whose declarations are missing from the bindings of the kernel crate.
 * What is taken from them is listed in rust/kernel_ext/bindgen_parameters.
 */
#include <keys/encrypted-type.h>
#include <linux/acpi.h>
#include <linux/badblocks.h>
#include <linux/blkdev.h>
#include <linux/blk-integrity.h>
#include <linux/device.h>
#include <linux/hdreg.h>
#include <linux/ioport.h>
#include <linux/libnvdimm.h>
#include <linux/memregion.h>
