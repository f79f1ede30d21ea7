// SPDX-License-Identifier: GPL-2.0

//! ACPI: tables, devices, their methods and their notifications.
//!
//! * [`Table`]: a static table of the firmware;
//! * [`AcpiDevice`]: a device of the ACPI namespace, found as the companion of a device or below
//!   another one;
//! * [`Object`] and [`Value`]: the result of a method;
//! * [`FirmwareAddress`]: a physical address in a table or an object;
//! * [`NotifyRegistration`]: a handler for the notifications of a device;
//! * [`SmbiosId`]: the answer to C drivers that ask for a DIMM of the NFIT.
//!
//! There are no locks here. Evaluating a method may sleep and takes the locks of the interpreter.
//!
//! C headers: [`include/acpi/acpixf.h`](srctree/include/acpi/acpixf.h),
//! [`include/acpi/acpi_bus.h`](srctree/include/acpi/acpi_bus.h)

mod address;
mod companion;
mod method;
mod notify;
mod numa;
mod object;
mod smbios_id;
mod table;

pub use self::{
    address::FirmwareAddress,
    companion::AcpiDevice,
    method::{
        Argument,
        DeviceSpecificMethod,
        MethodError, //
    },
    notify::{
        NotifyHandler,
        NotifyRegistration, //
    },
    numa::{
        proximity_node,
        proximity_online_node, //
    },
    object::{
        Object,
        Value, //
    },
    smbios_id::{
        answer as answer_smbios_id,
        Function as SmbiosIdFunction,
        SmbiosId, //
    },
    table::Table, //
};

/// Status codes of the interpreter, from
/// [`include/acpi/acexcep.h`](srctree/include/acpi/acexcep.h).
mod status {
    pub(super) const OK: u32 = 0;
    pub(super) const NOT_FOUND: u32 = 5;
}
