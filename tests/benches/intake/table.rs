//! The summary: each target of the design with what was measured, and what is missed.

use std::fmt;

use super::Part;

/// Rows in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    bad: Vec<String>,
}

struct Row {
    what: String,
    target: String,
    measured: String,
    peer: String,
    met: Option<bool>,
    load: String,
}

impl Table {
    /// A number and its target. `met` is `None` where there is no target.
    pub(crate) fn row(
        &mut self,
        what: impl Into<String>,
        target: impl Into<String>,
        measured: impl Into<String>,
        peer: Option<String>,
        met: Option<bool>,
    ) {
        self.rows.push(Row {
            what: what.into(),
            target: target.into(),
            measured: measured.into(),
            peer: peer.unwrap_or_else(|| "-".to_owned()),
            met,
            load: load_average(),
        });
    }

    /// Something acknowledged was lost.
    pub(crate) fn lost(&mut self, what: String) {
        self.bad.push(format!("LOST: {what}"));
    }

    /// A part could not be measured.
    pub(crate) fn failed(&mut self, part: Part, error: &str) {
        self.bad.push(format!("NOT RUN: {part:?}: {error}"));
    }

    pub(crate) fn is_good(&self) -> bool {
        self.bad.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<44} {:<22} {:<26} {:<24} {:<5} load",
            "what", "target", "measured", "Alertmanager", "met"
        )?;
        for row in &self.rows {
            let met = match row.met {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "-",
            };
            writeln!(
                f,
                "{:<44} {:<22} {:<26} {:<24} {met:<5} {}",
                row.what, row.target, row.measured, row.peer, row.load
            )?;
        }
        self.bad.iter().try_for_each(|bad| writeln!(f, "{bad}"))
    }
}

/// Of the last minute.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().filter(|word| !word.is_empty());
    first.unwrap_or("unknown").to_owned()
}
