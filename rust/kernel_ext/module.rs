// SPDX-License-Identifier: GPL-2.0

//! References to modules.

use crate::sys;
use kernel::ThisModule;

/// A reference to a module, which cannot be unloaded while this lives.
pub struct ModuleReference(&'static ThisModule);

impl ModuleReference {
    /// Takes a reference. Returns `None` if the module is being unloaded.
    pub fn try_new(module: &'static ThisModule) -> Option<Self> {
        // SAFETY: A `'static` `ThisModule` has the address of the module that the code is part of,
        // or null for built-in code, which the function accepts.
        unsafe { sys::try_module_get(module.as_ptr()) }.then_some(Self(module))
    }
}

impl Drop for ModuleReference {
    fn drop(&mut self) {
        // SAFETY: `Self::try_new` has taken the reference, which is dropped once. Null, for
        // built-in code, is accepted.
        unsafe { sys::module_put(self.0.as_ptr()) };
    }
}
