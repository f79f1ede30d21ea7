// SPDX-License-Identifier: GPL-2.0

//! Simulated firmware of a DIMM: its functions (NVDIMM DSM Interface), with fault injection.

use crate::{
    activation::Activation,
    health::Health,
    labels::LabelArea,
    module_parameters,
    output::OutputBuilder,
    security::Security,
    topology::{
        self,
        FunctionSet, //
    },
    update::Update, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};
use kernel_compat::parameter;
use kernel_ext::acpi::DeviceSpecificMethod;
use nd_format::{
    nfit::{
        activation::dimm_function,
        dsm::{
            dimm_function::{
                GET_CONFIG_DATA,
                GET_CONFIG_SIZE,
                SET_CONFIG_DATA, //
            },
            DimmFamily,
            Functions,
            LABEL_FUNCTIONS,
            QUERY, //
        },
        health::SMART,
        security, //
    },
    uuid::Guid, //
};
use nfit::{
    DsmOutput,
    FirmwareDevice, //
};

const SMART_THRESHOLD: u32 = 2;
const LATCH_SHUTDOWN_STATUS: u32 = 10;
const FIRMWARE_INFO: u32 = 12;
const FIRMWARE_START: u32 = 13;
const FIRMWARE_SEND: u32 = 14;
const FIRMWARE_FINISH: u32 = 15;
const FIRMWARE_QUERY: u32 = 16;
const SET_SMART_THRESHOLD: u32 = 17;
const INJECT_SMART: u32 = 18;

/// Security functions.
const SECURITY: Functions =
    Functions::span(security::function::STATE, security::function::MASTER_ERASE);

/// Status: invalid input.
const INVALID_INPUT: u32 = 3;

/// Status of the label area's size: the memory of the DIMM is locked.
const LOCKED: u32 = 1 << 16;

/// Injected failures of functions.
pub(crate) struct Failure {
    /// Bit mask of the functions that fail.
    pub(crate) functions: Atomic<i64>,
    /// The error as a negative errno; 0 for `EIO`.
    pub(crate) code: Atomic<i32>,
}

impl Failure {
    fn of(&self, function: u32) -> Option<Error> {
        let failing = self.functions.load(Relaxed) & 1_i64.checked_shl(function)? != 0;
        failing.then(|| match self.code.load(Relaxed) {
            0 => EIO,
            code => Error::from_errno(code),
        })
    }
}

/// A simulated DIMM.
#[pin_data]
pub(crate) struct TestDimm {
    pub(crate) description: &'static topology::Dimm,
    pub(crate) failure: Failure,
    #[pin]
    labels: LabelArea,
    #[pin]
    health: Health,
    #[pin]
    pub(crate) update: Update,
    #[pin]
    pub(crate) security: Security,
    activation: Arc<Activation>,
    /// Number of the DIMM in the activation.
    member: usize,
}

impl TestDimm {
    /// Creates the DIMM that is `member` of `activation`.
    pub(crate) fn new(
        description: &'static topology::Dimm,
        activation: Arc<Activation>,
        member: usize,
    ) -> Result<Arc<Self>> {
        let labels = LabelArea::new(
            description.number,
            is_in(parameter!(module_parameters::labelled), description),
        )?;
        let failing = if is_in(parameter!(module_parameters::unreadable), description) {
            1 << GET_CONFIG_DATA
        } else {
            0
        };
        Arc::pin_init(
            pin_init!(Self {
                description,
                failure: Failure {
                    functions: Atomic::new(failing),
                    code: Atomic::new(0),
                },
                labels <- labels,
                health <- Health::new(),
                update <- Update::new(),
                security <- Security::new(),
                activation,
                member,
            }),
            GFP_KERNEL,
        )
    }

    fn mask(&self) -> u64 {
        let basic = 1 << QUERY | 1 << LATCH_SHUTDOWN_STATUS | LABEL_FUNCTIONS.mask();
        let more = [
            SMART,
            SMART_THRESHOLD,
            SET_SMART_THRESHOLD,
            INJECT_SMART,
            FIRMWARE_INFO,
            FIRMWARE_START,
            FIRMWARE_SEND,
            FIRMWARE_FINISH,
            FIRMWARE_QUERY,
            dimm_function::INFO,
            dimm_function::ARM,
        ];
        match self.description.functions {
            FunctionSet::Basic => basic,
            FunctionSet::Full => more
                .into_iter()
                .fold(basic | SECURITY.mask(), |mask, function| {
                    mask | 1 << function
                }),
        }
    }
}

impl TestDimm {
    fn evaluate(&self, function: u32, input: &[u8]) -> Result<KVVec<u8>> {
        match self.failure.of(function) {
            // `EACCES` is reported in the status: the labels of a locked DIMM can be read.
            Some(error) if error == EACCES && function == GET_CONFIG_SIZE => {
                return LabelArea::size(LOCKED);
            }
            Some(error) => return Err(error),
            None => {}
        }
        match function {
            GET_CONFIG_SIZE => LabelArea::size(0),
            GET_CONFIG_DATA => self.labels.read(input),
            SET_CONFIG_DATA => self.labels.write(input),
            LATCH_SHUTDOWN_STATUS => latch(input),
            SMART => self.health.smart(),
            SMART_THRESHOLD => self.health.thresholds(),
            SET_SMART_THRESHOLD => self.health.set_thresholds(input),
            INJECT_SMART => self.health.inject(input),
            FIRMWARE_INFO => self.update.info(),
            FIRMWARE_START => self.update.start(),
            FIRMWARE_SEND => self.update.send(input),
            FIRMWARE_FINISH => self.update.finish(input),
            FIRMWARE_QUERY => self.update.query(input),
            dimm_function::INFO => self.activation.dimm_info(self.member),
            dimm_function::ARM => self.activation.arm(self.member, input),
            _ => self.security.evaluate(function, input),
        }
    }
}

impl FirmwareDevice for TestDimm {
    fn functions(&self, method: DeviceSpecificMethod) -> u64 {
        if Guid::from_bytes(method.guid) == DimmFamily::Intel.guid() {
            self.mask()
        } else {
            0
        }
    }

    fn evaluate_function(
        &self,
        method: DeviceSpecificMethod,
        function: u32,
        input: &[u8],
    ) -> Result<DsmOutput> {
        if !Functions::from_mask(self.functions(method)).contains(function) {
            return Err(ENOTTY);
        }
        self.evaluate(function, input).map(DsmOutput::Bytes)
    }

    fn take_health_event(&self) -> bool {
        self.health.take_event()
    }
}

/// Returns `true` if the DIMM's number is set in `mask`.
fn is_in(mask: u32, description: &topology::Dimm) -> bool {
    mask.checked_shr(description.number)
        .is_some_and(|bits| bits & 1 != 0)
}

/// Latches the shutdown status, or stops latching it. The input is a byte, 1 or 0. Nothing is
/// stored.
fn latch(input: &[u8]) -> Result<KVVec<u8>> {
    let status = match input.first().ok_or(EINVAL)? {
        0 | 1 => 0,
        _ => INVALID_INPUT,
    };
    OutputBuilder::new(status)?.finish()
}
