// SPDX-License-Identifier: GPL-2.0

//! References to modules.

use crate::sys;
use kernel::ThisModule;

/// Keeps a module from being unloaded.
pub struct ModuleReference(&'static ThisModule);

impl ModuleReference {
    /// Takes a reference, unless the module is going away.
    pub fn try_new(module: &'static ThisModule) -> Option<Self> {
        // SAFETY: `ThisModule` wraps a valid module, or null for code that is built in, which the
        // function allows.
        unsafe { sys::try_module_get(module.as_ptr()) }.then_some(Self(module))
    }
}

impl Drop for ModuleReference {
    fn drop(&mut self) {
        // SAFETY: The reference was taken in `Self::try_new`.
        unsafe { sys::module_put(self.0.as_ptr()) };
    }
}
