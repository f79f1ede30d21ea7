// SPDX-License-Identifier: GPL-2.0

//! Private data of a DIMM: its description in the table, and its firmware.

use super::label_methods::{
    self,
    LabelMethods, //
};
use crate::{
    firmware::{
        command::{
            self,
            call_header,
            Payload, //
        },
        functions::DimmFunctions,
        DsmOutput,
        FirmwareDevice,
        Platform, //
    },
    parameters, //
};
use kernel::{
    device::Device,
    prelude::*,
    sync::Arc, //
};
use nd::provider::{
    Command,
    Private,
    Status, //
};
use nd_format::{
    nfit::{
        self,
        dsm::{
            DimmFamily,
            Functions, //
        },
        health::{
            Shutdown,
            SMART, //
        },
        ControlRegion,
        DeviceHandle,
        MappingFlags, //
    },
    uapi::{
        dimm_command,
        Target, //
    },
};

/// Private data of a [`Dimm`](nd::Dimm).
pub(crate) struct NfitDimm {
    pub(crate) handle: DeviceHandle,
    pub(crate) physical_id: u16,
    pub(crate) flags: MappingFlags,
    pub(crate) backs_persistent_memory: bool,
    pub(crate) control_region: Option<ControlRegion>,
    pub(crate) firmware: Option<DimmFirmware>,
}

/// Firmware of a DIMM.
pub(crate) struct DimmFirmware {
    pub(crate) device: Arc<dyn FirmwareDevice>,
    pub(crate) functions: Option<DimmFunctions>,
    labels: LabelMethods,
    /// Bit mask of the families that the device supports.
    pub(super) families: u64,
    pub(crate) shutdown: Shutdown,
}

impl DimmFirmware {
    fn of(device: Arc<dyn FirmwareDevice>) -> Self {
        let (functions, families) = DimmFunctions::of(&*device);
        // A DIMM without a command family has no labels, even if it has label methods.
        let labels = match (device.acpi(), functions) {
            (Some(device), Some(functions)) if !functions.prefers_own_labels => {
                LabelMethods::of(device, parameters::FORCE_LABELS.is_on())
            }
            _ => LabelMethods::default(),
        };
        let shutdown = functions
            .filter(|known| known.family == DimmFamily::Intel && known.functions.contains(SMART))
            .and_then(|known| {
                let answer = device
                    .evaluate_function(known.method(SMART), SMART, &[])
                    .ok()?;
                Shutdown::from_smart(answer.buffer()?)
            })
            .unwrap_or_default();
        Self {
            device,
            functions,
            labels,
            families,
            shutdown,
        }
    }
}

impl NfitDimm {
    /// Returns the DIMM that a table describes. `None`: it has no ACPI device and
    /// `force_enable_dimms` is not set, so it is ignored.
    pub(crate) fn find(
        reporter: &Device,
        platform: &dyn Platform,
        dimm: &nfit::Dimm<'_>,
    ) -> Result<Option<Self>> {
        let firmware = platform.dimm(dimm.handle)?.map(DimmFirmware::of);
        if firmware.is_none() {
            dev_err!(
                reporter,
                "no ACPI device for DIMM {}, expected one whose _ADR is the handle\n",
                format_args!("{}", dimm.handle)
            );
            if !parameters::FORCE_ENABLE_DIMMS.is_on() {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            handle: dimm.handle,
            physical_id: dimm.physical_id,
            flags: dimm.flags,
            backs_persistent_memory: dimm.backs_persistent_memory,
            control_region: dimm.control_region.copied(),
            firmware,
        }))
    }

    pub(super) fn into_private(self) -> Result<Private> {
        let private: Private = KBox::new(self, GFP_KERNEL)?;
        Ok(private)
    }

    /// Returns the state flags of the table, and `FLUSH_FAILED` if the firmware reports a dirty
    /// shutdown.
    pub(crate) fn state(&self) -> MappingFlags {
        match &self.firmware {
            Some(firmware) if firmware.shutdown.was_dirty => {
                self.flags.union(MappingFlags::FLUSH_FAILED)
            }
            _ => self.flags,
        }
    }

    /// Returns a bit mask of the ioctl commands that the DIMM supports.
    pub(super) fn commands(&self) -> u64 {
        let mut commands = 1 << dimm_command::CALL;
        let Some(firmware) = &self.firmware else {
            return commands;
        };
        if let Some(known) = firmware.functions {
            commands |= known.family.commands(known.functions).mask();
        }
        if firmware.labels.read {
            commands |= 1 << dimm_command::GET_CONFIG_SIZE | 1 << dimm_command::GET_CONFIG_DATA;
        }
        if firmware.labels.write {
            commands |= 1 << dimm_command::SET_CONFIG_DATA;
        }
        commands
    }

    /// Translates the status of a command other than `CALL`.
    fn status(command: u32, raw: u32, by_method: bool) -> Status {
        /// Bit of the extended status of the family's own functions.
        const LOCKED: u32 = 1 << 16;
        /// Status of `_LSR` and `_LSW` (ACPI 6.5, section 6.5.10).
        const LABELS_LOCKED: u32 = 3;

        let locked = match command {
            dimm_command::GET_CONFIG_SIZE => !by_method && raw & LOCKED != 0,
            _ => by_method && raw == LABELS_LOCKED,
        };
        match raw {
            0 => Status::Success,
            _ if locked => Status::Locked(raw),
            _ => Status::Failed(raw),
        }
    }

    /// Takes the pending health notification. Returns `true` if there was one.
    pub(crate) fn take_health_event(&self) -> bool {
        self.firmware
            .as_ref()
            .is_some_and(|firmware| firmware.device.take_health_event())
    }

    /// Returns `true` if the DIMM supports all of `functions` of `family`.
    pub(crate) fn has_functions(&self, family: DimmFamily, functions: Functions) -> bool {
        self.firmware
            .as_ref()
            .and_then(|firmware| firmware.functions)
            .is_some_and(|known| known.family == family && known.functions.contains_all(functions))
    }

    /// Calls a function for the driver itself. `ENOTTY`: the DIMM lacks it.
    pub(crate) fn call(&self, function: u32, input: &[u8]) -> Result<DsmOutput> {
        let firmware = self.firmware.as_ref().ok_or(ENOTTY)?;
        let known = firmware.functions.ok_or(ENOTTY)?;
        if !known.functions.contains(function) {
            return Err(ENOTTY);
        }
        firmware
            .device
            .evaluate_function(known.method(function), function, input)
    }

    /// Executes a command.
    pub(crate) fn execute(&self, command: Command<'_>) -> Result<Status> {
        let Command { number, payload } = command;
        let firmware = self.firmware.as_ref().ok_or(ENOTTY)?;
        if !Functions::from_mask(self.commands()).contains(number) {
            return Err(ENOTTY);
        }
        if let Some(device) = firmware.device.acpi() {
            if firmware.labels.serve(number) {
                let payload = Payload::split(Target::Dimm, number, payload)?;
                let raw = label_methods::execute(device, number, payload)?;
                return Ok(Self::status(number, raw, true));
            }
        }
        let known = firmware.functions.ok_or(ENOTTY)?;
        if number == dimm_command::CALL {
            if call_header(payload)?.nd_family != u64::from(known.family.number()) {
                return Err(ENOTTY);
            }
            command::call(
                &*firmware.device,
                |function| known.method(function),
                known.functions,
                payload,
            )?;
            return Ok(Status::Success);
        }
        let raw = command::execute(
            &*firmware.device,
            known.method(number),
            number,
            Payload::split(Target::Dimm, number, payload)?,
        )?;
        Ok(Self::status(number, raw, false))
    }
}
