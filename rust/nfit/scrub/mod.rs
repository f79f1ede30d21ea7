// SPDX-License-Identifier: GPL-2.0

//! Address range scrub: has the firmware look for media errors in the ranges of a bus, and collects
//! them.
//!
//! ```text
//! boot, `scrub`,     requested                               bad ranges of the bus
//! notification ────> ranges ──> start ──> running ──> results ──> regions revalidate
//!                      ^                                 │
//!                      └──────── next range, or done ────┘
//! ```
//!
//! The firmware runs one scrub at a time. It may be a scrub that the firmware itself started. A
//! background job polls it at growing intervals, and starts the next scrub when it has ended. When
//! no requested range is left, a counter is incremented and pollers of the attribute `scrub` are
//! woken.
//!
//! # Lock order
//!
//! The lock of the state is a leaf. It is not held while the firmware is called or while regions
//! revalidate.

mod ars;
mod state;

pub(crate) use self::{
    ars::NEEDED,
    state::ScrubRange, //
};

use self::{
    ars::ArsFunctions,
    state::{
        Next,
        ScrubState,
        Status,
        FIRST_PAUSE, //
    },
};
use crate::firmware::FirmwareDevice;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex,
        SetOnce, //
    },
    time::{
        msecs_to_jiffies,
        Jiffies, //
    },
};
use kernel_ext::{
    delayed_work::{
        DelayedJob,
        DelayedWork, //
    },
    device::TypedDevice,
    sysfs::{
        AttributePath,
        Notifier, //
    },
};
use nd::{
    Bus,
    Region, //
};
use nd_format::nfit::ars::{
    Depth,
    Progress,
    Started, //
};

/// The scrubs of a bus.
pub(crate) struct Scrub {
    work: DelayedWork<Scrubber>,
}

/// Guard of the scrubs of a bus. Dropping it stops them and releases the regions.
pub(crate) struct ScrubGuard(Arc<Scrub>);

impl Drop for ScrubGuard {
    fn drop(&mut self) {
        self.0.work.stop();
        drop(self.0.scrubber().state.lock().stop());
    }
}

/// The background job.
#[pin_data]
struct Scrubber {
    firmware: ArsFunctions,
    #[pin]
    state: Mutex<ScrubState>,
    done: SetOnce<Notifier>,
}

impl Scrub {
    /// Creates the scrubs of `root`. Nothing is scrubbed until a range is added.
    pub(crate) fn new(root: Arc<dyn FirmwareDevice>) -> Result<Arc<Self>> {
        let scrubber = Arc::pin_init(
            pin_init!(Scrubber {
                firmware: ArsFunctions::new(root),
                state <- new_mutex!(ScrubState::default()),
                done: SetOnce::new(),
            }),
            GFP_KERNEL,
        )?;
        Ok(Arc::new(
            Self {
                work: DelayedWork::new(scrubber)?,
            },
            GFP_KERNEL,
        )?)
    }

    fn scrubber(&self) -> &Scrubber {
        self.work.job()
    }

    /// Returns the guard that stops the scrubs. The owner of the bus registration must hold it.
    pub(crate) fn guard(self: &Arc<Self>) -> ScrubGuard {
        ScrubGuard(self.clone())
    }

    /// Adds the errors that the firmware knows of `target` to the list of `bus`, before its region
    /// is registered. Returns `true` if the firmware can scrub the range.
    pub(crate) fn collect_known_errors(&self, bus: &TypedDevice<Bus>, target: &ScrubRange) -> bool {
        let scrubber = self.scrubber();
        if !scrubber.firmware.can_scrub(target) {
            return false;
        }
        scrubber.find_notifier(bus);
        // A scrub that the firmware started, or a scrub of the range before, may still be running.
        // Then the background job scrubs this range.
        if scrubber.firmware.progress(|progress| match progress {
            Progress::Running => false,
            other => {
                add_results(bus, &other);
                true
            }
        }) == Ok(true)
            && scrubber.start(bus, target, Depth::Short) == Ok(Started::Yes)
        {
            let _ = scrubber.firmware.progress(|progress| {
                add_results(bus, &progress);
            });
        }
        true
    }

    /// Adds `target` with its `region`: it is scrubbed now, and again on every request.
    pub(crate) fn add(
        &self,
        target: ScrubRange,
        region: ARef<TypedDevice<Region>>,
        long: bool,
    ) -> Result {
        self.scrubber().state.lock().add(target, region, long)?;
        self.work.start();
        Ok(())
    }

    /// Requests a scrub of all ranges. `EBUSY`: it is requested already. `ENOTTY`: no range can be
    /// scrubbed.
    pub(crate) fn request(&self, depth: Depth) -> Result {
        self.scrubber().state.lock().request(depth)?;
        self.work.start();
        Ok(())
    }

    /// Returns the state. If `poll_soon`, the next poll of the firmware is at most a second away.
    /// Callers set it for readers that may access the firmware themselves.
    pub(crate) fn status(&self, poll_soon: bool) -> Status {
        let (status, poll_now) = self.scrubber().state.lock().status(poll_soon);
        if poll_now {
            self.work.mod_delayed(seconds(FIRST_PAUSE));
        }
        status
    }

    /// Returns `true` if a scrub of user space would interfere now.
    pub(crate) fn is_busy(&self) -> bool {
        self.work.is_busy()
    }
}

impl Scrubber {
    /// Looks up the attribute `scrub` for notifications, once the bus has it.
    fn find_notifier(&self, bus: &TypedDevice<Bus>) {
        if self.done.as_ref().is_some() {
            return;
        }
        if let Ok(notifier) = bus.notifier(AttributePath::within(c"nfit", c"scrub")) {
            self.done.populate(notifier);
        }
    }

    /// Starts a scrub of `target`. From now on, results belong to this scrub.
    fn start(&self, bus: &TypedDevice<Bus>, target: &ScrubRange, depth: Depth) -> Result<Started> {
        bus.scrub_begins();
        self.firmware.start(target, depth)
    }
}

impl DelayedJob for Scrubber {
    fn run(&self) -> Option<Jiffies> {
        let (regions, fresh) = self.state.lock().regions_awaiting_results();
        let outcome = self.firmware.progress(|progress| {
            if let Some(region) = regions.first().filter(|_| fresh) {
                add_results(region.bus(), &progress);
            }
            match progress {
                Progress::Running => Outcome::Running,
                Progress::Interrupted(_, Some(rest)) => {
                    Outcome::Interrupted(self.firmware.start_rest(rest))
                }
                Progress::Failed(status) => Outcome::Failed(status),
                Progress::None | Progress::Ended(_) | Progress::Interrupted(_, None) => {
                    Outcome::Ended
                }
            }
        });
        match outcome {
            Ok(Outcome::Running) => return Some(seconds(self.state.lock().wait_longer())),
            Ok(Outcome::Interrupted(Ok(Started::Yes))) => {
                return Some(seconds(self.state.lock().begin_again()));
            }
            Ok(Outcome::Failed(status)) => {
                if let Some(region) = regions.first() {
                    dev_warn!(region, "scrub failed, status {status}\n");
                }
            }
            Ok(Outcome::Ended | Outcome::Interrupted(_)) | Err(_) => {}
        }
        if fresh {
            for region in &regions {
                region.revalidate_poison();
            }
        }
        loop {
            let next = self.state.lock().next();
            let (target, depth, region) = match next {
                Next::Scrub {
                    target,
                    depth,
                    region,
                } => (target, depth, region),
                Next::Done => break,
                Next::Nothing => return None,
            };
            match self.start(region.bus(), &target, depth) {
                Ok(Started::Yes) => {
                    self.state.lock().started(&target);
                    return Some(seconds(FIRST_PAUSE));
                }
                // Another scrub was started first.
                Ok(Started::Busy) => {
                    self.state.lock().put_back(&target, depth);
                    return Some(seconds(FIRST_PAUSE));
                }
                Ok(Started::Refused(status)) => {
                    dev_err!(
                        region,
                        "scrub refused, status {status}: not scrubbed any more\n"
                    );
                    self.state.lock().give_up(&target);
                }
                Err(error) => {
                    dev_err!(
                        region,
                        "scrub cannot be started ({error:?}): not scrubbed any more\n"
                    );
                    self.state.lock().give_up(&target);
                }
            }
        }
        if let Some(done) = self.done.as_ref() {
            done.notify();
        }
        None
    }
}

/// Result of a poll.
enum Outcome {
    Running,
    Interrupted(Result<Started>),
    Failed(u16),
    Ended,
}

/// Adds the errors that a scrub found to the list of `bus`.
fn add_results(bus: &TypedDevice<Bus>, progress: &Progress<'_>) {
    let (Progress::Ended(records) | Progress::Interrupted(records, _)) = progress else {
        return;
    };
    for bad in records.iter() {
        if bus.add_bad_range(bad.start, bad.end - bad.start).is_err() {
            dev_err!(
                bus,
                "out of memory: media error at {:#x} is not recorded\n",
                bad.start
            );
        }
    }
    if records.is_cut_off() {
        dev_warn!(bus, "scrub results are truncated\n");
    }
}

fn seconds(number: u32) -> Jiffies {
    msecs_to_jiffies(number.saturating_mul(1000))
}
