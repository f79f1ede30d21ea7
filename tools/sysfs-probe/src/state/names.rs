// SPDX-License-Identifier: GPL-2.0

//! Names of BTT, PFN and DAX devices. Their numbers depend on timing, so they are replaced by the
//! role in their region (`btt0.seed`) or by the namespace that they hold (`btt0.of-0.1`).

use super::walk;
use crate::store;
use anyhow::Result;
use regex_lite::{
    Captures,
    Regex, //
};
use std::{
    collections::HashMap,
    path::Path,
    sync::LazyLock, //
};

/// Kinds of such devices.
const KINDS: [&str; 3] = ["btt", "pfn", "dax"];

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(btt|pfn|dax)(\d+)\.\d+\b").expect("the pattern is a constant")
});

/// Replacements of names.
#[derive(Default)]
pub(super) struct Names(HashMap<String, String>);

impl Names {
    /// Reads the seeds of all regions and the namespaces of all such devices.
    pub(super) fn query(devices: &Path) -> Result<Self> {
        let mut names = HashMap::new();
        for device in walk::entries(devices)? {
            if let Some(region) = device.strip_prefix("region") {
                for kind in KINDS {
                    let file = devices.join(&device).join(format!("{kind}_seed"));
                    let seed = store::text(&file);
                    if seed.starts_with(kind) {
                        names.insert(seed.trim_end().to_owned(), format!("{kind}{region}.seed"));
                    }
                }
            } else if let Some(parts) = NAME.captures(&device) {
                let holds = store::text(&devices.join(&device).join("namespace"));
                if let Some(number) = holds.trim_end().strip_prefix("namespace") {
                    names.insert(
                        device.clone(),
                        format!("{}{}.of-{number}", &parts[1], &parts[2]),
                    );
                }
            }
        }
        Ok(Self(names))
    }

    /// Returns `text` with names that do not depend on timing.
    pub(super) fn replace(&self, text: &str) -> String {
        let known = |name: &Captures<'_>| {
            let name = &name[0];
            self.0.get(name).map_or(name, String::as_str).to_owned()
        };
        NAME.replace_all(text, known).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn seeds_and_holders() {
        let devices = tempfile::tempdir().unwrap();
        let device = |name: &str, attribute: &str, value: &str| {
            let directory = devices.path().join(name);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(attribute), value).unwrap();
        };
        device("region1", "btt_seed", "btt1.3\n");
        device("region1", "pfn_seed", "\n");
        device("btt1.3", "namespace", "\n");
        device("btt1.2", "namespace", "namespace1.0\n");
        let names = Names::query(devices.path()).unwrap();
        assert_eq!(
            names.replace("btt1.2 xbtt1.3 btt1.3/uuid btt1.31 dax1.0"),
            "btt1.of-1.0 xbtt1.3 btt1.seed/uuid btt1.31 dax1.0"
        );
    }
}
