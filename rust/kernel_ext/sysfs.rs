// SPDX-License-Identifier: GPL-2.0

//! Typed sysfs attributes of devices.
//!
//! An [`Attribute<T>`] has a name, a mode, and functions that show or store its value. The
//! functions receive the [`TypedDevice<T>`] that the attribute belongs to, so an attribute of one
//! type of device cannot be attached to another. Attributes are collected in a [`Group<T>`] and
//! groups in [`Groups<T>`], all of them immutable statics:
//!
//! ```ignore
//! static SIZE: Attribute<Region> = Attribute::read_only(c"size", |region, out| {
//!     Ok(writeln!(out, "{}", region.size())?)
//! });
//! static ATTRIBUTES: Attributes<Region, 1> = Attributes::new([&SIZE]);
//! static GROUP: Group<Region> = Group::new(&ATTRIBUTES);
//! static GROUPS: Groups<Region, 1> = Groups::new([&GROUP]);
//! ```
//!
//! kernfs waits for running callbacks before `device_del` returns, so a callback never outlives its
//! device. A `store` must therefore not unregister its own device; it schedules a
//! [job](crate::jobs) for that.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

mod notifier;

pub use self::notifier::{
    AttributePath,
    Notifier, //
};

use crate::{
    device::{
        DeviceData,
        TypedDevice, //
    },
    sys, //
};
use core::{
    marker::PhantomData,
    mem::offset_of,
    ptr, //
};
use kernel::{
    error::from_result,
    page::PAGE_SIZE,
    prelude::*,
    str::{
        as_char_ptr_in_const_context,
        BStr,
        Formatter, //
    },
};

/// Writes the value of an attribute as text. The value is truncated at the end of a page.
pub type Show<T> = fn(&TypedDevice<T>, &mut Formatter<'_>) -> Result;

/// Writes the value of an attribute, which need not be text, to the start of a page. Returns its
/// length in bytes.
pub type ShowBytes<T> = fn(&TypedDevice<T>, &mut [u8; PAGE_SIZE]) -> Result<usize>;

/// Stores the bytes that were written to an attribute, up to the first NUL.
pub type Store<T> = fn(&TypedDevice<T>, &[u8]) -> Result;

/// Returns the mode of an attribute; 0 hides it.
pub type Visible<T> = fn(&TypedDevice<T>) -> u16;

/// Readable by all users.
pub const READ_ONLY: u16 = 0o444;
/// Readable by root only, for attributes that disclose physical addresses.
pub const ROOT_READ_ONLY: u16 = 0o400;
/// Readable by all users, writable by root.
pub const READ_WRITE: u16 = 0o644;
/// Readable and writable by root only, for attributes that act on the whole machine.
pub const ROOT_READ_WRITE: u16 = 0o600;
/// Writable by root only.
pub const WRITE_ONLY: u16 = 0o200;
/// Hidden.
pub const HIDDEN: u16 = 0;

/// Maximum number of bytes of a refused value in a log message.
const LOGGED: usize = 64;

/// The function that shows an attribute.
enum Shown<T: DeviceData> {
    Text(Show<T>),
    Bytes(ShowBytes<T>),
}

/// An attribute of a [`TypedDevice<T>`].
///
/// # Invariants
///
/// The callbacks in `raw` are those of this type, which find their `Attribute<T>` around `raw`.
#[repr(C)]
pub struct Attribute<T: DeviceData> {
    raw: sys::device_attribute,
    show: Option<Shown<T>>,
    store: Option<Store<T>>,
    visible: Option<Visible<T>>,
    expected: Option<&'static str>,
}

// SAFETY: An attribute is immutable. It has a static name and function pointers.
unsafe impl<T: DeviceData> Sync for Attribute<T> {}

impl<T: DeviceData> Attribute<T> {
    /// Returns an attribute that all users may read.
    pub const fn read_only(name: &'static CStr, show: Show<T>) -> Self {
        Self::with_mode(name, READ_ONLY, Some(Shown::Text(show)), None)
    }

    /// Returns an attribute that only root may read.
    pub const fn root_read_only(name: &'static CStr, show: Show<T>) -> Self {
        Self::with_mode(name, ROOT_READ_ONLY, Some(Shown::Text(show)), None)
    }

    /// Returns an attribute that all users may read and root may write.
    pub const fn read_write(name: &'static CStr, show: Show<T>, store: Store<T>) -> Self {
        Self::with_mode(name, READ_WRITE, Some(Shown::Text(show)), Some(store))
    }

    /// Returns an attribute that all users may read and root may write, and whose value need not be
    /// text.
    pub const fn read_write_bytes(
        name: &'static CStr,
        show: ShowBytes<T>,
        store: Store<T>,
    ) -> Self {
        Self::with_mode(name, READ_WRITE, Some(Shown::Bytes(show)), Some(store))
    }

    /// Returns an attribute that root may write and that cannot be read.
    pub const fn write_only(name: &'static CStr, store: Store<T>) -> Self {
        Self::with_mode(name, WRITE_ONLY, None, Some(store))
    }

    /// Returns an attribute that only root may read and write.
    pub const fn root_read_write(name: &'static CStr, show: Show<T>, store: Store<T>) -> Self {
        Self::with_mode(name, ROOT_READ_WRITE, Some(Shown::Text(show)), Some(store))
    }

    /// Sets a function that decides about the mode of the attribute when the device is registered.
    pub const fn visible(mut self, visible: Visible<T>) -> Self {
        self.visible = Some(visible);
        self
    }

    /// Sets the description of valid values, which is logged when a store fails with `EINVAL` or
    /// `ERANGE`.
    pub const fn expecting(mut self, expected: &'static str) -> Self {
        self.expected = Some(expected);
        self
    }

    #[cfg_attr(
        not(CONFIG_DEBUG_LOCK_ALLOC),
        expect(
            clippy::needless_update,
            reason = "other configurations have more fields"
        )
    )]
    const fn with_mode(
        name: &'static CStr,
        mode: u16,
        show: Option<Shown<T>>,
        store: Option<Store<T>>,
    ) -> Self {
        // INVARIANT: The callbacks are those of this type, and `raw` is the first field.
        Self {
            raw: sys::device_attribute {
                attr: sys::attribute {
                    name: as_char_ptr_in_const_context(name),
                    mode,
                    ..pin_init::zeroed()
                },
                __bindgen_anon_1: sys::device_attribute__bindgen_ty_1 {
                    show_const: if show.is_some() {
                        Some(Self::show_callback)
                    } else {
                        None
                    },
                },
                __bindgen_anon_2: sys::device_attribute__bindgen_ty_2 {
                    store_const: if store.is_some() {
                        Some(Self::store_callback)
                    } else {
                        None
                    },
                },
            },
            show,
            store,
            visible: None,
            expected: None,
        }
    }

    /// Returns the attribute whose C part is `raw`.
    ///
    /// # Safety
    ///
    /// `raw` must be the `raw` of a `'static` [`Attribute<T>`], or point to the `attr` at its
    /// start.
    unsafe fn from_raw(raw: *const sys::device_attribute) -> &'static Self {
        // SAFETY: The caller passes the address of the `raw` of an `Attribute<T>`, which is its
        // first field. The attribute is `'static` and immutable.
        unsafe { &*raw.cast::<Self>() }
    }

    /// Shows an attribute.
    ///
    /// # Safety
    ///
    /// `dev` must be the device of a `TypedDevice<T>` that lives during the call, `attribute` the
    /// `raw` of an [`Attribute<T>`], and `page` the buffer of one page that sysfs has zeroed for
    /// this call. Only sysfs may call this.
    unsafe extern "C" fn show_callback(
        dev: *mut sys::device,
        attribute: *const sys::device_attribute,
        page: *mut c_char,
    ) -> isize {
        // SAFETY: By the type invariant this callback is only in attributes of `T`, and sysfs
        // passes the one that it was called for. Only static attributes can be put into a group.
        let attribute = unsafe { Self::from_raw(attribute) };
        // SAFETY: Attributes of `T` are attached to devices of `T` only. sysfs keeps the device
        // alive during the call.
        let device = unsafe { TypedDevice::<T>::from_raw(dev) };
        // SAFETY: `sysfs_kf_seq_show` passes the buffer of a `seq_file`, has checked that it has at
        // least `PAGE_SIZE` bytes, and has zeroed as many, so they are initialised. A byte needs no
        // alignment. The mutex of the file is held, so this call has exclusive access.
        let page = unsafe { &mut *page.cast::<[u8; PAGE_SIZE]>() };
        from_result(|| {
            let written = match attribute.show.as_ref().ok_or(EIO)? {
                Shown::Text(show) => {
                    let mut out = Formatter::new(page);
                    show(device, &mut out)?;
                    // The formatter also counts the bytes that it had to drop.
                    out.bytes_written()
                }
                Shown::Bytes(show) => show(device, page)?,
            };
            Ok(written.min(PAGE_SIZE - 1) as isize)
        })
    }

    /// Stores an attribute.
    ///
    /// # Safety
    ///
    /// `dev` must be the device of a `TypedDevice<T>` that lives during the call, `attribute` the
    /// `raw` of an [`Attribute<T>`], and `buffer` must have `count` bytes that do not change during
    /// the call. Only sysfs may call this.
    unsafe extern "C" fn store_callback(
        dev: *mut sys::device,
        attribute: *const sys::device_attribute,
        buffer: *const c_char,
        count: usize,
    ) -> isize {
        // SAFETY: By the type invariant this callback is only in attributes of `T`, and sysfs
        // passes the one that it was called for. Only static attributes can be put into a group.
        let attribute = unsafe { Self::from_raw(attribute) };
        // SAFETY: Attributes of `T` are attached to devices of `T` only. sysfs keeps the device
        // alive during the call.
        let device = unsafe { TypedDevice::<T>::from_raw(dev) };
        // SAFETY: `kernfs_fop_write_iter` passes a buffer that has more than `count` bytes, which
        // it has copied from user space. Nothing writes to it during the call.
        let bytes = unsafe { core::slice::from_raw_parts(buffer.cast::<u8>(), count) };
        from_result(|| {
            let store = attribute.store.ok_or(EIO)?;
            let input = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            store(device, input).inspect_err(|&error| attribute.report(device, input, error))?;
            Ok(count as isize)
        })
    }

    /// Logs a store that failed because of the value.
    #[cold]
    fn report(&self, device: &TypedDevice<T>, input: &[u8], error: Error) {
        let Some(expected) = self.expected else {
            return;
        };
        if error != EINVAL && error != ERANGE {
            return;
        }
        // SAFETY: Only `with_mode` sets the name, from a static C string.
        let name = unsafe { CStr::from_char_ptr(self.raw.attr.name) };
        let input = input.trim_ascii_end();
        let shown = input.get(..LOGGED).unwrap_or(input);
        dev_err!(
            device,
            "{name} is not set to '{}': {expected} expected\n",
            BStr::from_bytes(shown)
        );
    }

    /// Returns the mode of an attribute.
    ///
    /// # Safety
    ///
    /// `kobj` must be that of the device of a `TypedDevice<T>` that lives during the call, and
    /// `attribute` that of an [`Attribute<T>`]. Only sysfs may call this.
    unsafe extern "C" fn visible_callback(
        kobj: *mut sys::kobject,
        attribute: *const sys::attribute,
        _index: c_int,
    ) -> sys::umode_t {
        // SAFETY: Only `Group::new` uses this callback, for attributes of `T`, all of which are
        // static. `attr` is the first field of `raw`.
        let attribute = unsafe { Self::from_raw(attribute.cast()) };
        let Some(visible) = attribute.visible else {
            return attribute.raw.attr.mode;
        };
        // SAFETY: The group is attached to a device, whose `kobj` this is, so the result stays
        // within that device.
        let dev = unsafe { kobj.byte_sub(offset_of!(sys::device, kobj)) }.cast::<sys::device>();
        // SAFETY: Groups of `T` are attached to devices of `T` only. sysfs keeps the device alive
        // during the call.
        visible(unsafe { TypedDevice::<T>::from_raw(dev) })
    }
}

/// A table of `N` pointers, with the null pointer that ends it in C.
#[repr(C)]
struct NullTerminated<P, const N: usize> {
    pointers: [*const P; N],
    _end: *const P,
}

impl<P, const N: usize> NullTerminated<P, N> {
    const fn new(pointers: [*const P; N]) -> Self {
        Self {
            pointers,
            _end: ptr::null(),
        }
    }

    /// Returns the C table, which lives as long as `self`.
    const fn as_ptr(&self) -> *const *const P {
        // The fields have one type, so in C order the null pointer follows the others at once.
        ptr::from_ref(self).cast()
    }
}

/// The attributes of a group.
pub struct Attributes<T: DeviceData, const N: usize>(
    NullTerminated<sys::attribute, N>,
    PhantomData<&'static Attribute<T>>,
);

// SAFETY: The table is immutable and points to statics, which are `Sync`.
unsafe impl<T: DeviceData, const N: usize> Sync for Attributes<T, N> {}

impl<T: DeviceData, const N: usize> Attributes<T, N> {
    /// Returns a table of `attributes`.
    pub const fn new(attributes: [&'static Attribute<T>; N]) -> Self {
        let mut table = [ptr::null(); N];
        let mut i = 0;
        while i < N {
            table[i] = &raw const attributes[i].raw.attr;
            i += 1;
        }
        Self(NullTerminated::new(table), PhantomData)
    }
}

/// A group of attributes, in the directory of the device or in a subdirectory.
#[repr(transparent)]
pub struct Group<T: DeviceData>(sys::attribute_group, PhantomData<&'static Attribute<T>>);

// SAFETY: The group is immutable and points to statics, which are `Sync`.
unsafe impl<T: DeviceData> Sync for Group<T> {}

impl<T: DeviceData> Group<T> {
    /// Returns a group in the directory of the device.
    pub const fn new<const N: usize>(attributes: &'static Attributes<T, N>) -> Self {
        Self(
            sys::attribute_group {
                __bindgen_anon_1: sys::attribute_group__bindgen_ty_1 {
                    is_visible_const: Some(Attribute::<T>::visible_callback),
                },
                __bindgen_anon_2: sys::attribute_group__bindgen_ty_2 {
                    attrs_const: attributes.0.as_ptr(),
                },
                ..pin_init::zeroed()
            },
            PhantomData,
        )
    }

    /// Returns a group in the subdirectory `name`.
    pub const fn named<const N: usize>(
        name: &'static CStr,
        attributes: &'static Attributes<T, N>,
    ) -> Self {
        let mut group = Self::new(attributes);
        group.0.name = as_char_ptr_in_const_context(name);
        group
    }
}

/// The groups of a device.
pub struct Groups<T: DeviceData, const N: usize>(
    NullTerminated<sys::attribute_group, N>,
    PhantomData<&'static Group<T>>,
);

// SAFETY: The table is immutable and points to statics, which are `Sync`.
unsafe impl<T: DeviceData, const N: usize> Sync for Groups<T, N> {}

impl<T: DeviceData, const N: usize> Groups<T, N> {
    /// Returns a table of `groups`.
    pub const fn new(groups: [&'static Group<T>; N]) -> Self {
        let mut table = [ptr::null(); N];
        let mut i = 0;
        while i < N {
            table[i] = &raw const groups[i].0;
            i += 1;
        }
        Self(NullTerminated::new(table), PhantomData)
    }

    /// Returns a reference to the table without its length.
    pub const fn list(&'static self) -> GroupList<T> {
        GroupList(self.0.as_ptr(), PhantomData)
    }
}

/// A reference to [`Groups`] of any length.
///
/// # Invariants
///
/// The pointer is null or points to a null-terminated table of groups of `T` with static lifetime.
pub struct GroupList<T: DeviceData>(
    *const *const sys::attribute_group,
    PhantomData<&'static Group<T>>,
);

impl<T: DeviceData> Clone for GroupList<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: DeviceData> Copy for GroupList<T> {}

// SAFETY: The list is a shared reference to immutable statics, which are `Sync`.
unsafe impl<T: DeviceData> Send for GroupList<T> {}
// SAFETY: A shared list gives access to immutable statics only, which are `Sync`.
unsafe impl<T: DeviceData> Sync for GroupList<T> {}

impl<T: DeviceData> GroupList<T> {
    /// No groups.
    pub const EMPTY: Self = Self(ptr::null(), PhantomData);

    pub(crate) const fn as_ptr(&self) -> *const *const sys::attribute_group {
        self.0
    }
}
