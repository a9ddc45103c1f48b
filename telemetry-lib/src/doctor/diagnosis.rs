//! What the doctor found, and how it reads.

use std::fmt;

/// The result of [`Telemetry::doctor`](crate::Telemetry::doctor): findings in the order of the way
/// that spans take. `Display` prints one line for each, and below it what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    findings: Vec<Finding>,
}

/// What one step showed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// A word for the step: `variables`, `subscriber`, `endpoint`, `name`, `connect`, `tls`,
    /// `request`, `clock` and the like.
    pub step: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen; no secret stands in it.
    pub what: String,
    /// What to do, unless all is well.
    pub fix: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Good,
    /// Spans arrive, or may; something is not as most people want it.
    Warning,
    /// Spans are lost.
    Problem,
}

impl Diagnosis {
    /// All findings.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether no finding is a [`Severity::Problem`].
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let problem = |finding: &Finding| finding.severity == Severity::Problem;
        !self.findings.iter().any(problem)
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.findings.extend(other.findings);
    }

    pub(super) fn good(&mut self, step: &'static str, what: impl Into<String>) {
        self.add(step, Severity::Good, what.into(), None);
    }

    pub(super) fn warning(
        &mut self,
        step: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(step, Severity::Warning, what.into(), Some(fix.into()));
    }

    pub(super) fn problem(
        &mut self,
        step: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(step, Severity::Problem, what.into(), Some(fix.into()));
    }

    fn add(&mut self, step: &'static str, severity: Severity, what: String, fix: Option<String>) {
        self.findings.push(Finding {
            step,
            severity,
            what,
            fix,
        });
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<8} {:<11} {}",
            self.severity.word(),
            self.step,
            self.what
        )?;
        match &self.fix {
            Some(fix) => write!(f, "\n{:20} -> {fix}", ""),
            None => Ok(()),
        }
    }
}

impl Severity {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}
