// SPDX-License-Identifier: GPL-2.0

//! `repair`: what can be proved, and nothing else.
//!
//! The BTT is opened, and thereby recovered, in memory over the file; copies of info blocks that differ are replaced there, too.
//! Only if everything is good then, the pages that have changed are copied to the backup, and written. A power failure
//! while they are written leaves what the next repair, or the driver, puts right: each page is either restored by its copy or
//! one of map words that the flog still has.

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
        mend(order, image, opened)
    })
}

fn mend(order: &RepairOrder, image: &Image, opened: &Opened<Image>) -> Result<Verdict> {
    let report = whole_report(opened)?;
    print(&report, true);
    if verdict(&report) == Verdict::Damaged {
        bail!("what is wrong cannot be put right without guessing; nothing was changed");
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
                "{changed} bytes changed, what they were is in {}",
                backup.display()
            );
        }
    }
    Ok(Verdict::Good)
}
