// SPDX-License-Identifier: GPL-2.0

//! What the C stack answered before.
//!
//! The C stack is our peer and not what is tested: the same script on the same machine gets the same answer from it. A test
//! that passed under it leaves what it printed in the cache, under a key of all that it depended on, and later runs compare
//! with that. Nothing of ours is ever taken from a record.

use super::{
    report::{
        self,
        Outcome,
        Verdict, //
    },
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

/// What a test sees of the host, besides its own script.
const SURROUNDINGS: [&str; 7] = [
    "qemu/firmware",
    "qemu/guest",
    "qemu/tests",
    "tools/xtask/src/firmware",
    "tools/xtask/src/nvdimm.rs",
    "tools/xtask/src/vm.rs",
    "tools/xtask/src/suite/session.rs",
];

/// The records that fit the machine of this run.
pub(super) struct Records {
    cache: Cache,
    machine: String,
}

impl Records {
    /// Finds what scripts for this machine, with these programs of ours in the guest, depend on.
    ///
    /// Nothing is known of a kernel that did not come from the cache, so it has no records.
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
            for file in files(path)?.iter().filter(|file| !is_script(file)) {
                let content =
                    fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                let name = file.file_name().unwrap_or_default();
                key = key.with(&name.to_string_lossy(), content);
            }
        }
        Ok(Some(Self {
            cache: machine.cache.clone(),
            machine: key.finish(),
        }))
    }

    /// The name in the cache of what `script` printed. A test that also needs our modules has none.
    fn name(&self, script: &Script) -> Result<Option<String>> {
        if !script.stacks.contains(&Stack::C) || matches!(script.boots, Boots::Stacks(_)) {
            return Ok(None);
        }
        let path = project::root().join(format!("qemu/tests/{}.sh", script.name));
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let key = Key::default()
            .with("machine", &self.machine)
            .with("script", text)
            // What the command line adds to the script's head.
            .with("needs", format!("{script:?}"))
            .finish();
        Ok(Some(format!("answer-{}-{key}", script.name)))
    }

    /// Looks `script` up. If there is a record, it lies among the results afterwards, as if the script had been run.
    pub(super) fn recall(&self, script: &Script, results: &Path) -> Result<Option<Outcome>> {
        let Some(name) = self.name(script)? else {
            return Ok(None);
        };
        let record = self.cache.path(&name);
        if !record.exists() {
            return Ok(None);
        }
        let directory = results.join(Stack::C.name()).join("recorded");
        fs::create_dir_all(&directory)
            .and_then(|()| fs::copy(&record, directory.join(format!("{}.out", script.name))))
            .with_context(|| format!("cannot copy {}", record.display()))?;
        Ok(Some(Outcome {
            name: report::name(&script.name, Stack::C),
            verdict: Verdict::Recorded,
            time: Duration::ZERO,
        }))
    }

    /// Keeps what `script` has printed when it passed.
    pub(super) fn keep(&self, script: &Script, printed: &str) -> Result<()> {
        let Some(name) = self.name(script)? else {
            return Ok(());
        };
        self.cache.store(&name, printed)
    }
}

/// Whether a file is a test, as opposed to what tests share.
fn is_script(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".sh") && name.starts_with(|first: char| first.is_ascii_digit())
}

/// The file at `path`, or all files in the directory there, in order.
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
