// SPDX-License-Identifier: GPL-2.0

//! Tests of the families of functions.

extern crate std;

use crate::nfit::dsm::{
    self,
    BusFamily,
    DimmFamily,
    Functions, //
};
use std::{
    string::ToString,
    vec::Vec, //
};

#[test]
fn family_functions() {
    let masks: Vec<u64> = DimmFamily::ALL
        .iter()
        .map(|family| family.documented().mask())
        .collect();
    assert_eq!(masks, [0x7fff_fffe, 0x1c_3c76, 0x1fe, 0xffff_fffe, 0x1e]);
    assert_eq!(BusFamily::Nfit.documented().mask(), 0x3be);
    assert_eq!(BusFamily::COMMANDS.mask(), 0x1e);
    assert_eq!(dsm::LABEL_FUNCTIONS.mask(), 0x70);
    assert_eq!(dsm::LABEL_FUNCTIONS.to_string(), "0x70");
    assert_eq!(Functions::NONE.to_string(), "0x0");

    let hpe2 = DimmFamily::Hpe2;
    assert_eq!(
        hpe2.documented().without(hpe2.vendor_specific()).mask(),
        0xfe
    );
    assert_eq!(
        DimmFamily::Intel.commands(Functions::span(4, 12)).mask(),
        0x3f0
    );
    assert_eq!(
        DimmFamily::Microsoft.commands(Functions::span(4, 12)),
        Functions::NONE
    );
    assert_eq!(
        [10, 11, 30, 31].map(|function| DimmFamily::Intel.revision(function)),
        [1, 2, 2, 1]
    );
    assert_eq!(DimmFamily::HyperV.revision(11), 1);
    assert!(!Functions::span(0, 63).contains(64));
    assert_eq!(
        Functions::from_mask(0x8000_0000_0000_0011)
            .iter()
            .collect::<Vec<_>>(),
        [0, 4, 63]
    );
    for family in DimmFamily::ALL {
        assert!(!family.documented().contains(0), "{family:?}");
    }
    assert_eq!(
        DimmFamily::Intel.guid().to_string(),
        "4309ac30-0d11-11e4-9191-0800200c9a66"
    );
}
