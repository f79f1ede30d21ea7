// SPDX-License-Identifier: GPL-2.0

//! Debian packages of other suites, without changing the host's apt configuration.
//!
//! The mirror and the keyring are those of the host's main suite. Another suite of the same archive
//! is read with private apt state, lists and cache. apt verifies signatures as usual.

use crate::{
    cache::Cache,
    process,
    ui::Step, //
};
use anyhow::{
    bail,
    ensure,
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
};

/// The keyring of Debian's archive, for source entries without `signed-by`.
const ARCHIVE_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Suites that are searched in this order for packages which the host's release lacks.
pub(crate) const NEWER_SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

/// The keys that may sign an apt source.
#[derive(Clone, Debug, PartialEq)]
enum SignedBy {
    Default,
    File(PathBuf),
    /// A key block inside of a deb822 file.
    Inline(String),
}

/// A suite of an archive in apt's configuration.
#[derive(Clone, Debug, PartialEq)]
struct Source {
    uri: String,
    suite: String,
    components: Vec<String>,
    signed_by: SignedBy,
}

/// Returns the entries of a one-line-style file, `sources.list(5)`.
fn parse_one_line_style(text: &str) -> Vec<Source> {
    let entry = |line: &str| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let rest = line.strip_prefix("deb")?;
        if !rest.starts_with([' ', '\t', '[']) {
            return None;
        }
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']')?,
            None => ("", rest),
        };
        let key = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="));
        let mut words = rest.split_whitespace();
        Some(Source {
            uri: words.next()?.to_owned(),
            suite: words.next()?.to_owned(),
            components: words.map(str::to_owned).collect(),
            signed_by: key.map_or(SignedBy::Default, |key| SignedBy::File(key.into())),
        })
    };
    text.lines().filter_map(entry).collect()
}

/// Returns the entries of a deb822-style file: every URI of a stanza with each of its suites.
fn parse_deb822_style(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let uncommented = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>();
    for stanza in uncommented.split(|line| line.trim().is_empty()) {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in stanza {
            match (line.starts_with([' ', '\t']), fields.last_mut()) {
                (true, Some((_, value))) => {
                    value.push('\n');
                    // A lone dot stands for an empty line.
                    value.push_str(if line.trim() == "." { "" } else { line.trim() });
                }
                _ => {
                    if let Some((name, value)) = line.split_once(':') {
                        fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                    }
                }
            }
        }
        let field = |name: &str| {
            let found = fields.iter().find(|(candidate, _)| candidate == name);
            found.map_or("", |(_, value)| value.trim())
        };
        if !field("types").split_whitespace().any(|kind| kind == "deb") || field("enabled") == "no"
        {
            continue;
        }
        let signed_by = match field("signed-by") {
            "" => SignedBy::Default,
            key if key.contains("BEGIN PGP") => SignedBy::Inline(key.to_owned()),
            file => SignedBy::File(file.into()),
        };
        for uri in field("uris").split_whitespace() {
            for suite in field("suites").split_whitespace() {
                sources.push(Source {
                    uri: uri.to_owned(),
                    suite: suite.to_owned(),
                    components: field("components")
                        .split_whitespace()
                        .map(str::to_owned)
                        .collect(),
                    signed_by: signed_by.clone(),
                });
            }
        }
    }
    sources
}

fn host_sources() -> Vec<Source> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let parts = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten();
    let mut parts = parts.map(|entry| entry.path()).collect::<Vec<_>>();
    parts.sort();
    files.append(&mut parts);
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(parse_one_line_style(&text)),
            Some("sources") => sources.extend(parse_deb822_style(&text)),
            _ => {}
        }
    }
    sources
}

/// Returns a field of /etc/os-release.
fn os_release(field: &str) -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

/// Returns `true` if the host is Debian or a derivative, where apt installs packages.
pub(crate) fn has_apt() -> bool {
    process::find_program("apt-get").is_some() && process::find_program("dpkg-query").is_some()
}

/// Debian's archive: the mirror and keyring of the host.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) uri: String,
    pub(crate) keyring: PathBuf,
}

impl Archive {
    /// Reads the host's apt configuration.
    ///
    /// # Errors
    ///
    /// The host is not Debian, or none of its sources is the main suite of its release.
    pub(crate) fn of_host(cache: &Cache) -> Result<Self> {
        ensure!(
            os_release("ID").as_deref() == Some("debian"),
            "this host is not Debian, so its apt names no Debian mirror: \
             give the kernel's source in LINUX_SRC, and see README.md for the guest image"
        );
        let codename = os_release("VERSION_CODENAME").unwrap_or_default();
        let aliases = ["stable", "oldstable", "testing", "unstable", "sid"];
        let is_main = |source: &&Source| {
            let own = source.suite == codename || aliases.contains(&source.suite.as_str());
            own && source
                .components
                .iter()
                .any(|component| component == "main")
        };
        let sources = host_sources();
        let Some(source) = sources.iter().find(is_main) else {
            bail!("no source of the suite '{codename}' with the component main in /etc/apt");
        };
        let keyring = match &source.signed_by {
            SignedBy::File(file) => file.clone(),
            SignedBy::Default => ARCHIVE_KEYRING.into(),
            SignedBy::Inline(key) => {
                let file = cache.path("archive-key.asc");
                fs::write(&file, key)
                    .with_context(|| format!("cannot write {}", file.display()))?;
                file
            }
        };
        ensure!(
            keyring.is_file(),
            "{} does not exist: install debian-archive-keyring",
            keyring.display()
        );
        Ok(Self {
            uri: source.uri.clone(),
            keyring,
        })
    }
}

/// A suite of the archive with private apt state.
pub(crate) struct PrivateApt {
    suite: &'static str,
    configuration: PathBuf,
}

impl PrivateApt {
    /// Fetches the package lists of `suite`. The caller holds the cache's lock `apt`.
    pub(crate) fn update(
        cache: &Cache,
        archive: &Archive,
        suite: &'static str,
        step: &Step,
    ) -> Result<Self> {
        let state = cache.path("apt").join(suite);
        for directory in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(state.join(directory))
                .context("cannot create the private apt directories")?;
        }
        let list = state.join("sources.list");
        let line = format!(
            "deb [signed-by={}] {} {suite} main\n",
            archive.keyring.display(),
            archive.uri
        );
        fs::write(&list, line).with_context(|| format!("cannot write {}", list.display()))?;

        // The host's settings for reaching its mirror (proxies, timeouts) apply here as well; those
        // for indexes and hooks do not.
        let dump = process::output(Command::new("apt-config").arg("dump"))?;
        let acquire = dump.lines().filter(|line| {
            line.starts_with("Acquire::") && !line.starts_with("Acquire::IndexTargets")
        });
        let mut text = acquire.map(|line| format!("{line}\n")).collect::<String>();
        let shown = state.display();
        text.push_str(&format!(
            "Dir::Etc::Main \"/dev/null\";\nDir::Etc::Parts \"/dev/null\";\nDir::Etc::SourceParts \"/dev/null\";\n\
             Dir::Etc::SourceList \"{shown}/sources.list\";\nDir::Etc::Preferences \"/dev/null\";\n\
             Dir::Etc::PreferencesParts \"/dev/null\";\nDir::State \"{shown}\";\nDir::State::Lists \"{shown}/lists\";\n\
             Dir::State::Status \"/dev/null\";\nDir::Cache \"{shown}\";\nDir::Cache::Archives \"{shown}/archives\";\n"
        ));
        // apt's sandbox user has no access to the cache.
        if rustix::process::geteuid().is_root() {
            text.push_str("APT::Sandbox::User \"root\";\n");
        }
        let configuration = state.join("apt.conf");
        fs::write(&configuration, text)
            .with_context(|| format!("cannot write {}", configuration.display()))?;

        let apt = Self {
            suite,
            configuration,
        };
        let log = cache.log(&format!("apt-{suite}"));
        process::run(apt.command("apt-get").arg("update"), &log, step)?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.configuration);
        command
    }

    /// Returns the versions of `package` in this suite, newest first.
    pub(crate) fn versions(&self, package: &str) -> Result<Vec<String>> {
        let table = process::output(self.command("apt-cache").args(["madison", package]))?;
        let rows = table.lines().filter_map(|row| row.split('|').nth(1));
        Ok(rows.map(|version| version.trim().to_owned()).collect())
    }

    /// Downloads one version of a package and unpacks it into `place`.
    pub(crate) fn unpack(
        &self,
        cache: &Cache,
        package: &str,
        version: &str,
        place: &Path,
        step: &Step,
    ) -> Result<()> {
        step.note(format!("{package} {version} of {}", self.suite));
        fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
        let log = cache.log(&format!("apt-{package}"));
        let wanted = format!("{package}={version}");
        let mut download = self.command("apt-get");
        process::run(
            download.args(["download", &wanted]).current_dir(place),
            &log,
            step,
        )?;
        let files = fs::read_dir(place)
            .context("cannot read what apt downloaded")?
            .flatten();
        let file = files
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|name| name == "deb"));
        let file = file.context("apt downloaded no package")?;
        process::run(
            Command::new("dpkg-deb").arg("-x").arg(&file).arg(place),
            &log,
            step,
        )?;
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
    }
}

/// Unpacks the first version of `package` that `accept` accepts, from the first suite that has one,
/// and returns the version.
pub(crate) fn fetch(
    cache: &Cache,
    package: &str,
    accept: impl Fn(&str) -> bool,
    place: &Path,
    step: &Step,
) -> Result<String> {
    let archive = Archive::of_host(cache)?;
    let _lock = cache.lock("apt", step)?;
    for suite in NEWER_SUITES {
        let apt = PrivateApt::update(cache, &archive, suite, step)?;
        if let Some(version) = apt
            .versions(package)?
            .into_iter()
            .find(|version| accept(version))
        {
            apt.unpack(cache, package, &version, place, step)?;
            return Ok(version);
        }
    }
    bail!("no fitting {package} in {}", NEWER_SUITES.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_entries() {
        let text = "# deb http://no.example/debian x main\ndeb-src http://a.example/debian bookworm main\n\
            deb http://a.example/debian bookworm main contrib # why\n\
            deb [arch=amd64 signed-by=/k.gpg] http://b.example/debian bookworm-updates main\ndebris x y z\n";
        let sources = parse_one_line_style(text);
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].uri, "http://a.example/debian");
        assert_eq!(sources[0].components, ["main", "contrib"]);
        assert_eq!(sources[0].signed_by, SignedBy::Default);
        assert_eq!(sources[1].suite, "bookworm-updates");
        assert_eq!(sources[1].signed_by, SignedBy::File("/k.gpg".into()));
    }

    #[test]
    fn deb822_entries() {
        let text = "Types: deb deb-src\n# comment\nURIs: http://a.example/debian\nSuites: trixie trixie-updates\n\
            Components: main\nSigned-By: /usr/share/keyrings/k.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://b.example\n\
            Suites: x\nComponents: main\n\nTypes: deb\nURIs: http://c.example\nSuites: y\nComponents: main\n\
            Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n";
        let sources = parse_deb822_style(text);
        assert_eq!(sources.len(), 3);
        assert_eq!(sources[1].suite, "trixie-updates");
        assert_eq!(
            sources[1].signed_by,
            SignedBy::File("/usr/share/keyrings/k.gpg".into())
        );
        let inline = SignedBy::Inline("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc".into());
        assert_eq!(sources[2].signed_by, inline);
    }
}
