/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Input of this project's bindgen run: headers with declarations that the bindings of the kernel
 * crate lack. rust/kernel_ext/bindgen_parameters lists the declarations that are used.
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
/* Includes nothing of what it uses. */
#include <acpi/nfit.h>
