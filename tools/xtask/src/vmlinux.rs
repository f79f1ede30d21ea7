// SPDX-License-Identifier: GPL-2.0

//! The uncompressed kernel in a bzImage, which QEMU boots through the entry for PVH guests.
//!
//! An emulated CPU takes seconds to decompress a distribution's kernel in each boot. The code and
//! the data are those of the bzImage, but the kernel is not moved to a random address.

use crate::{
    cache::{
        Cache,
        Key, //
    },
    process,
    ui::Step, //
};
use anyhow::{
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

/// Fields of the setup header, see Documentation/arch/x86/boot.rst of Linux.
const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

const SECTOR: usize = 512;

/// The magic number of zstd, Debian's format.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The length of the size that the kernel's build puts behind the payload.
const TRAILER: usize = 4;

/// Finds or makes the uncompressed kernel of a bzImage that was built with `CONFIG_PVH`.
pub(crate) fn prepare(cache: &Cache, image: &Path, step: &Step) -> Result<PathBuf> {
    let content = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let payload =
        payload(&content).with_context(|| format!("cannot unpack {}", image.display()))?;
    let name = format!(
        "vmlinux-{}",
        Key::default().with("image", &content).finish()
    );
    cache.artefact(&name, step, |place| {
        let packed = place.with_extension("zst");
        fs::write(&packed, payload)
            .with_context(|| format!("cannot write {}", packed.display()))?;
        let mut decompress = Command::new("zstd");
        decompress
            .args(["--decompress", "--quiet", "-o"])
            .arg(place)
            .arg(&packed);
        process::run(&mut decompress, &cache.log("vmlinux"), step)
    })
}

/// Returns the compressed kernel in a bzImage.
///
/// # Errors
///
/// It is no bzImage, or the kernel in it is not compressed with zstd.
fn payload(image: &[u8]) -> Result<&[u8]> {
    ensure!(
        image.get(MAGIC..MAGIC + 4) == Some(b"HdrS"),
        "it is no bzImage"
    );
    let number = |at: usize| {
        let bytes = image.get(at..at + 4)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let find = || {
        let sectors = usize::from(*image.get(SETUP_SECTORS)?);
        let protected = (sectors + 1) * SECTOR;
        let start = protected.checked_add(number(PAYLOAD_OFFSET)?)?;
        let length = number(PAYLOAD_LENGTH)?.checked_sub(TRAILER)?;
        image.get(start..start.checked_add(length)?)
    };
    let payload = find().context("its header describes no payload")?;
    ensure!(
        payload.starts_with(&ZSTD),
        "the kernel in it is not compressed with zstd"
    );
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a bzImage with one sector of setup and this payload, 16 bytes behind it.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 2 * SECTOR + 16];
        image[SETUP_SECTORS] = 1;
        image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        image[PAYLOAD_OFFSET] = 16;
        image[PAYLOAD_LENGTH] = u8::try_from(payload.len() + TRAILER).unwrap_or(u8::MAX);
        image.extend_from_slice(payload);
        image.extend_from_slice(&[0xff; TRAILER]);
        image
    }

    #[test]
    fn the_payload_excludes_its_size() {
        let packed = [&ZSTD[..], b"abc"].concat();
        assert!(payload(&image(&packed)).is_ok_and(|found| found == packed));
    }

    #[test]
    fn other_files_are_refused() {
        let refusal = |image: &[u8]| payload(image).err().map(|error| error.to_string());
        let other = refusal(&[0; 4096]);
        assert_eq!(other.as_deref(), Some("it is no bzImage"));
        let other = refusal(&image(b"gzip"));
        assert!(other.is_some_and(|error| error.ends_with("not compressed with zstd")));
        let packed = image(&ZSTD);
        let other = refusal(&packed[..packed.len() - 8]);
        assert_eq!(other.as_deref(), Some("its header describes no payload"));
    }
}
