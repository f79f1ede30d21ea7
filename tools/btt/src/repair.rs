// SPDX-License-Identifier: GPL-2.0

//! `repair`: repairs what can be proved, and nothing else.
//!
//! The BTT is opened, and thereby recovered, in memory over the file. Copies of info blocks that
//! differ are replaced in memory as well. If everything is good then, the pages that have changed
//! are copied to the backup and written. A power failure while they are written leaves an image
//! that the next repair, or the driver, can repair: each page is either an info block, which its
//! copy restores, or has map words that are still in the flog.

use crate::{
    arguments::{
        Place,
        RepairOrder, //
    },
    find::on_image,
    inspect::{
        print,
        verdict,
        whole_report, //
    },
    Verdict, //
};
use anyhow::{
    bail,
    Result, //
};
use btt::{
    copies,
    image::Image, //
};
use btt_engine::Opened;

pub(crate) fn repair(place: &Place, order: &RepairOrder) -> Result<Verdict> {
    let image = Image::open(&order.image, !order.dry_run)?;
    if order.restore_info {
        copies::restore_first(&image, place.version(), place.namespace())?;
    }
    on_image(place, &image, false, |image, opened| {
        repair_opened(order, image, opened)
    })
}

fn repair_opened(order: &RepairOrder, image: &Image, opened: &Opened<Image>) -> Result<Verdict> {
    let report = whole_report(opened)?;
    print(&report, true);
    if verdict(&report) == Verdict::Damaged {
        bail!("the damage cannot be repaired without guessing; nothing was changed");
    }
    copies::rewrite(image, opened)?;
    let changed = image.changed();
    match order.backup.as_ref().filter(|_| !order.dry_run) {
        None => println!("{changed} bytes would be changed"),
        Some(_) if changed == 0 => println!("nothing to repair"),
        Some(backup) => {
            image.back_up(backup)?;
            image.apply()?;
            println!(
                "{changed} bytes changed; the old contents are in {}",
                backup.display()
            );
        }
    }
    Ok(Verdict::Good)
}
