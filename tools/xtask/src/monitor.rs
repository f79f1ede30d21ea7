// SPDX-License-Identifier: GPL-2.0

//! QEMU's monitor (QMP): commands to the machine, one JSON object a line. The answer to each is an
//! object with `return` or `error`; events may precede it.

use crate::nvdimm::Nvdimm;
use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use serde_json::{
    json,
    Value, //
};
use std::{
    io::{
        BufRead,
        BufReader,
        Write, //
    },
    os::unix::net::UnixStream,
    path::Path,
    time::Duration, //
};

/// Timeout for an answer. QEMU answers at once unless the host is very busy.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A connection to a machine's monitor.
pub(crate) struct Monitor(BufReader<UnixStream>);

impl Monitor {
    /// Connects to the socket of a running QEMU.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("cannot connect to {}", socket.display()))?;
        stream
            .set_read_timeout(Some(TIMEOUT))
            .context("cannot limit the time of the monitor")?;
        let mut monitor = Self(BufReader::new(stream));
        let greeting = monitor.read()?;
        ensure!(
            greeting.get("QMP").is_some(),
            "the monitor greeted with {greeting}"
        );
        monitor.order("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    /// Stops the machine with all its clocks.
    pub(crate) fn pause(&mut self) -> Result<()> {
        self.order("stop", json!({}))
    }

    /// Resumes the machine.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.order("cont", json!({}))
    }

    /// Plugs an NVDIMM into a free slot. `name` identifies it to QEMU.
    pub(crate) fn plug(&mut self, nvdimm: &Nvdimm, name: &str) -> Result<()> {
        let memory = format!("memory-{name}");
        self.order(
            "object-add",
            json!({
                "qom-type": "memory-backend-file",
                "id": memory,
                "share": true,
                "size": nvdimm.size + nvdimm.label,
                "mem-path": nvdimm.file,
            }),
        )?;
        let mut device = json!({ "driver": "nvdimm", "id": name, "memdev": memory });
        if nvdimm.label != 0 {
            device["label-size"] = nvdimm.label.into();
        }
        self.order("device_add", device)
    }

    fn order(&mut self, what: &str, arguments: Value) -> Result<()> {
        let line = json!({ "execute": what, "arguments": arguments });
        writeln!(self.0.get_mut(), "{line}").context("cannot speak to the monitor")?;
        loop {
            let answer = self.read()?;
            if let Some(error) = answer.get("error") {
                bail!("{what}: {error}");
            }
            if answer.get("return").is_some() {
                return Ok(());
            }
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line);
        ensure!(
            length.context("the monitor does not answer")? > 0,
            "the monitor is gone"
        );
        serde_json::from_str(&line).with_context(|| format!("the monitor said '{line}'"))
    }
}
