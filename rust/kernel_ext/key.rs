// SPDX-License-Identifier: GPL-2.0

//! Secrets from the kernel's key retention service.
//!
//! Only keys of the type `encrypted` are taken: user space cannot read what is in them.
//!
//! C headers: [`include/linux/key.h`](srctree/include/linux/key.h),
//! [`include/keys/encrypted-type.h`](srctree/include/keys/encrypted-type.h)

#[cfg(CONFIG_ENCRYPTED_KEYS)]
use crate::{
    error::enokey,
    sys, //
};
use kernel::prelude::*;

/// Number of a key. Numbers of keys are positive.
pub type Serial = u32;

/// Secret bytes, wiped when they are dropped.
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// A secret that everybody knows: zeros.
    pub const fn zero() -> Self {
        Self([0; N])
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.fill(0);
        // The array is about to go, so the compiler may see no need for the above unless somebody looks at it.
        core::hint::black_box(&self.0);
    }
}

/// Copies the encrypted key with this number, as far as the calling process may search it.
///
/// `ENOKEY`: there is none, it is of another type, or it does not have `N` bytes. `EOPNOTSUPP`: the kernel has no
/// encrypted keys.
pub fn lookup<const N: usize>(serial: Serial) -> Result<Secret<N>> {
    #[cfg(CONFIG_ENCRYPTED_KEYS)]
    return Key::lookup(serial)?.secret();

    #[cfg(not(CONFIG_ENCRYPTED_KEYS))]
    {
        let _ = serial;
        Err(crate::error::eopnotsupp())
    }
}

/// Copies the encrypted key with this description, which user space may be asked for. Errors as for [`lookup`].
pub fn request<const N: usize>(description: &CStr) -> Result<Secret<N>> {
    #[cfg(CONFIG_ENCRYPTED_KEYS)]
    return Key::request(description)?.secret();

    #[cfg(not(CONFIG_ENCRYPTED_KEYS))]
    {
        let _ = description;
        Err(crate::error::eopnotsupp())
    }
}

/// A reference to an encrypted key.
///
/// # Invariants
///
/// The pointer is to a key of which a reference is owned. The key's type is `key_type_encrypted`.
#[cfg(CONFIG_ENCRYPTED_KEYS)]
struct Key(core::ptr::NonNull<sys::key>);

#[cfg(CONFIG_ENCRYPTED_KEYS)]
impl Key {
    fn lookup(serial: Serial) -> Result<Self> {
        /// Bit of a reference that tells whether the process possesses the key.
        const POSSESSED: usize = 1;

        let serial = i32::try_from(serial).map_err(|_| enokey())?;
        // SAFETY: There are no requirements.
        let found = kernel::error::from_err_ptr(unsafe {
            sys::lookup_user_key(serial, 0, sys::key_need_perm_KEY_NEED_SEARCH)
        })
        .map_err(|_| enokey())?;
        let key = found.map_addr(|address| address & !POSSESSED).cast();
        // SAFETY: `lookup_user_key` gave us a reference to a key.
        unsafe { Self::from_owned(key) }
    }

    fn request(description: &CStr) -> Result<Self> {
        // SAFETY: The type is static, the strings are valid C strings, and the default domain needs no tag.
        let found = kernel::error::from_err_ptr(unsafe {
            sys::request_key_tag(
                &raw mut sys::key_type_encrypted,
                description.as_char_ptr(),
                core::ptr::null_mut(),
                c"".as_char_ptr(),
            )
        })
        .map_err(|_| enokey())?;
        // SAFETY: `request_key_tag` gave us a reference to a key.
        unsafe { Self::from_owned(found) }
    }

    /// Takes over a reference. `ENOKEY`: the key is of another type.
    ///
    /// # Safety
    ///
    /// A reference to `key`, which must be a valid key, becomes this function's.
    unsafe fn from_owned(key: *mut sys::key) -> Result<Self> {
        let key = core::ptr::NonNull::new(key).ok_or(enokey())?;
        // SAFETY: The key is valid by the requirements of this function; its type is fixed once it can be found.
        let kind = unsafe { (*key.as_ptr()).__bindgen_anon_3.__bindgen_anon_1.type_ };
        if !core::ptr::eq(kind, &raw const sys::key_type_encrypted) {
            // SAFETY: The reference is ours.
            unsafe { sys::key_put(key.as_ptr()) };
            return Err(enokey());
        }
        // INVARIANT: The reference is ours, and the type was just checked.
        Ok(Self(key))
    }

    /// Copies what is in the key. `ENOKEY`: it does not have `N` bytes, or was revoked.
    fn secret<const N: usize>(&self) -> Result<Secret<N>> {
        let key = self.0.as_ptr();
        let mut secret = Secret([0; N]);
        // SAFETY: The key is valid by the type invariant, and so is its semaphore.
        unsafe { sys::down_read(&raw mut (*key).sem) };
        // SAFETY: The semaphore is held, so the payload stays; that of an encrypted key is of this type, or null when the
        // key was revoked.
        let payload = unsafe {
            (*key)
                .__bindgen_anon_4
                .payload
                .rcu_data0
                .cast::<sys::encrypted_key_payload>()
                .as_ref()
        };
        let found = match payload {
            Some(payload) if usize::from(payload.decrypted_datalen) == N => {
                // SAFETY: The payload says that there are that many bytes, and the semaphore keeps them from changing.
                secret.0.copy_from_slice(unsafe {
                    core::slice::from_raw_parts(payload.decrypted_data, N)
                });
                true
            }
            _ => false,
        };
        // SAFETY: It was taken above.
        unsafe { sys::up_read(&raw mut (*key).sem) };
        if found {
            Ok(secret)
        } else {
            Err(enokey())
        }
    }
}

#[cfg(CONFIG_ENCRYPTED_KEYS)]
impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours.
        unsafe { sys::key_put(self.0.as_ptr()) };
    }
}
