// SPDX-License-Identifier: GPL-2.0

//! Claims: a namespace is either driven raw or claimed by one personality.
//!
//! A personality holds a [`Claim`], which releases the namespace on drop. Claims are taken under
//! the bus lock.

use crate::{
    bus::BusLock,
    Namespace, //
};
use core::fmt;
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::device::TypedDevice;

/// Minimum size of a namespace that a personality may claim, in bytes.
pub(crate) const MIN_NAMESPACE_SIZE: u64 = 16 << 20;

/// The kind of personality that a namespace is reserved for.
pub use nd_format::label::ClaimClass;

/// Kinds of personalities. A [`ClaimClass`] is a property of the namespace, which may also name no
/// kind, an unknown one, or a version of the BTT. The kind is a property of the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HolderKind {
    /// Block Translation Table.
    Btt,
    /// Memmap (page structures) of a namespace in `fsdax` mode.
    Pfn,
    /// Memmap (page structures) of a namespace in `devdax` mode.
    Dax,
}

/// A personality that claims a namespace of its region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Its kind.
    pub kind: HolderKind,
    /// Number of its region.
    pub region: u32,
    /// Its own number.
    pub index: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            HolderKind::Btt => "btt",
            HolderKind::Pfn => "pfn",
            HolderKind::Dax => "dax",
        };
        write!(f, "{kind}{}.{}", self.region, self.index)
    }
}

/// The claim of a personality on a namespace.
pub(crate) struct Claim {
    namespace: ARef<TypedDevice<Namespace>>,
}

/// Returns `true` if a personality of `kind` may claim a namespace of class `class`.
fn admits(class: ClaimClass, kind: HolderKind) -> bool {
    match class {
        ClaimClass::None => true,
        ClaimClass::Btt1_1 | ClaimClass::Btt2_0 => kind == HolderKind::Btt,
        ClaimClass::Pfn => kind == HolderKind::Pfn,
        ClaimClass::Dax => kind == HolderKind::Dax,
        ClaimClass::Unknown(_) => false,
    }
}

impl Claim {
    /// Claims `namespace` for `holder`.
    ///
    /// Fails with `EBUSY` if the namespace is claimed or reserved for another kind of personality,
    /// and with `ENXIO` if it is too small.
    pub(crate) fn take(
        namespace: ARef<TypedDevice<Namespace>>,
        holder: Holder,
        _lock: &BusLock<'_>,
    ) -> Result<Self> {
        let class = namespace.claim_class();
        if !admits(class, holder.kind) {
            dev_err!(
                namespace,
                "{:?} cannot claim it: it is reserved for {class:?}\n",
                holder.kind
            );
            return Err(EBUSY);
        }
        if namespace.size() < MIN_NAMESPACE_SIZE {
            dev_err!(
                namespace,
                "{:?} cannot claim it: size is {:#x}, at least {MIN_NAMESPACE_SIZE:#x} expected\n",
                holder.kind,
                namespace.size()
            );
            return Err(ENXIO);
        }
        namespace.set_holder(holder)?;
        Ok(Self { namespace })
    }

    /// Returns the claimed namespace.
    pub(crate) fn namespace(&self) -> &ARef<TypedDevice<Namespace>> {
        &self.namespace
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.namespace.clear_holder();
    }
}
