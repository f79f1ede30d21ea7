// SPDX-License-Identifier: GPL-2.0

//! Checks of the documentation against the source.
//!
//! - Each sysfs attribute that a module declares has an entry in `Documentation/ABI/testing`, and
//!   each entry an attribute.
//! - Each file that the documentation names in backticks exists, and has the function that is named
//!   after a colon, as in `rust/btt_engine/src/write.rs:write_batch`.
//! - Each relative link leads to a file.
//! - Each module parameter is on the page nvdimm-rust(7), except for those of `nfit_test`.

use crate::project;
use regex::Regex;
use std::{
    collections::BTreeSet,
    fs,
    path::{
        Path,
        PathBuf, //
    },
};

/// The directories of the crates that declare attributes.
const CRATES: [&str; 8] = [
    "rust/libnvdimm",
    "rust/nfit",
    "rust/nfit_test",
    "rust/ramdax",
    "rust/nd_e820",
    "rust/nd_pmem",
    "rust/nd_btt",
    "rust/dax_pmem",
];

/// Calls `visit` with each file below `directory` that has this extension, or none for "".
fn files(directory: &Path, extension: &str, visit: &mut impl FnMut(&Path, &str)) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, extension, visit);
        } else if path.extension().unwrap_or_default() == extension {
            visit(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

/// Returns the devices of a Rust type, as the ABI files name them. Generic functions declare
/// attributes of several types, all of which BTTs have.
fn devices(of: &str) -> &'static [&'static str] {
    match of {
        "Bus" => &["ndbusX"],
        "Dimm" => &["nmemX"],
        "Region" => &["regionX"],
        "Namespace" => &["namespaceX.Y"],
        "Btt" | "T" => &["bttX.Y"],
        "PfnDevice" => &["pfnX.Y", "daxX.Y"],
        "FaultInjection" => &["nfit_test_dimm/test_dimmX"],
        _ => &[],
    }
}

/// Returns the attributes that the source of a file declares, with their devices.
///
/// The type is the last one that was named as that of an attribute. A file with a group that has a
/// name declares no attribute outside of it.
fn declared(text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(
        r#"(?x)
        Attribute(?:::)?<(?P<type>\w+)> |
        \b(?:root_)?(?:read_only|read_write|read_write_bytes|write_only)\(\s*c"(?P<name>\w+)" |
        \w+!\(\w+,\s*c"(?P<listed>\w+)" |
        concat!\("(?P<numbered>\w+)",\s\$index"#,
    )
    .unwrap();
    let group = Regex::new(r#"Group::named\(c"(\w+)""#).unwrap();
    let group = group
        .captures(text)
        .map_or_else(String::new, |group| format!("{}/", &group[1]));
    let mut found = BTreeSet::new();
    let mut kind = "";
    for capture in pattern.captures_iter(text) {
        if let Some(name) = capture.name("type") {
            kind = name.as_str();
        } else {
            let name = match (capture.name("numbered"), capture.name("name")) {
                (Some(name), _) => format!("{}Y", name.as_str()),
                (None, Some(name)) => name.as_str().to_owned(),
                (None, None) => capture["listed"].to_owned(),
            };
            let devices = devices(kind);
            assert!(
                !devices.is_empty(),
                "{name}: which devices have type {kind}?"
            );
            found.extend(
                devices
                    .iter()
                    .map(|device| format!("{device}/{group}{name}")),
            );
        }
    }
    found
}

/// Returns what the ABI files describe, below the directory of devices.
fn described() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    files(
        &project::root().join("Documentation/ABI/testing"),
        "",
        &mut |path, text| {
            for line in text.lines() {
                let Some(name) = line.strip_prefix("What:") else {
                    continue;
                };
                let name = name.trim();
                let below = ["/sys/bus/nd/devices/", "/sys/class/"];
                let name = below.iter().find_map(|prefix| name.strip_prefix(prefix));
                let name = name.unwrap_or_else(|| panic!("{}: {line}", path.display()));
                assert!(found.insert(name.to_owned()), "described twice: {name}");
            }
        },
    );
    found
}

#[test]
fn each_attribute_has_an_entry_and_each_entry_an_attribute() {
    let mut declared_by_all = BTreeSet::new();
    let mut generic = BTreeSet::new();
    for name in CRATES {
        files(&project::root().join(name), "rs", &mut |_, text| {
            let found = declared(text);
            if text.contains("Attribute<T>") || text.contains("Attribute::<T>") {
                let names = found.iter().filter_map(|name| name.strip_prefix("bttX.Y/"));
                generic.extend(names.map(str::to_owned));
            }
            declared_by_all.extend(found);
        });
    }
    assert!(declared_by_all.len() > 60, "the declarations are not found");
    let described = described();
    let without_entry: Vec<_> = declared_by_all.difference(&described).collect();
    assert!(
        without_entry.is_empty(),
        "attributes without an entry: {without_entry:#?}"
    );
    let without_attribute: Vec<_> = described
        .difference(&declared_by_all)
        .filter(|name| {
            let name = name.split_once('/').map_or("", |(_, name)| name);
            !generic.contains(name)
        })
        .collect();
    assert!(
        without_attribute.is_empty(),
        "entries without an attribute: {without_attribute:#?}"
    );
}

/// Returns `true` if `text` defines a function, type, constant, module or macro called `name`.
fn defines(text: &str, name: &str) -> bool {
    let item = format!(
        r"(?m)^\s*(?:pub(?:\([a-z]+\))?\s+)?(?:const\s+|unsafe\s+|static\s+)*(?:extern\s+\S+\s+)?(?:fn|struct|enum|trait|const|static|type|mod|macro_rules!)\s+{}\b",
        regex::escape(name)
    );
    let shell = format!(r"(?m)^{}\(\)", regex::escape(name));
    Regex::new(&item).unwrap().is_match(text) || Regex::new(&shell).unwrap().is_match(text)
}

#[test]
fn files_and_functions_that_pages_name_exist() {
    let root = project::root();
    let reference =
        Regex::new(r"`((?:(?:rust|tools|qemu)/|include/nd_)[\w./-]+)(?::([\w:]+))?(?:\(\))?`")
            .unwrap();
    let link = Regex::new(r"\]\(([^)#: ]+)(?:#[^)]*)?\)").unwrap();
    let mut wrong = Vec::new();
    let mut check = |path: &Path, text: &str| {
        let name = path.strip_prefix(&root).unwrap().display();
        for capture in reference.captures_iter(text) {
            let file = root.join(&capture[1]);
            if !file.exists() {
                wrong.push(format!("{name}: there is no {}", &capture[1]));
            } else if let Some(item) = capture.get(2) {
                let item = item.as_str().rsplit("::").next().unwrap_or_default();
                let source = fs::read_to_string(&file).unwrap_or_default();
                if !defines(&source, item) {
                    wrong.push(format!("{name}: {} does not define {item}", &capture[1]));
                }
            }
        }
        for capture in link.captures_iter(text) {
            if !path.parent().unwrap().join(&capture[1]).exists() {
                wrong.push(format!("{name}: the link {} leads nowhere", &capture[1]));
            }
        }
    };
    for directory in ["Documentation", "qemu", "tools"] {
        files(&root.join(directory), "md", &mut check);
    }
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
    ] {
        let path = root.join(page);
        check(&path, &fs::read_to_string(&path).unwrap());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_parameter_is_on_the_page_of_the_modules() {
    let page = project::root().join("Documentation/nvdimm-rust.7");
    let page = fs::read_to_string(page).unwrap();
    // An entry of `bool_params!`, or of `params` in `module!`.
    let parameter =
        Regex::new(r#"(?m)^ {4}[A-Z_]+: "(\w+)" = \w+, "|^ {8}(\w+): \w+ \{\n {12}default: "#)
            .unwrap();
    let mut declared = BTreeSet::new();
    for name in CRATES {
        let module = name.trim_start_matches("rust/");
        if module == "nfit_test" {
            continue;
        }
        files(&project::root().join(name), "rs", &mut |_, text| {
            for capture in parameter.captures_iter(text) {
                let name = capture.get(1).or(capture.get(2)).unwrap().as_str();
                declared.insert(format!("{module}.{name}"));
            }
        });
    }
    // Other items with a dot are none of `Cm`.
    let described = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .filter(|item| item.contains('.'))
        .map(str::to_owned)
        .collect();
    assert_eq!(declared, described);
    assert!(declared.len() > 5, "the declarations are not found");
}

#[test]
fn declarations_are_found() {
    let text = r#"
        static SIZE: Attribute<Region> =
            Attribute::<Region>::read_only(c"size", |region, out| line!(out, "{}", region.size()));
        static WRITTEN: Attribute<Dimm> = Attribute::root_read_write(
            c"activate",
        control_region_number!(VENDOR, c"vendor", |region| u16::from_be_bytes(
    "#;
    let names = ["nmemX/activate", "nmemX/vendor", "regionX/size"];
    assert_eq!(declared(text), names.map(str::to_owned).into());
    let named = format!("{text}\nstatic GROUP: Group<Dimm> = Group::named(c\"nfit\", &ALL);");
    assert!(declared(&named).contains("nmemX/nfit/vendor"));
}

#[test]
fn definitions_are_found() {
    let text = "impl A {\n    pub(crate) fn write(&self) {}\n}\nstatic SIZE: u8 = 1;\n";
    assert!(defines(text, "write"));
    assert!(defines(text, "SIZE"));
    assert!(!defines(text, "writ"));
    assert!(defines("fail() {\n", "fail"));
}
