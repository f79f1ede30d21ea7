// SPDX-License-Identifier: GPL-2.0

//! Recorded results of the C stack.
//!
//! The C stack is the reference, not the object of the tests: the same script on the same machine
//! prints the same under it. The output of a test that passed under it is stored in the cache,
//! under a key of everything that it depends on, and later runs compare with that. Results of our
//! stack are never recorded.

use super::{
    report::{
        self,
        Outcome,
        Verdict, //
    },
    results::file_name,
    script::{
        Boots,
        Script, //
    },
};
use crate::{
    cache::{
        Cache,
        Key, //
    },
    modules::Stack,
    process,
    project,
    setup::Machine, //
};
use anyhow::{
    Context,
    Result, //
};
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::Command,
    time::Duration,
};

/// Files of the checkout that a test depends on, besides its own script.
const SURROUNDINGS: [&str; 8] = [
    "qemu/firmware",
    "qemu/guest",
    "qemu/tests/common",
    "tools/xtask/src/firmware",
    "tools/xtask/src/nvdimm.rs",
    "tools/xtask/src/vm.rs",
    "tools/xtask/src/suite/compare.rs",
    "tools/xtask/src/suite/session.rs",
];

/// The records that fit the machine of this run.
pub(super) struct Records {
    cache: Cache,
    machine: String,
}

impl Records {
    /// Computes the key of the machine and of our programs in the guest.
    ///
    /// Returns `None` for a kernel that is not from the cache: its version does not identify it.
    pub(super) fn open(machine: &Machine, tools: &Path) -> Result<Option<Self>> {
        let Some(kernel) = machine.cache.name_of(&machine.kernel.tree) else {
            return Ok(None);
        };
        let image = machine.image.to_string_lossy();
        let qemu = process::output(Command::new("qemu-system-x86_64").arg("--version"))?;
        let mut key = Key::default()
            .with("kernel", kernel)
            .with("image", image.as_bytes())
            .with("qemu", qemu)
            .with("accelerator", format!("{:?}", machine.accelerator));
        let surroundings = SURROUNDINGS.map(|path| project::root().join(path));
        for path in surroundings.iter().map(PathBuf::as_path).chain([tools]) {
            for file in files(path)? {
                let content =
                    fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
                let name = file.file_name().unwrap_or_default();
                key = key.with(&name.to_string_lossy(), content);
            }
        }
        Ok(Some(Self {
            cache: machine.cache.clone(),
            machine: key.finish(),
        }))
    }

    /// Returns the name of the record of `script`. A test that also uses our modules has none.
    fn name(&self, script: &Script) -> Result<Option<String>> {
        if !script.stacks.contains(&Stack::C) || matches!(script.boots, Boots::Stacks(_)) {
            return Ok(None);
        }
        let path = project::root().join(format!("qemu/tests/{}.sh", script.name));
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let key = Key::default()
            .with("machine", &self.machine)
            .with("script", text)
            // Includes what the command line adds to the script's head.
            .with("needs", format!("{script:?}"))
            .finish();
        Ok(Some(format!("answer-{}-{key}", file_name(&script.name))))
    }

    /// Looks up `script`. If there is a record, it is copied to the results, as if the script had
    /// run.
    pub(super) fn recall(&self, script: &Script, results: &Path) -> Result<Option<Outcome>> {
        let Some(name) = self.name(script)? else {
            return Ok(None);
        };
        let record = self.cache.path(&name);
        if !record.exists() {
            return Ok(None);
        }
        let directory = results.join(Stack::C.name()).join("recorded");
        let file = format!("{}.out", file_name(&script.name));
        fs::create_dir_all(&directory)
            .and_then(|()| fs::copy(&record, directory.join(file)))
            .with_context(|| format!("cannot copy {}", record.display()))?;
        Ok(Some(Outcome {
            name: report::name(&script.name, Stack::C),
            verdict: Verdict::Recorded,
            time: Duration::ZERO,
        }))
    }

    /// Records the output of `script`, which passed.
    pub(super) fn keep(&self, script: &Script, printed: &str) -> Result<()> {
        let Some(name) = self.name(script)? else {
            return Ok(());
        };
        self.cache.store(&name, printed)
    }
}

/// Returns the file at `path`, or all files in the directory `path`, sorted.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(|| format!("cannot read {}", path.display()))?;
    files.retain(|file| file.is_file());
    files.sort();
    Ok(files)
}
