// SPDX-License-Identifier: GPL-2.0

//! Secrets from the kernel's key retention service.
//!
//! Only keys of the type `encrypted` are accepted, as user space cannot read their plain text.
//! Lookups may sleep.
//!
//! C headers: [`include/linux/key.h`](srctree/include/linux/key.h),
//! [`include/keys/encrypted-type.h`](srctree/include/keys/encrypted-type.h)

#[cfg(CONFIG_ENCRYPTED_KEYS)]
use crate::error::enokey;
use crate::sys;
use kernel::prelude::*;

/// Serial number of a key. Serial numbers are positive.
pub type Serial = u32;

/// Secret bytes that are wiped when they are dropped.
///
/// They have an allocation of their own, so moving the value leaves no copies of them behind.
pub struct Secret<const N: usize>(KBox<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Returns a secret of all zeroes. `ENOMEM`: out of memory.
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

/// Overwrites a copy of a secret with zeroes. The compiler does not remove this even if the copy is
/// not used afterwards.
///
/// Not inlined, as the helper that it calls is not exported to the modules that call this.
#[inline(never)]
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: The slice is borrowed mutably, so it is valid for writes of its length.
    unsafe { sys::memzero_explicit(bytes.as_mut_ptr().cast(), bytes.len()) };
}

/// Returns a copy of the encrypted key with this serial number, if the calling process may search
/// it.
///
/// `ENOKEY`: there is no such key, it has another type, or it does not have `N` bytes.
/// `EOPNOTSUPP`: the kernel lacks encrypted keys (`CONFIG_ENCRYPTED_KEYS`). `ENOMEM`: out of
/// memory.
pub fn lookup<const N: usize>(serial: Serial) -> Result<Secret<N>> {
    #[cfg(CONFIG_ENCRYPTED_KEYS)]
    return Key::lookup(serial)?.secret();

    #[cfg(not(CONFIG_ENCRYPTED_KEYS))]
    {
        let _ = serial;
        Err(crate::error::eopnotsupp())
    }
}

/// Returns a copy of the encrypted key with this description. The key service may ask user space to
/// create it. Fails like [`lookup`].
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
/// The pointer is a valid key of the type `key_type_encrypted`, to which a reference is owned.
#[cfg(CONFIG_ENCRYPTED_KEYS)]
struct Key(core::ptr::NonNull<sys::key>);

#[cfg(CONFIG_ENCRYPTED_KEYS)]
impl Key {
    fn lookup(serial: Serial) -> Result<Self> {
        /// Bit of a `key_ref_t` that says whether the process possesses the key.
        const POSSESSED: usize = 1;

        let serial = i32::try_from(serial).map_err(|_| enokey())?;
        // SAFETY: The function takes any numbers, which it checks. It searches the keyrings of the
        // current process and may sleep, as this function may.
        let found = kernel::error::from_err_ptr(unsafe {
            sys::lookup_user_key(serial, 0, sys::key_need_perm_KEY_NEED_SEARCH)
        })
        .map_err(|_| enokey())?;
        let key = found.map_addr(|address| address & !POSSESSED).cast();
        // SAFETY: `lookup_user_key` returned a reference to a valid key, which is given to
        // `from_owned`. The bit that is not part of the address was cleared.
        unsafe { Self::from_owned(key) }
    }

    fn request(description: &CStr) -> Result<Self> {
        // SAFETY: The key type is a static of the kernel, the strings are C strings that are only
        // read, and null stands for the default domain tag. The function may sleep, as this one
        // may.
        let found = kernel::error::from_err_ptr(unsafe {
            sys::request_key_tag(
                &raw mut sys::key_type_encrypted,
                description.as_char_ptr(),
                core::ptr::null_mut(),
                c"".as_char_ptr(),
            )
        })
        .map_err(|_| enokey())?;
        // SAFETY: `request_key_tag` returned a reference to a valid key, which is given to
        // `from_owned`.
        unsafe { Self::from_owned(found) }
    }

    /// Takes ownership of a reference. `ENOKEY`: the key has another type.
    ///
    /// # Safety
    ///
    /// `key` must be null or a valid key, a reference to which is given to this function.
    unsafe fn from_owned(key: *mut sys::key) -> Result<Self> {
        let key = core::ptr::NonNull::new(key).ok_or(enokey())?;
        // SAFETY: The caller passes a valid key. Both variants of the union begin with its type,
        // which is set before the key can be found. It changes only to `key_type_dead`, and only
        // after the last reference is gone.
        let kind = unsafe { (*key.as_ptr()).__bindgen_anon_3.__bindgen_anon_1.type_ };
        if !core::ptr::eq(kind, &raw const sys::key_type_encrypted) {
            // SAFETY: The caller has given the reference to this function, which drops it once and
            // does not use the key again.
            unsafe { sys::key_put(key.as_ptr()) };
            return Err(enokey());
        }
        // INVARIANT: The reference is owned, and the type was just checked.
        Ok(Self(key))
    }

    /// Returns a copy of the plain text of the key. `ENOKEY`: it does not have `N` bytes, or the
    /// key was revoked. `ENOMEM`: out of memory.
    fn secret<const N: usize>(&self) -> Result<Secret<N>> {
        let key = self.0.as_ptr();
        let mut secret = Secret::zero()?;
        // SAFETY: By the type invariant the key is valid, and so is its semaphore, which was
        // initialised with it. The function may sleep, as this one may; the task does not hold the
        // semaphore yet.
        unsafe { sys::down_read(&raw mut (*key).sem) };
        // SAFETY: The semaphore is held until the payload was copied, so it stays valid and does
        // not change. The payload of an encrypted key has this type, or is null after the key was
        // revoked.
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
                // SAFETY: `decrypted_data` has `decrypted_datalen` bytes, which are `N`, and does
                // not change while the semaphore is held.
                secret.0.copy_from_slice(unsafe {
                    core::slice::from_raw_parts(payload.decrypted_data, N)
                });
                true
            }
            _ => false,
        };
        // SAFETY: The key is valid, and this task has taken the semaphore for reading above and not
        // released it since.
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
        // SAFETY: By the type invariant a reference is owned. It is dropped once.
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
