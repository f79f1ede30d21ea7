// SPDX-License-Identifier: GPL-2.0

//! Secrets from the kernel's key retention service.
//!
//! Only keys of the type `encrypted` are taken: user space cannot read what is in them.
//!
//! C headers: [`include/linux/key.h`](srctree/include/linux/key.h),
//! [`include/keys/encrypted-type.h`](srctree/include/keys/encrypted-type.h)

#[cfg(CONFIG_ENCRYPTED_KEYS)]
use crate::error::enokey;
use crate::sys;
use kernel::prelude::*;

/// Number of a key. Numbers of keys are positive.
pub type Serial = u32;

/// Secret bytes, which stay in one place, and are wiped when they are dropped.
///
/// They are in an allocation of their own: wherever the value is moved, only its pointer is copied.
pub struct Secret<const N: usize>(KBox<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Returns a secret that is none: zeroes. `ENOMEM`: there is no memory for it.
    pub fn zero() -> Result<Self> {
        Ok(Self(KBox::new([0; N], GFP_KERNEL)?))
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        wipe(&mut *self.0);
    }
}

/// Fills a copy of a secret with zeroes, even if it is not used any more afterwards.
///
/// Not inlined: the helper that it calls is not exported to the modules that call this.
#[inline(never)]
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: The slice is valid for writes of as many bytes.
    unsafe { sys::memzero_explicit(bytes.as_mut_ptr().cast(), bytes.len()) };
}

/// Copies the encrypted key with this number, as far as the calling process may search it.
///
/// `ENOKEY`: there is none, it is of another type, or it does not have `N` bytes. `EOPNOTSUPP`: the
/// kernel has no encrypted keys. `ENOMEM`: there is no memory for the copy.
pub fn lookup<const N: usize>(serial: Serial) -> Result<Secret<N>> {
    #[cfg(CONFIG_ENCRYPTED_KEYS)]
    return Key::lookup(serial)?.secret();

    #[cfg(not(CONFIG_ENCRYPTED_KEYS))]
    {
        let _ = serial;
        Err(crate::error::eopnotsupp())
    }
}

/// Copies the encrypted key with this description, which user space may be asked for. Errors as for
/// [`lookup`].
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
        // SAFETY: The function takes numbers, which it checks. It may sleep, and searches the keys
        // of the current process.
        let found = kernel::error::from_err_ptr(unsafe {
            sys::lookup_user_key(serial, 0, sys::key_need_perm_KEY_NEED_SEARCH)
        })
        .map_err(|_| enokey())?;
        let key = found.map_addr(|address| address & !POSSESSED).cast();
        // SAFETY: `lookup_user_key` returned a reference to a valid key, which nothing else owns,
        // without the bit.
        unsafe { Self::from_owned(key) }
    }

    fn request(description: &CStr) -> Result<Self> {
        // SAFETY: The type is static, the strings are valid C strings, and the default domain needs
        // no tag.
        let found = kernel::error::from_err_ptr(unsafe {
            sys::request_key_tag(
                &raw mut sys::key_type_encrypted,
                description.as_char_ptr(),
                core::ptr::null_mut(),
                c"".as_char_ptr(),
            )
        })
        .map_err(|_| enokey())?;
        // SAFETY: `request_key_tag` returned a reference to a valid key, which nothing else owns.
        unsafe { Self::from_owned(found) }
    }

    /// Takes over a reference. `ENOKEY`: the key is of another type.
    ///
    /// # Safety
    ///
    /// `key` is null or a valid key, a reference to which is given to this function.
    unsafe fn from_owned(key: *mut sys::key) -> Result<Self> {
        let key = core::ptr::NonNull::new(key).ok_or(enokey())?;
        // SAFETY: The key is valid by the requirements of this function. Its type, which is in all
        // variants of the union, is set before it can be found, and changes to `key_type_dead` at
        // most when there are no references any more.
        let kind = unsafe { (*key.as_ptr()).__bindgen_anon_3.__bindgen_anon_1.type_ };
        if !core::ptr::eq(kind, &raw const sys::key_type_encrypted) {
            // SAFETY: The reference was given to this function, which returns without using the key
            // again.
            unsafe { sys::key_put(key.as_ptr()) };
            return Err(enokey());
        }
        // INVARIANT: The reference is ours, and the type was just checked.
        Ok(Self(key))
    }

    /// Copies what is in the key. `ENOKEY`: it does not have `N` bytes, or was revoked.
    fn secret<const N: usize>(&self) -> Result<Secret<N>> {
        let key = self.0.as_ptr();
        let mut secret = Secret::zero()?;
        // SAFETY: The key is valid by the type invariant, and its semaphore was initialised with
        // it. This may sleep.
        unsafe { sys::down_read(&raw mut (*key).sem) };
        // SAFETY: The semaphore is held, so the payload stays; that of an encrypted key is of this
        // type, or null when the key was revoked.
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
                // SAFETY: The payload says that there are that many bytes, and the semaphore keeps
                // them from changing.
                secret.0.copy_from_slice(unsafe {
                    core::slice::from_raw_parts(payload.decrypted_data, N)
                });
                true
            }
            _ => false,
        };
        // SAFETY: This task has taken it above for reading, and not released it since.
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
        // SAFETY: By the type invariant a reference is owned, and it is given up once.
        unsafe { sys::key_put(self.0.as_ptr()) };
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_key)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_move_and_is_wiped() -> Result {
        let mut secret = Secret::<32>::zero()?;
        secret.0.fill(0xa5);
        let place = secret.bytes().as_ptr();

        let moved = Some(secret).ok_or(EINVAL)?;
        assert!(core::ptr::eq(place, moved.bytes().as_ptr()));
        assert!(moved.bytes().iter().all(|&byte| byte == 0xa5));

        let mut copy = [0xa5; 5];
        wipe(&mut copy[1..4]);
        assert!(copy == [0xa5, 0, 0, 0, 0xa5]);
        Ok(())
    }
}
