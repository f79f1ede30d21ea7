// SPDX-License-Identifier: GPL-2.0

//! From a namespace to the disk of its BTT: detection, opening or creating the BTT, and its disk.
//!
//! [`AttachedBtt`] owns the disk. The disk, its debugfs directory and its hibernation device share
//! the [`BttDriver`], which owns the engine and the memory of the namespace.

use crate::{
    debugfs::BttDirectory,
    disk::BttDriver,
    hibernation::Hibernation,
    media::PmemMedia,
    text::Text, //
};
use btt_engine::{
    Btt,
    CreateParams,
    Detected,
    OpenError,
    OpenParams,
    Opened, //
};
use kernel::{
    cpu,
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};
use kernel_ext::{
    block::{
        Disk,
        Parameters, //
    },
    device::TypedDevice,
    hibernate,
    trace, //
};
use nd::{
    btt::CompleteConfig,
    claim::ClaimClass,
    namespace::{
        DiskName,
        NamespaceMemory,
        OpenNamespace, //
    },
    Kind,
    Namespace,
    Region, //
};
use nd_format::btt::{
    LbaSize,
    Version,
    ARENA_MIN,
    NFREE, //
};

/// The result of looking for a BTT on a namespace.
pub enum Detection {
    /// There is a BTT, with this configuration.
    Found(CompleteConfig),
    /// There is no BTT. The memory is returned to the caller.
    Absent(NamespaceMemory),
}

/// Looks for a BTT in `memory`, that of `namespace`. Changes nothing.
///
/// `ENXIO`: there is a damaged BTT. `ENOMEM`: there is not enough memory to look for one.
pub fn detect(namespace: &TypedDevice<Namespace>, memory: NamespaceMemory) -> Result<Detection> {
    if !matches!(
        namespace.claim_class(),
        ClaimClass::None | ClaimClass::Btt1_1 | ClaimClass::Btt2_0
    ) {
        return Ok(Detection::Absent(memory));
    }

    let media = PmemMedia::new(memory);
    match btt_engine::probe(&media, &open_params(namespace)) {
        Ok(found) => Ok(Detection::Found(CompleteConfig {
            uuid: found.uuid,
            sector_size: found.lba_size.bytes(),
        })),
        Err(OpenError::NotFound(absence)) => {
            if !absence.permits_creation() {
                dev_warn!(
                    namespace,
                    "has no BTT that can be used: {}\n",
                    Text(absence)
                );
            }
            Ok(Detection::Absent(media.into_memory()))
        }
        Err(OpenError::TooSmall { .. }) => Ok(Detection::Absent(media.into_memory())),
        Err(OpenError::NoMemory) => Err(ENOMEM),
        Err(error) => {
            dev_err!(
                namespace,
                "has a damaged BTT: {} (write 1 to force_raw for a raw disk)\n",
                Text(error)
            );
            Err(ENXIO)
        }
    }
}

/// A BTT in use. Dropping it removes its disk. It borrows the bound device, so it cannot outlive
/// the binding.
pub struct AttachedBtt<'bound> {
    // Drop order: 1. the hibernation device, so that requests of a frozen BTT go on; 2. the disk,
    // which waits for requests in flight. The last reference to the driver then makes the map
    // durable.
    _hibernation: hibernate::Registration<Hibernation>,
    disk: Disk<'bound, BttDriver>,
    driver: Arc<BttDriver>,
    _directory: BttDirectory,
    device: ARef<TypedDevice<nd::Btt>>,
    region: ARef<TypedDevice<Region>>,
}

impl<'bound> AttachedBtt<'bound> {
    /// Opens the BTT of `device`, or creates it if the namespace has none, and adds its disk.
    ///
    /// A BTT that is on the medium stays as it is: `device` takes over its UUID and its sector
    /// size. A BTT that is damaged, or larger than the namespace, is neither opened nor replaced.
    ///
    /// `ENODEV`: `device` is not completely configured. `ENXIO`: the namespace is too small.
    /// `EBUSY`: its memory is in use. `ENOMEM`: any other reason for which the BTT cannot be
    /// opened.
    pub fn new(bound: &'bound Device<Bound>, device: &TypedDevice<nd::Btt>) -> Result<Self> {
        let namespace = OpenNamespace::of(Kind::Btt(device))?;
        let config = device.config()?;
        check_size(device, &namespace)?;

        let driver = open(device, &namespace, &config)?;
        let directory = BttDirectory::new(device.device().name(), &driver)?;
        let hibernation = hibernate::Registration::new(
            fmt!("nd_btt-{}", device.device().name()),
            Hibernation(driver.clone()),
        )?;
        let (capacity, limits) = (driver.capacity(), driver.limits()?);
        let region: ARef<TypedDevice<Region>> = namespace.region().into();
        device.set_disk_size(capacity << kernel_ext::block::SECTOR_SHIFT);
        let disk = Disk::new(
            bound,
            driver.clone(),
            Parameters {
                name: fmt!("{}s", DiskName(&namespace)),
                capacity,
                limits,
                read_only: region.is_read_only() || driver.btt().is_read_only(),
                deferred_read_only: Some(driver.deferred_read_only()),
            },
        )?;

        Ok(Self {
            _hibernation: hibernation,
            disk,
            driver,
            _directory: directory,
            device: device.into(),
            region,
        })
    }

    /// Makes the map words durable that a later write would flush, in case there is none.
    pub fn write_back(&self) {
        self.driver.write_back();
    }

    /// Adds new media errors of the region to the list. They fail reads, and are cleared before
    /// their blocks are used again.
    pub fn revalidate_poison(&self) {
        self.driver.btt().media().memory().revalidate();
    }

    /// Makes the disk read only or writable, as its region is. A BTT that refuses writes stays read
    /// only.
    pub fn revalidate_region(&self) {
        // In a loop, as the BTT may begin to refuse writes while its disk is made writable.
        loop {
            let read_only = self.region.is_read_only() || self.driver.btt().is_read_only();
            if self.disk.is_read_only() == read_only {
                break;
            }
            self.disk.set_read_only(read_only);
        }
    }
}

impl Drop for AttachedBtt<'_> {
    fn drop(&mut self) {
        self.device.set_disk_size(0);
    }
}

/// Returns the version of the layout for namespaces of this class.
fn version(namespace: &TypedDevice<Namespace>) -> Version {
    match namespace.claim_class() {
        ClaimClass::Btt2_0 => Version::V2_0,
        _ => Version::V1_1,
    }
}

fn open_params(namespace: &TypedDevice<Namespace>) -> OpenParams {
    OpenParams {
        version: version(namespace),
        namespace_uuid: namespace.uuid(),
        groups: cpu::nr_cpu_ids() as usize,
    }
}

fn check_size(device: &TypedDevice<nd::Btt>, namespace: &TypedDevice<Namespace>) -> Result {
    let usable = namespace
        .size()
        .saturating_sub(version(namespace).initial_offset());

    if usable < ARENA_MIN {
        dev_err!(
            device,
            "its namespace has {usable:#x} bytes for a BTT, at least {ARENA_MIN:#x} expected\n"
        );
        return Err(ENXIO);
    }
    Ok(())
}

/// Opens the BTT of `device`, which has this configuration, and logs what was found and done.
//
// Not inlined: the BTT is large. Its copies on the way to the heap need not be on the stack while
// the disk is added.
#[inline(never)]
fn open(
    device: &TypedDevice<nd::Btt>,
    namespace: &OpenNamespace,
    config: &CompleteConfig,
) -> Result<Arc<BttDriver>> {
    let range = namespace
        .map()
        .inspect_err(|error| dev_err!(device, "the memory of its namespace {error}\n"))?;
    let media = PmemMedia::new(NamespaceMemory::new(range, namespace.region())?);
    let Opened {
        btt,
        restored,
        lost_word,
        finished_writes,
        postponed,
    } = open_or_create(device, namespace, media, config)?;

    trace::btt_recovery(device.device().name(), finished_writes);
    if let Some(restored) = restored {
        dev_warn!(device, "{}\n", Text(restored));
    }
    if let Some(lost) = lost_word {
        dev_warn!(device, "{}\n", Text(lost));
    }
    if let Some(postponed) = postponed {
        dev_warn!(device, "{}\n", Text(postponed));
    }
    if finished_writes != 0 {
        dev_info!(
            device,
            "{finished_writes} writes that a power failure had interrupted were finished\n"
        );
    }
    adopt(device, btt.detected(), config);
    let driver = BttDriver::new(btt, finished_writes, device)?;
    Ok(Arc::new(driver, GFP_KERNEL)?)
}

/// Makes `device` describe the BTT that is on the medium, whatever was configured. Another sector
/// size would reach past the end of the namespace, or into the sectors of others.
fn adopt(device: &TypedDevice<nd::Btt>, found: &Detected, config: &CompleteConfig) {
    let adopted = CompleteConfig {
        uuid: found.uuid,
        sector_size: found.lba_size.bytes(),
    };
    if adopted == *config {
        return;
    }
    dev_warn!(
        device,
        "the BTT on its medium is used as it is: uuid {} (configured {}), sector_size {} (configured {})\n",
        Text(adopted.uuid),
        Text(config.uuid),
        adopted.sector_size,
        config.sector_size
    );
    device.adopt(adopted);
}

fn open_or_create(
    device: &TypedDevice<nd::Btt>,
    namespace: &TypedDevice<Namespace>,
    media: PmemMedia,
    config: &CompleteConfig,
) -> Result<Opened<PmemMedia>> {
    let params = open_params(namespace);

    match btt_engine::probe(&media, &params) {
        Ok(_) => (),
        Err(error) if error.permits_creation() => create(device, namespace, &media, config)?,
        Err(error) => return Err(refuse(device, error)),
    }
    Btt::open(media, &params).map_err(|error| refuse(device, error))
}

fn create(
    device: &TypedDevice<nd::Btt>,
    namespace: &TypedDevice<Namespace>,
    media: &PmemMedia,
    config: &CompleteConfig,
) -> Result {
    if namespace.region().is_read_only() {
        dev_err!(
            device,
            "has no BTT on its medium, and its region is read only\n"
        );
        return Err(ENOMEM);
    }

    let params = CreateParams {
        version: version(namespace),
        uuid: config.uuid,
        parent_uuid: namespace.uuid(),
        lba_size: LbaSize::from_bytes(config.sector_size).ok_or(EINVAL)?,
        lanes: NFREE,
    };
    btt_engine::create(media, &params).map_err(|error| {
        dev_err!(device, "could not be created: {}\n", Text(error));
        ENOMEM
    })
}

/// Logs why a BTT is not opened. User space gets the same error number for all reasons.
fn refuse(device: &TypedDevice<nd::Btt>, error: OpenError) -> Error {
    dev_err!(device, "could not be opened: {}\n", Text(error));
    ENOMEM
}
