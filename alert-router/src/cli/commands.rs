//! The commands beside `serve`: results go to stdout, reasons to stderr.

use std::io::{self, Write};

use alert_router::config::{Config, Flags};
use alert_router::tools;
use alert_router::{doctor, reload, route_test};

use super::{Failure, FileArguments};

/// Prints a report; a bad one is a failure.
fn print(report: &alert_router::check::Report) -> Result<(), Failure> {
    io::stdout().lock().write_all(report.text.as_bytes())?;
    if report.good {
        Ok(())
    } else {
        Err("not good: see above".into())
    }
}

/// As `serve` would read it, `--open` included.
pub(super) fn check(file: &FileArguments, open: bool) -> Result<(), Failure> {
    let path = file
        .config
        .as_deref()
        .ok_or("name the file: --config alert-router.yaml")?;
    let flags = Flags {
        open,
        ..file.flags()
    };
    print(&tools::check(path, &flags))
}

pub(super) fn route_test(file: &FileArguments, labels: &[String]) -> Result<(), Failure> {
    let config = read(file)?;
    let labels = route_test::labels(labels)?;
    io::stdout()
        .lock()
        .write_all(route_test::report(&config, &labels).as_bytes())?;
    Ok(())
}

pub(super) async fn send_test(file: &FileArguments, receiver: &str) -> Result<(), Failure> {
    print(&tools::send_test(read(file)?, receiver).await)
}

pub(super) async fn doctor(file: &FileArguments) -> Result<(), Failure> {
    print(&doctor::examine(&read(file)?).await)
}

pub(super) fn read(file: &FileArguments) -> Result<Config, Failure> {
    Ok(reload::read(file.config.as_deref(), &file.flags())?)
}
