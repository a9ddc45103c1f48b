//! The commands beside `serve`: results go to stdout, reasons to stderr.

use std::io::{self, Write};

use alert_router::config::Config;
use alert_router::dead_letter::{self, DeadLetter};
use alert_router::receiver::ask_server;
use alert_router::tools::{self, Data};
use alert_router::{reload, route_test};
use http::Method;

use super::{DeadLetters, Failure, FileArguments};

/// Prints a report; a bad one is a failure.
fn print(report: &alert_router::check::Report) -> Result<(), Failure> {
    io::stdout().lock().write_all(report.text.as_bytes())?;
    if report.good {
        Ok(())
    } else {
        Err("not good: see above".into())
    }
}

pub(super) fn check(file: &FileArguments) -> Result<(), Failure> {
    let path = file
        .config
        .as_deref()
        .ok_or("name the file: --config alert-router.yaml")?;
    print(&tools::check(path, &file.flags()))
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

pub(super) async fn dead_letters(file: &FileArguments, what: DeadLetters) -> Result<(), Failure> {
    let config = read(file)?;
    let answer = match tools::open_data(&config)? {
        Data::Held { address } => {
            let (method, path) = what.request();
            ask_server(&address, method, &path, config.auth.as_ref()).await?
        }
        Data::Free(store) => match &what {
            DeadLetters::List => serde_json::to_string(&dead_letter::list(&store).await?)?,
            DeadLetters::Show { id } => {
                let letters = dead_letter::list(&store).await?;
                let found = letters.into_iter().find(|letter| letter.id == *id);
                serde_json::to_string(&found.ok_or("no dead letter has this id")?)?
            }
            DeadLetters::Replay { .. } | DeadLetters::Drop { .. } => {
                return Err(
                    "no server runs on this data: start it, then repeat the command".into(),
                );
            }
        },
    };
    show(&what, &answer)
}

fn show(what: &DeadLetters, answer: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match what {
        DeadLetters::List => {
            let letters: Vec<DeadLetter> = serde_json::from_str(answer)?;
            if letters.is_empty() {
                writeln!(out, "no delivery was given up")?;
            }
            for letter in letters {
                let DeadLetter {
                    id,
                    receiver,
                    destination,
                    reason,
                    answer,
                    ..
                } = letter;
                writeln!(out, "{id}  {receiver} ({destination})  {reason}: {answer}")?;
            }
        }
        DeadLetters::Show { .. } => {
            let letter: serde_json::Value = serde_json::from_str(answer)?;
            writeln!(out, "{letter:#}")?;
        }
        DeadLetters::Replay { .. } => writeln!(out, "its receiver hears the present truth now")?,
        DeadLetters::Drop { .. } => writeln!(out, "dropped")?,
    }
    Ok(())
}

impl DeadLetters {
    fn request(&self) -> (Method, String) {
        let path = "/api/v1/dead-letters";
        match self {
            Self::List => (Method::GET, path.to_owned()),
            Self::Show { id } => (Method::GET, format!("{path}/{id}")),
            Self::Replay { id } => (Method::POST, format!("{path}/{id}/replay")),
            Self::Drop { id } => (Method::DELETE, format!("{path}/{id}")),
        }
    }
}

fn read(file: &FileArguments) -> Result<Config, Failure> {
    Ok(reload::read(file.config.as_deref(), &file.flags())?)
}
