// SPDX-License-Identifier: GPL-2.0

//! Firmware activation by functions of the root device and of its DIMMs.

use super::nfit_bus::NfitBus;
use crate::{
    dimm::NfitDimm,
    firmware::status_of, //
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use kernel_ext::device::TypedDevice;
use nd::{
    activation::{
        BusState,
        Capability,
        DimmState,
        Outcome, //
    },
    Bus,
    Dimm, //
};
use nd_format::nfit::{
    activation::{
        self,
        bus_function,
        capability,
        devices,
        dimm_function,
        status,
        BusInfo,
        DimmInfo,
        State, //
    },
    dsm::{
        BusFamily,
        DimmFamily,
        Functions, //
    },
};

/// Firmware activation. Nothing is cached: the firmware can change its state at any time.
pub(crate) struct Activation;

impl nd::activation::Activation for Activation {
    fn capability(&self, bus: &TypedDevice<Bus>) -> Result<Capability> {
        let bus = bus.private::<NfitBus>().ok_or(ENXIO)?;
        if !bus.activates_firmware() {
            return Ok(Capability::None);
        }
        let has = |bit, capabilities: u8| capabilities & bit != 0;
        Ok(match bus_info(bus)?.capability() {
            bits if has(capability::FIRMWARE_QUIESCES, bits) => Capability::Quiesce,
            bits if has(capability::SYSTEM_QUIESCES, bits) => Capability::Live,
            _ => Capability::None,
        })
    }

    fn bus_state(&self, bus: &TypedDevice<Bus>) -> Result<BusState> {
        let info = bus_info(bus.private::<NfitBus>().ok_or(ENXIO)?)?;
        Ok(match info.state().ok_or(ENXIO)? {
            State::Idle => BusState::Idle,
            State::Busy => BusState::Busy,
            State::Armed if info.overflows() => BusState::Overflow,
            State::Armed => BusState::Armed,
        })
    }

    fn activate(&self, bus: &TypedDevice<Bus>) -> Result {
        let known = bus.private::<NfitBus>().ok_or(ENXIO)?;
        let devices = if known.devices_are_idle.load(Relaxed) {
            devices::ARE_IDLE
        } else {
            devices::FORCE_IDLE
        };
        let answer = known.call(BusFamily::Intel, bus_function::ACTIVATE, &[devices])?;
        match status_of(answer.buffer())? {
            0 => Ok(()),
            status::TOO_LONG => {
                dev_warn!(
                    bus,
                    "firmware activation took longer than the platform allows\n"
                );
                Ok(())
            }
            status::NOT_ARMED => Err(ENXIO),
            status::BUSY => Err(EBUSY),
            status => {
                dev_err!(
                    bus,
                    "firmware activation failed, status {:#x}, expected 0\n",
                    status
                );
                Err(EIO)
            }
        }
    }

    fn covers(&self, dimm: &TypedDevice<Dimm>) -> bool {
        const NEEDED: Functions = Functions::span(dimm_function::INFO, dimm_function::ARM);

        dimm.private::<NfitDimm>()
            .is_some_and(|dimm| dimm.has_functions(DimmFamily::Intel, NEEDED))
    }

    fn dimm_state(&self, dimm: &TypedDevice<Dimm>) -> Result<DimmState> {
        Ok(match dimm_info(dimm)?.state().ok_or(ENXIO)? {
            State::Idle => DimmState::Idle,
            State::Busy => DimmState::Busy,
            State::Armed => DimmState::Armed,
        })
    }

    fn outcome(&self, dimm: &TypedDevice<Dimm>) -> Result<Outcome> {
        Ok(match dimm_info(dimm)?.outcome() {
            activation::Outcome::None => Outcome::None,
            activation::Outcome::NotStaged => Outcome::NotStaged,
            activation::Outcome::Success => Outcome::Success,
            activation::Outcome::NeedsReset => Outcome::NeedsReset,
            activation::Outcome::Failure => Outcome::Failure,
        })
    }

    fn set_armed(&self, dimm: &TypedDevice<Dimm>, armed: bool) -> Result {
        let known = dimm.private::<NfitDimm>().ok_or(ENXIO)?;
        let answer = known.call(dimm_function::ARM, &[u8::from(armed)])?;
        match status_of(answer.buffer())? {
            0 => Ok(()),
            status => {
                dev_err!(
                    dimm,
                    "cannot arm or disarm firmware activation, status {:#x}, expected 0\n",
                    status
                );
                Err(EIO)
            }
        }
    }
}

fn bus_info(bus: &NfitBus) -> Result<BusInfo> {
    let answer = bus.call(BusFamily::Intel, bus_function::INFO, &[])?;
    answer.buffer().and_then(BusInfo::from_answer).ok_or(ENXIO)
}

fn dimm_info(dimm: &TypedDevice<Dimm>) -> Result<DimmInfo> {
    let known = dimm.private::<NfitDimm>().ok_or(ENXIO)?;
    let answer = known.call(dimm_function::INFO, &[])?;
    answer.buffer().and_then(DimmInfo::from_answer).ok_or(ENXIO)
}
