// SPDX-License-Identifier: GPL-2.0

//! Activation of firmware that was staged on DIMMs, without a reset: `ndbusN/firmware` and
//! `nmemN/firmware`.
//!
//! ```text
//!            arm                     activate the bus
//!  idle ◀──────────▶ armed ─────────────────────────────▶ busy ──▶ idle, with a result
//!           disarm
//! ```
//!
//! This module keeps no state: each attribute queries the firmware.
//!
//! # Lock order
//!
//! DIMMs are armed under the bus lock. The lock is not held while the bus is activated: activation
//! may freeze processes, and a process that waits for the lock cannot be frozen.

use crate::{
    text::{
        line,
        without_newline, //
    },
    Bus,
    Dimm, //
};
use kernel::prelude::*;
use kernel_ext::{
    device::TypedDevice,
    error::eopnotsupp,
    hibernate,
    sysfs::{
        Attribute,
        Attributes,
        Group,
        HIDDEN,
        READ_ONLY,
        ROOT_READ_ONLY,
        ROOT_READ_WRITE, //
    },
};

/// How firmware can be activated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capability {
    /// Only by a reset.
    None,
    /// While nothing accesses memory.
    Quiesce,
    /// At any time: the firmware itself keeps memory from being accessed.
    Live,
}

/// State of a bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BusState {
    /// No DIMM is armed.
    Idle,
    /// An activation is in progress.
    Busy,
    /// At least one DIMM is armed.
    Armed,
    /// More DIMMs are armed than can be activated within the time that the platform allows.
    Overflow,
}

/// State of a DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DimmState {
    /// It is not part of the next activation.
    Idle,
    /// An activation is in progress.
    Busy,
    /// It is part of the next activation.
    Armed,
}

/// Result of the last activation for a DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// No activation took place.
    None,
    /// The staged firmware runs.
    Success,
    /// It failed; the old firmware runs.
    Failure,
    /// No firmware was staged.
    NotStaged,
    /// The staged firmware needs a reset.
    NeedsReset,
}

/// Firmware activation by a provider. A query fails if the firmware gives no usable answer.
pub trait Activation: Send + Sync {
    /// Returns how firmware can be activated.
    fn capability(&self, bus: &TypedDevice<Bus>) -> Result<Capability>;

    /// Returns the state of `bus`.
    fn bus_state(&self, bus: &TypedDevice<Bus>) -> Result<BusState>;

    /// Activates the staged firmware of all armed DIMMs of `bus`.
    fn activate(&self, bus: &TypedDevice<Bus>) -> Result;

    /// Returns `true` if the firmware of `dimm` can be activated.
    fn covers(&self, dimm: &TypedDevice<Dimm>) -> bool;

    /// Returns the state of `dimm`.
    fn dimm_state(&self, dimm: &TypedDevice<Dimm>) -> Result<DimmState>;

    /// Returns the result of the last activation for `dimm`.
    fn outcome(&self, dimm: &TypedDevice<Dimm>) -> Result<Outcome>;

    /// Arms or disarms `dimm`.
    fn set_armed(&self, dimm: &TypedDevice<Dimm>, armed: bool) -> Result;
}

fn of(bus: &Bus) -> Result<&dyn Activation> {
    bus.operations().activation().ok_or(eopnotsupp())
}

/// Returns the capability. Fails with `EOPNOTSUPP` if there is none.
fn capability(bus: &TypedDevice<Bus>) -> Result<Capability> {
    match of(bus)?.capability(bus)? {
        Capability::None => Err(eopnotsupp()),
        capability => Ok(capability),
    }
}

fn if_capable(bus: &TypedDevice<Bus>, mode: u16) -> u16 {
    if capability(bus).is_ok() {
        mode
    } else {
        HIDDEN
    }
}

fn if_covered(dimm: &TypedDevice<Dimm>, mode: u16) -> u16 {
    match of(dimm.bus()) {
        Ok(activation) if activation.covers(dimm) => if_capable(dimm.bus(), mode),
        _ => HIDDEN,
    }
}

static CAPABILITY: Attribute<Bus> =
    Attribute::read_only(c"capability", |bus, out| {
        match capability(bus).map_err(|_| eopnotsupp())? {
            Capability::None => Err(eopnotsupp()),
            Capability::Quiesce => line!(out, "quiesce"),
            Capability::Live => line!(out, "live"),
        }
    })
    .visible(|bus| if_capable(bus, READ_ONLY));

static ACTIVATE_BUS: Attribute<Bus> = Attribute::root_read_write(
    c"activate",
    |bus, out| {
        let state = of(bus)?.bus_state(bus).map_err(|_| ENXIO)?;
        capability(bus)?;
        line!(
            out,
            "{}",
            match state {
                BusState::Idle => "idle",
                BusState::Busy => "busy",
                BusState::Armed => "armed",
                BusState::Overflow => "overflow",
            }
        )
    },
    |bus, input| {
        let activation = of(bus)?;
        let quiesce = match without_newline(input) {
            b"live" => false,
            b"quiesce" => true,
            _ => return Err(EINVAL),
        };
        match activation.bus_state(bus) {
            Ok(BusState::Busy) => Err(EBUSY),
            Ok(BusState::Armed | BusState::Overflow) if quiesce => {
                hibernate::quiet_exec(|| activation.activate(bus))
            }
            Ok(BusState::Armed | BusState::Overflow) => activation.activate(bus),
            Ok(BusState::Idle) | Err(_) => Err(ENXIO),
        }
    },
)
.visible(|bus| if_capable(bus, ROOT_READ_WRITE))
.expecting("quiesce or live, while a DIMM is armed");

static ACTIVATE_DIMM: Attribute<Dimm> = Attribute::root_read_write(
    c"activate",
    |dimm: &TypedDevice<Dimm>, out| {
        let state = of(dimm.bus())?.dimm_state(dimm).map_err(|_| ENXIO)?;
        line!(
            out,
            "{}",
            match state {
                DimmState::Idle => "idle",
                DimmState::Busy => "busy",
                DimmState::Armed => "armed",
            }
        )
    },
    |dimm, input| {
        let activation = of(dimm.bus())?;
        let wanted = match without_newline(input) {
            b"arm" => true,
            b"disarm" => false,
            _ => return Err(EINVAL),
        };
        let _lock = dimm.bus().lock();
        match activation.dimm_state(dimm).map_err(|_| ENXIO)? {
            DimmState::Busy => Err(EBUSY),
            state if (state == DimmState::Armed) == wanted => Ok(()),
            _ => activation.set_armed(dimm, wanted),
        }
    },
)
.visible(|dimm| if_covered(dimm, ROOT_READ_WRITE))
.expecting("arm or disarm, while no activation is in progress");

static RESULT: Attribute<Dimm> =
    Attribute::root_read_only(c"result", |dimm: &TypedDevice<Dimm>, out| {
        let outcome = of(dimm.bus())?.outcome(dimm).map_err(|_| ENXIO)?;
        line!(
            out,
            "{}",
            match outcome {
                Outcome::None => "none",
                Outcome::Success => "success",
                Outcome::Failure => "fail",
                Outcome::NotStaged => "not_staged",
                Outcome::NeedsReset => "need_reset",
            }
        )
    })
    .visible(|dimm| if_covered(dimm, ROOT_READ_ONLY));

static BUS_ATTRIBUTES: Attributes<Bus, 2> = Attributes::new([&ACTIVATE_BUS, &CAPABILITY]);
static DIMM_ATTRIBUTES: Attributes<Dimm, 2> = Attributes::new([&ACTIVATE_DIMM, &RESULT]);

/// The group `ndbusN/firmware`. It is empty if firmware cannot be activated.
pub(crate) static BUS_GROUP: Group<Bus> = Group::named(c"firmware", &BUS_ATTRIBUTES);

/// The group `nmemN/firmware`. It is empty if firmware cannot be activated.
pub(crate) static DIMM_GROUP: Group<Dimm> = Group::named(c"firmware", &DIMM_ATTRIBUTES);
