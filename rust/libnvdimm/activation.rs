// SPDX-License-Identifier: GPL-2.0

//! Activation of firmware that was staged on DIMMs, without a reset: `ndbusN/firmware` and `nmemN/firmware`.
//!
//! ```text
//!            arm                     activate the bus
//!  idle ◀──────────▶ armed ─────────────────────────────▶ busy ──▶ idle, with a result
//!           disarm
//! ```
//!
//! Nothing of this is remembered here: each attribute asks the firmware.
//!
//! # Lock order
//!
//! DIMMs are armed under the lock of the bus. It is not held while the bus is activated, for that may freeze processes,
//! and one that waits for the lock could not be frozen.

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
    device::Node,
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

/// What must happen to the machine while firmware is activated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capability {
    /// Firmware cannot be activated without a reset.
    None,
    /// Nothing may access memory meanwhile.
    Quiesce,
    /// The firmware looks after that itself.
    Live,
}

/// State of a bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BusState {
    /// No DIMM is armed.
    Idle,
    /// An activation is going on.
    Busy,
    /// Some DIMM is armed.
    Armed,
    /// More DIMMs are armed than can be activated within the time that the platform allows.
    Overflow,
}

/// State of a DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DimmState {
    /// It takes no part in the next activation.
    Idle,
    /// An activation is going on.
    Busy,
    /// It takes part in the next activation.
    Armed,
}

/// What the last activation did to a DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// There was none.
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

/// What a provider does about staged firmware. An error of a question means that the firmware gave no usable answer.
pub trait Activation: Send + Sync {
    /// What must happen to the machine.
    fn capability(&self, bus: &Node<Bus>) -> Result<Capability>;

    /// The state of `bus`.
    fn bus_state(&self, bus: &Node<Bus>) -> Result<BusState>;

    /// Activates the firmware of all DIMMs of `bus` that are armed.
    fn activate(&self, bus: &Node<Bus>) -> Result;

    /// Tells whether the firmware of `dimm` can be activated.
    fn covers(&self, dimm: &Node<Dimm>) -> bool;

    /// The state of `dimm`.
    fn dimm_state(&self, dimm: &Node<Dimm>) -> Result<DimmState>;

    /// What became of `dimm` the last time.
    fn outcome(&self, dimm: &Node<Dimm>) -> Result<Outcome>;

    /// Arms or disarms `dimm`.
    fn set_armed(&self, dimm: &Node<Dimm>, armed: bool) -> Result;
}

fn of(bus: &Bus) -> Result<&dyn Activation> {
    bus.operations().activation().ok_or(eopnotsupp())
}

/// The capability, unless there is none.
fn capability(bus: &Node<Bus>) -> Result<Capability> {
    match of(bus)?.capability(bus)? {
        Capability::None => Err(eopnotsupp()),
        capability => Ok(capability),
    }
}

fn if_capable(bus: &Node<Bus>, mode: u16) -> u16 {
    if capability(bus).is_ok() {
        mode
    } else {
        HIDDEN
    }
}

fn if_covered(dimm: &Node<Dimm>, mode: u16) -> u16 {
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
                hibernate::quietly(|| activation.activate(bus))
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
    |dimm: &Node<Dimm>, out| {
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
.expecting("arm or disarm, while no activation is going on");

static RESULT: Attribute<Dimm> = Attribute::root_read_only(c"result", |dimm: &Node<Dimm>, out| {
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

static BUS_ATTRIBUTES: Attributes<Bus, 3> = Attributes::new([&ACTIVATE_BUS, &CAPABILITY]);
static DIMM_ATTRIBUTES: Attributes<Dimm, 3> = Attributes::new([&ACTIVATE_DIMM, &RESULT]);

/// `ndbusN/firmware`. It is empty where firmware cannot be activated.
pub(crate) static BUS_GROUP: Group<Bus> = Group::named(c"firmware", &BUS_ATTRIBUTES);

/// `nmemN/firmware`. It is empty where firmware cannot be activated.
pub(crate) static DIMM_GROUP: Group<Dimm> = Group::named(c"firmware", &DIMM_ATTRIBUTES);
