// SPDX-License-Identifier: GPL-2.0

//! Interfaces of the `kernel` crate that differ between the supported series, 7.2 and 7.3.
//!
//! Kbuild passes `--cfg linux_7_3` for 7.3 and later series. Only this file reads it: what the
//! modules use has the same form for each series. An item that all supported series have in the
//! same form goes.

#![forbid(unsafe_code)]

use kernel::{
    bindings,
    sync::barrier, //
};

/// Orders all earlier accesses before all later ones, including stores before loads.
///
/// 7.3 has one function for all kinds of barriers.
#[inline(always)]
pub fn smp_mb() {
    #[cfg(not(linux_7_3))]
    barrier::smp_mb();
    #[cfg(linux_7_3)]
    barrier::smp_mb(barrier::Full);
}

/// Returns the field of an iterator that counts the bytes of its current vector which are done.
///
/// The field is named `bi_bvec_done` in 7.2 and `bi_offset` in 7.3.
#[inline(always)]
pub fn bvec_done(iter: &mut bindings::bvec_iter) -> &mut u32 {
    #[cfg(not(linux_7_3))]
    let done = &mut iter.bi_bvec_done;
    #[cfg(linux_7_3)]
    let done = &mut iter.bi_offset;
    done
}

/// Returns the [`ThisModule`](kernel::ThisModule) of the calling crate, which declares its module
/// with `module!`. Can be used in constants.
///
/// The macro `module!` defines a static in 7.2 and a type in 7.3.
#[cfg(not(linux_7_3))]
#[expect(
    clippy::crate_in_macro_def,
    reason = "the macro `module!` defines it in the caller's crate"
)]
#[macro_export]
macro_rules! this_module {
    () => {
        &crate::THIS_MODULE
    };
}

/// Returns the [`ThisModule`](kernel::ThisModule) of the calling crate, which declares its module
/// with `module!`. Can be used in constants.
///
/// The macro `module!` defines a static in 7.2 and a type in 7.3.
#[cfg(linux_7_3)]
#[expect(
    clippy::crate_in_macro_def,
    reason = "the macro `module!` defines it in the caller's crate"
)]
#[macro_export]
macro_rules! this_module {
    () => {
        ::kernel::module::this_module::<crate::LocalModule>()
    };
}

/// Defines the table `$table` of the ACPI IDs of a driver.
///
/// In 7.2 a second name is for the table that depmod reads.
#[cfg(not(linux_7_3))]
#[macro_export]
macro_rules! acpi_device_table {
    ($table:ident, $info:ty, $ids:tt) => {
        ::kernel::acpi_device_table!($table, MODULE_ACPI_TABLE, $info, $ids);
    };
}

/// Defines the table `$table` of the ACPI IDs of a driver.
///
/// In 7.2 a second name is for the table that depmod reads.
#[cfg(linux_7_3)]
#[macro_export]
macro_rules! acpi_device_table {
    ($table:ident, $info:ty, $ids:tt) => {
        ::kernel::acpi_device_table!($table, $info, $ids);
    };
}

/// Returns the value of a parameter that the macro `module!` declares.
///
/// `KernelParam::value` returns a reference in 7.2 and a copy in 7.3.
#[cfg(not(linux_7_3))]
#[macro_export]
macro_rules! parameter {
    ($parameter:path) => {
        *$parameter.value()
    };
}

/// Returns the value of a parameter that the macro `module!` declares.
///
/// `KernelParam::value` returns a reference in 7.2 and a copy in 7.3.
#[cfg(linux_7_3)]
#[macro_export]
macro_rules! parameter {
    ($parameter:path) => {
        $parameter.value()
    };
}
