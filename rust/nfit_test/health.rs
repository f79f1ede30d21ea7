// SPDX-License-Identifier: GPL-2.0

//! Simulated health of a DIMM: SMART data, thresholds, and their injection (NVDIMM DSM Interface,
//! functions 1, 2, 17 and 18).

use crate::output::OutputBuilder;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
};
use zerocopy::little_endian::{
    U16,
    U32,
    U64, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

/// Output of function 1 after the status. Temperatures are in sixteenths of a degree Celsius.
///
/// ```text
/// 0       4          8        9        10     11       12           14               16               20     21
/// | valid | reserved | health | spares | used | alarms | media temp | controller tmp | shutdown count | ait | ...
///
///     21        23         31               32            36
/// ... | pmic tmp | reserved | shutdown state | vendor size | vendor data |
/// ```
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Smart {
    /// Bit mask of the valid fields.
    valid: U32,
    reserved: [u8; 4],
    health: u8,
    /// Remaining spare blocks, in percent.
    spares: u8,
    /// Used life, in percent.
    life_used: u8,
    alarms: u8,
    media_temperature: U16,
    controller_temperature: U16,
    /// Number of shutdowns that may have lost data.
    shutdown_count: U32,
    ait_status: u8,
    pmic_temperature: U16,
    reserved2: [u8; 8],
    /// Not zero if the last shutdown may have lost data.
    shutdown_state: u8,
    vendor_size: U32,
    vendor_data: [u8; 92],
}

/// Thresholds: output of function 2 after the status, and input of function 17 before its last
/// byte.
///
/// ```text
/// 0        2        3                   5                        7          8
/// | alarms | spares | media temperature | controller temperature | reserved |
/// ```
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Thresholds {
    /// Bit mask of the enabled alarms.
    alarms: U16,
    spares: u8,
    media_temperature: U16,
    controller_temperature: U16,
}

/// Input of function 18: a bit mask of the values to change, and for each value whether to inject
/// it or to reset it.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Injection {
    concerned: U64,
    set_media_temperature: u8,
    media_temperature: U16,
    set_spares: u8,
    spares: u8,
    set_fatal: u8,
    set_unsafe_shutdown: u8,
}

/// Bits of [`Smart::valid`]: all but the vendor data, and fields that no tool shows.
const VALID: u32 = 0x63f;

/// Values of [`Smart::health`].
const NON_CRITICAL: u8 = 1 << 0;
const FATAL: u8 = 1 << 2;

/// Alarm bits.
const SPARES_TRIP: u8 = 1 << 0;
const MEDIA_TRIP: u8 = 1 << 1;
const CONTROLLER_TRIP: u8 = 1 << 2;

/// Bits of [`Injection::concerned`].
const INJECT_MEDIA_TEMPERATURE: u64 = 1 << 0;
const INJECT_SPARES: u64 = 1 << 1;
const INJECT_FATAL: u64 = 1 << 2;
const INJECT_UNSAFE_SHUTDOWN: u64 = 1 << 3;

const fn degrees(celsius: u16) -> U16 {
    U16::new(celsius * 16)
}

const HEALTHY: Smart = Smart {
    valid: U32::new(VALID),
    reserved: [0; 4],
    health: NON_CRITICAL,
    spares: 75,
    life_used: 5,
    alarms: SPARES_TRIP | MEDIA_TRIP,
    media_temperature: degrees(23),
    controller_temperature: degrees(25),
    shutdown_count: U32::new(42),
    ait_status: 1,
    pmic_temperature: degrees(40),
    reserved2: [0; 8],
    shutdown_state: 0,
    vendor_size: U32::new(0),
    vendor_data: [0; 92],
};

const INITIAL_THRESHOLDS: Thresholds = Thresholds {
    alarms: U16::new((SPARES_TRIP | MEDIA_TRIP) as u16),
    spares: 5,
    media_temperature: degrees(40),
    controller_temperature: degrees(30),
};

struct State {
    smart: Smart,
    thresholds: Thresholds,
}

impl State {
    /// Returns `true` if a value is beyond an enabled threshold, or the health is not normal.
    fn is_alarming(&self) -> bool {
        let Self { smart, thresholds } = self;
        let watched = |alarm: u8| thresholds.alarms.get() & u16::from(alarm) != 0;
        watched(SPARES_TRIP) && smart.spares <= thresholds.spares
            || watched(MEDIA_TRIP)
                && smart.media_temperature.get() >= thresholds.media_temperature.get()
            || watched(CONTROLLER_TRIP)
                && smart.controller_temperature.get() >= thresholds.controller_temperature.get()
            || smart.health != NON_CRITICAL
            || smart.shutdown_state != 0
    }
}

/// Health of a DIMM.
#[pin_data]
pub(crate) struct Health {
    #[pin]
    state: Mutex<State>,
    event: Atomic<bool>,
}

impl Health {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(State {
                smart: HEALTHY,
                thresholds: INITIAL_THRESHOLDS,
            }),
            event: Atomic::new(false),
        })
    }

    /// Function 1.
    pub(crate) fn smart(&self) -> Result<KVVec<u8>> {
        OutputBuilder::new(0)?
            .bytes(self.state.lock().smart.as_bytes())?
            .finish()
    }

    /// Function 2.
    pub(crate) fn thresholds(&self) -> Result<KVVec<u8>> {
        OutputBuilder::new(0)?
            .bytes(self.state.lock().thresholds.as_bytes())?
            .bytes(&[0])?
            .finish()
    }

    /// Function 17. `EINVAL`: the input is too short.
    pub(crate) fn set_thresholds(&self, input: &[u8]) -> Result<KVVec<u8>> {
        let (thresholds, _) = Thresholds::read_from_prefix(input).map_err(|_| EINVAL)?;
        let mut state = self.state.lock();
        state.thresholds = thresholds;
        self.update_event(&state);
        OutputBuilder::new(0)?.finish()
    }

    /// Function 18. `EINVAL`: the input is too short.
    pub(crate) fn inject(&self, input: &[u8]) -> Result<KVVec<u8>> {
        let (injection, _) = Injection::read_from_prefix(input).map_err(|_| EINVAL)?;
        let concerns = |value: u64| injection.concerned.get() & value != 0;
        let mut state = self.state.lock();
        let smart = &mut state.smart;
        if concerns(INJECT_MEDIA_TEMPERATURE) {
            smart.media_temperature = match injection.set_media_temperature {
                0 => HEALTHY.media_temperature,
                _ => injection.media_temperature,
            };
        }
        if concerns(INJECT_SPARES) {
            smart.spares = match injection.set_spares {
                0 => HEALTHY.spares,
                _ => injection.spares,
            };
        }
        if concerns(INJECT_FATAL) {
            smart.health = match injection.set_fatal {
                0 => NON_CRITICAL,
                _ => FATAL,
            };
        }
        if concerns(INJECT_UNSAFE_SHUTDOWN) {
            let is_unsafe = injection.set_unsafe_shutdown != 0;
            smart.shutdown_state = u8::from(is_unsafe);
            let count = smart.shutdown_count.get();
            smart
                .shutdown_count
                .set(count.saturating_add(u32::from(is_unsafe)));
        }
        self.update_event(&state);
        OutputBuilder::new(0)?.finish()
    }

    /// Takes the pending health notification. Returns `true` if there was one.
    pub(crate) fn take_event(&self) -> bool {
        // Not atomic: concurrent commands may both report an event. None is lost, as a command
        // reports after it has cleared the flag.
        let event = self.event.load(Relaxed);
        if event {
            self.event.store(false, Relaxed);
        }
        event
    }

    fn update_event(&self, state: &State) {
        if state.is_alarming() {
            self.event.store(true, Relaxed);
        }
    }
}
