// SPDX-License-Identifier: GPL-2.0

//! The machine that `report` and `--version` describe: its files below `/dev`, `/proc` and `/sys`,
//! and the modules that are loaded.

use std::{
    fmt::{
        self,
        Display,
        Formatter, //
    },
    fs,
    io,
    path::PathBuf, //
};

/// The modules of the subsystem, whichever stack they are of.
pub(crate) const MODULES: [&str; 8] = [
    "libnvdimm",
    "nfit",
    "nd_e820",
    "ramdax",
    "nd_pmem",
    "nd_btt",
    "dax_pmem",
    "nfit_test",
];

/// A machine, seen through its file system.
pub(crate) struct System {
    root: PathBuf,
}

impl System {
    /// Returns the machine that this program runs on.
    pub(crate) fn running() -> Self {
        Self::at("/")
    }

    /// Returns the machine whose root directory this is.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the path of a file, which is given without the leading `/`.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// Returns the contents of a file without white space at its end.
    pub(crate) fn text(&self, file: &str) -> io::Result<String> {
        let bytes = fs::read(self.path(file))?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// Returns where a loaded module comes from.
    pub(crate) fn origin(&self, module: &str) -> Origin {
        let directory = format!("sys/module/{module}");
        match self.text(&format!("{directory}/version")) {
            Ok(version) => Origin::Versioned(version),
            Err(_) if self.path(&directory).is_dir() => Origin::Kernel,
            Err(_) => Origin::Absent,
        }
    }

    /// Returns a line for this program and for each module, with its version.
    pub(crate) fn versions(&self) -> Vec<String> {
        let tool = format!("btt {}", env!("CARGO_PKG_VERSION"));
        let modules = MODULES.map(|module| format!("{module} {}", self.origin(module)));
        [tool].into_iter().chain(modules).collect()
    }
}

/// Where a module comes from.
///
/// Only the modules of this project have a version, which `MODULE_VERSION` shows in sysfs. The C
/// modules of the same names have none.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// This project, in this version.
    Versioned(String),
    /// The kernel's own C module, or code that is built into the kernel.
    Kernel,
    /// It is not loaded.
    Absent,
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Versioned(version) => f.write_str(version),
            Self::Kernel => f.write_str("of the kernel"),
            Self::Absent => f.write_str("not loaded"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_ours_or_the_kernels_or_absent() {
        let root = tempfile::tempdir().unwrap();
        let modules = root.path().join("sys/module");
        fs::create_dir_all(modules.join("nd_btt")).unwrap();
        fs::write(modules.join("nd_btt/version"), "0.1.0\n").unwrap();
        fs::create_dir_all(modules.join("libnvdimm")).unwrap();
        let system = System::at(root.path());
        assert_eq!(system.origin("nd_btt"), Origin::Versioned("0.1.0".into()));
        let lines = system.versions();
        assert_eq!(lines[0], concat!("btt ", env!("CARGO_PKG_VERSION")));
        for line in ["nd_btt 0.1.0", "libnvdimm of the kernel", "nfit not loaded"] {
            assert!(lines.iter().any(|found| found == line), "{line}: {lines:?}");
        }
    }
}
