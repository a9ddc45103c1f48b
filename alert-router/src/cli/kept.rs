//! `dead-letters` and `quarantine`: what reads works on the data itself when no server runs, what
//! changes something goes through the server that holds the data.

use std::io::{self, Write};
use std::time::Duration;

use alert_router::dead_letter::{self, DeadLetter};
use alert_router::quarantine::{self, Quarantined};
use alert_router::receiver::{Question, ask_server};
use alert_router::store::SqliteStore;
use alert_router::tools::{self, Data, text};
use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::commands::read;
use super::{Failure, FileArguments};

/// For what the server does by itself.
const SOON: Duration = Duration::from_secs(20);
/// For what a mail server may take its time for.
const SLOW: Duration = Duration::from_secs(300);

#[derive(Subcommand)]
pub(super) enum DeadLetters {
    /// One line each.
    List,
    /// Everything about one: the provider's answer, what to do, what would have been sent.
    Show {
        /// Its id.
        #[arg(value_parser = id)]
        id: String,
    },
    /// Ends the cool-down: the receiver hears the present truth at once, and the letter goes.
    Replay {
        /// Its id.
        #[arg(value_parser = id)]
        id: String,
        /// Send the stored text again exactly as it was, instead of the present truth; the letter
        /// goes once that is confirmed.
        #[arg(long)]
        as_sent: bool,
    },
    /// Removes it: nobody hears of it any more.
    Drop {
        /// Its id.
        #[arg(value_parser = id)]
        id: String,
    },
}

#[derive(Subcommand)]
pub(super) enum Quarantine {
    /// One line each.
    List,
    /// Everything about one, with the body as it came.
    Show {
        /// Its id.
        #[arg(value_parser = id)]
        id: String,
    },
    /// Takes it in as if it came now, after limits were raised or with a newer version.
    Replay {
        /// Its id.
        #[arg(value_parser = id)]
        id: String,
    },
    /// Removes it.
    Drop {
        /// Its id.
        #[arg(value_parser = id)]
        id: String,
    },
}

pub(super) async fn dead_letters(file: &FileArguments, what: DeadLetters) -> Result<(), Failure> {
    let answer = match place(file)? {
        Place::Server(server) => server.ask(what.question()).await?,
        Place::Data(store) => what.offline(&store).await?,
    };
    what.show(&answer)
}

pub(super) async fn quarantine(file: &FileArguments, what: Quarantine) -> Result<(), Failure> {
    let answer = match place(file)? {
        Place::Server(server) => server.ask(what.question()).await?,
        Place::Data(store) => what.offline(&store).await?,
    };
    what.show(&answer)
}

/// Whom to ask.
enum Place {
    Server(Server),
    Data(SqliteStore),
}

struct Server {
    address: String,
    credential: Option<alert_router::config::Credential>,
}

fn place(file: &FileArguments) -> Result<Place, Failure> {
    let config = read(file)?;
    Ok(match tools::open_data(&config)? {
        Data::Held { address } => Place::Server(Server {
            address,
            credential: config.auth,
        }),
        Data::Free(store) => Place::Data(store),
    })
}

impl Server {
    async fn ask(&self, question: Question) -> Result<String, Failure> {
        Ok(ask_server(&self.address, &question, self.credential.as_ref()).await?)
    }
}

impl DeadLetters {
    fn question(&self) -> Question {
        let path = "/api/v1/dead-letters";
        let (method, path, within) = match self {
            Self::List => (Method::GET, path.to_owned(), SOON),
            Self::Show { id } => (Method::GET, format!("{path}/{id}"), SOON),
            Self::Replay { id, as_sent: false } => {
                (Method::POST, format!("{path}/{id}/replay"), SOON)
            }
            Self::Replay { id, as_sent: true } => {
                let path = format!("{path}/{id}/replay?as_sent=true");
                (Method::POST, path, SLOW)
            }
            Self::Drop { id } => (Method::DELETE, format!("{path}/{id}"), SOON),
        };
        Question {
            method,
            path,
            within,
        }
    }

    async fn offline(&self, store: &SqliteStore) -> Result<String, Failure> {
        match self {
            Self::List => Ok(serde_json::to_string(&dead_letter::list(store).await?)?),
            Self::Show { id } => {
                let letter = dead_letter::named(store, id).await?;
                let letter = letter.ok_or("no dead letter has this id; see dead-letters list")?;
                Ok(serde_json::to_string(&letter)?)
            }
            Self::Replay { .. } | Self::Drop { .. } => Err(NOBODY.into()),
        }
    }

    fn show(&self, answer: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match self {
            Self::List => {
                let letters: Vec<DeadLetter> = serde_json::from_str(answer)?;
                if letters.is_empty() {
                    writeln!(out, "no delivery was given up")?;
                }
                for letter in &letters {
                    writeln!(out, "{}", text::letter_line(letter))?;
                }
            }
            Self::Show { .. } => {
                let letter: DeadLetter = serde_json::from_str(answer)?;
                out.write_all(text::letter(&letter).as_bytes())?;
            }
            Self::Replay { as_sent: true, .. } => {
                let resent: Value = serde_json::from_str(answer)?;
                let said = resent["answer"].as_str().unwrap_or_default();
                let said = if said.is_empty() {
                    ""
                } else {
                    &format!(": {said}")
                };
                writeln!(out, "delivered again as it was{}", text::line(said))?;
                for refused in resent["refused"].as_array().into_iter().flatten() {
                    let word = |key: &str| text::line(refused[key].as_str().unwrap_or_default());
                    writeln!(
                        out,
                        "  refused by {}: {}",
                        word("recipient"),
                        word("reason")
                    )?;
                }
            }
            Self::Replay { as_sent: false, .. } => {
                writeln!(out, "its receiver hears the present truth now")?;
            }
            Self::Drop { .. } => writeln!(out, "dropped")?,
        }
        Ok(())
    }
}

impl Quarantine {
    fn question(&self) -> Question {
        let path = "/api/v1/quarantine";
        let (method, path) = match self {
            Self::List => (Method::GET, path.to_owned()),
            Self::Show { id } => (Method::GET, format!("{path}/{id}")),
            Self::Replay { id } => (Method::POST, format!("{path}/{id}/replay")),
            Self::Drop { id } => (Method::DELETE, format!("{path}/{id}")),
        };
        Question {
            method,
            path,
            within: SOON,
        }
    }

    async fn offline(&self, store: &SqliteStore) -> Result<String, Failure> {
        match self {
            Self::List => Ok(serde_json::to_string(&quarantine::list(store).await?)?),
            Self::Show { id } => {
                let kept = quarantine::named(store, id).await?;
                let kept = kept.ok_or("nothing in quarantine has this id; see quarantine list")?;
                Ok(serde_json::to_string(&kept)?)
            }
            Self::Replay { .. } | Self::Drop { .. } => Err(NOBODY.into()),
        }
    }

    fn show(&self, answer: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match self {
            Self::List => {
                let all: Vec<Quarantined> = serde_json::from_str(answer)?;
                if all.is_empty() {
                    writeln!(out, "nothing is in quarantine")?;
                }
                for kept in &all {
                    writeln!(out, "{}", text::quarantined_line(kept))?;
                }
            }
            Self::Show { .. } => {
                let kept: Quarantined = serde_json::from_str(answer)?;
                out.write_all(text::quarantined(&kept).as_bytes())?;
            }
            Self::Replay { .. } => {
                let taken: Value = serde_json::from_str(answer)?;
                let (changed, unchanged) = (&taken["changed"], &taken["unchanged"]);
                writeln!(
                    out,
                    "taken in: {changed} changed something, {unchanged} were known"
                )?;
                for refused in taken["refused"].as_array().into_iter().flatten() {
                    let why = text::line(refused["why"].as_str().unwrap_or_default());
                    let alert = &refused["alert"];
                    writeln!(out, "  alert {alert} stays in quarantine: {why}")?;
                }
            }
            Self::Drop { .. } => writeln!(out, "dropped")?,
        }
        Ok(())
    }
}

const NOBODY: &str = "no server runs on this data: start it, then repeat the command";

fn id(text: &str) -> Result<String, String> {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.len() == 32 && hex {
        Ok(text.to_owned())
    } else {
        Err("an id has 32 hex digits; `list` shows them".to_owned())
    }
}
