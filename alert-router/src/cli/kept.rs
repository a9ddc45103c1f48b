//! `dead-letters` and `quarantine`: through the server that holds the data, or on the data itself
//! when no server runs. Only replaying needs a server, because somebody must hear it.

use std::io::{self, Write};
use std::time::Duration;

use alert_engine::{BodyHash, DeliveryId};
use alert_router::dead_letter::{self, DeadLetter};
use alert_router::id;
use alert_router::listing::{self, Listed, Page};
use alert_router::quarantine::{self, Quarantined};
use alert_router::receiver::{Question, ask_server};
use alert_router::render::Language;
use alert_router::store::SqliteStore;
use alert_router::tools::{self, Data, text};
use clap::Subcommand;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::commands::read;
use super::{Failure, FileArguments};

/// For what the server does by itself.
const SOON: Duration = Duration::from_secs(20);
/// For what a mail server may take its time for.
const SLOW: Duration = Duration::from_secs(300);

const LETTERS: &str = "/api/v1/dead-letters";
const BODIES: &str = "/api/v1/quarantine";

#[derive(Subcommand)]
pub(super) enum DeadLetters {
    /// One line each, the oldest first.
    List,
    /// Everything about one: the provider's answer, what to do, what would have been sent, the alerts.
    Show {
        /// Its id.
        #[arg(value_parser = letter)]
        id: DeliveryId,
    },
    /// Ends the cool-down: the receiver hears the present truth at once, and the letter goes.
    Replay {
        /// Its id.
        #[arg(value_parser = letter)]
        id: DeliveryId,
        /// Send the stored text again exactly as it was, instead of the present truth; the letter
        /// goes once that is confirmed.
        #[arg(long)]
        as_sent: bool,
    },
    /// Removes it: nobody hears of it any more; the history says so.
    Drop {
        /// Its id.
        #[arg(value_parser = letter)]
        id: DeliveryId,
    },
}

#[derive(Subcommand)]
pub(super) enum Quarantine {
    /// One line each, the oldest first.
    List,
    /// Everything about one, with the body as it came.
    Show {
        /// Its id.
        #[arg(value_parser = body)]
        id: BodyHash,
    },
    /// Takes it in as if it came now, after limits were raised or with a newer version.
    Replay {
        /// Its id.
        #[arg(value_parser = body)]
        id: BodyHash,
    },
    /// Removes it.
    Drop {
        /// Its id.
        #[arg(value_parser = body)]
        id: BodyHash,
    },
}

pub(super) async fn dead_letters(file: &FileArguments, what: DeadLetters) -> Result<(), Failure> {
    let place = place(file)?;
    say(&match what {
        DeadLetters::List => {
            let mut letters: Vec<DeadLetter> = place.list(LETTERS).await?;
            letters.sort_by_key(|letter| letter.at_ms);
            lines(
                letters.iter().map(text::letter_line),
                "no delivery was given up",
            )
        }
        DeadLetters::Show { id } => {
            let letter = match &place {
                Place::Server(server) => server.read(format!("{LETTERS}/{id}")).await?,
                Place::Data(store) => dead_letter::find(store, id).await?.ok_or(NO_LETTER)?.0,
            };
            text::letter(&letter, Language::English)
        }
        DeadLetters::Replay { id, as_sent: true } => {
            let path = format!("{LETTERS}/{id}/replay?as_sent=true");
            let answer = place.server()?.ask(Method::POST, path, SLOW).await?;
            resent(&serde_json::from_str(&answer)?)
        }
        DeadLetters::Replay { id, as_sent: false } => {
            let path = format!("{LETTERS}/{id}/replay");
            told(&place.server()?.ask(Method::POST, path, SOON).await?)?
        }
        DeadLetters::Drop { id } => match &place {
            Place::Server(server) => server.drop(format!("{LETTERS}/{id}")).await?,
            Place::Data(store) => dropped(dead_letter::discard(store, id).await?, NO_LETTER)?,
        },
    })
}

pub(super) async fn quarantine(file: &FileArguments, what: Quarantine) -> Result<(), Failure> {
    let place = place(file)?;
    say(&match what {
        Quarantine::List => {
            let mut bodies: Vec<Quarantined> = place.list(BODIES).await?;
            bodies.sort_by_key(|body| body.at_ms);
            lines(
                bodies.iter().map(text::quarantined_line),
                "nothing is in quarantine",
            )
        }
        Quarantine::Show { id } => {
            let body = match &place {
                Place::Server(server) => server.read(format!("{BODIES}/{id}")).await?,
                Place::Data(store) => quarantine::find(store, id).await?.ok_or(NO_BODY)?,
            };
            text::quarantined(&body, Language::English)
        }
        Quarantine::Replay { id } => {
            let path = format!("{BODIES}/{id}/replay");
            let answer = place.server()?.ask(Method::POST, path, SOON).await?;
            taken(&serde_json::from_str(&answer)?)
        }
        Quarantine::Drop { id } => match &place {
            Place::Server(server) => server.drop(format!("{BODIES}/{id}")).await?,
            Place::Data(store) => dropped(quarantine::discard(store, id).await?, NO_BODY)?,
        },
    })
}

const NO_LETTER: &str = "no dead letter has this id; see dead-letters list";
const NO_BODY: &str = "nothing in quarantine has this id; see quarantine list";

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

impl Place {
    fn server(&self) -> Result<&Server, Failure> {
        match self {
            Self::Server(server) => Ok(server),
            Self::Data(_) => {
                Err("no server runs on this data: start it, then repeat the command".into())
            }
        }
    }

    async fn list<T: Listed>(&self, path: &str) -> Result<Vec<T>, Failure> {
        match self {
            Self::Server(server) => server.list(path).await,
            Self::Data(store) => Ok(listing::all(store).await?),
        }
    }
}

impl Server {
    async fn ask(&self, method: Method, path: String, within: Duration) -> Result<String, Failure> {
        let question = Question {
            method,
            path,
            within,
        };
        Ok(ask_server(&self.address, &question, self.credential.as_ref()).await?)
    }

    async fn read<T: DeserializeOwned>(&self, path: String) -> Result<T, Failure> {
        Ok(serde_json::from_str(
            &self.ask(Method::GET, path, SOON).await?,
        )?)
    }

    async fn drop(&self, path: String) -> Result<String, Failure> {
        self.ask(Method::DELETE, path, SOON).await?;
        Ok(DROPPED.to_owned())
    }

    /// All pages of a list.
    async fn list<T: Listed>(&self, path: &str) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        let mut here = path.to_owned();
        loop {
            let page: Page<T> = self.read(here).await?;
            all.extend(page.records);
            match page.next {
                Some(after) => here = format!("{path}?after={after}"),
                None => return Ok(all),
            }
        }
    }
}

const DROPPED: &str = "dropped\n";

fn dropped(was_there: bool, otherwise: &str) -> Result<String, Failure> {
    match was_there {
        true => Ok(DROPPED.to_owned()),
        false => Err(otherwise.into()),
    }
}

fn say(what: &str) -> Result<(), Failure> {
    Ok(io::stdout().lock().write_all(what.as_bytes())?)
}

fn lines(rows: impl Iterator<Item = String>, none: &str) -> String {
    let all: String = rows.map(|row| row + "\n").collect();
    match all.is_empty() {
        true => format!("{none}\n"),
        false => all,
    }
}

/// What a replay of the present truth came to; an empty answer: it is told.
fn told(answer: &str) -> Result<String, Failure> {
    if answer.is_empty() {
        return Ok("its receiver hears the present truth now\n".to_owned());
    }
    let answer: Value = serde_json::from_str(answer)?;
    Ok(text::line(answer["answer"].as_str().unwrap_or_default()) + "\n")
}

/// How a letter that was sent again arrived.
fn resent(answer: &Value) -> String {
    let said = match answer["answer"].as_str().unwrap_or_default() {
        "" => String::new(),
        said => format!(": {}", text::line(said)),
    };
    let refused = answer["refused"].as_array().into_iter().flatten();
    let line = |refused: &Value| {
        let word = |key: &str| text::line(refused[key].as_str().unwrap_or_default());
        format!("  refused by {}: {}\n", word("recipient"), word("reason"))
    };
    let refused: String = refused.map(line).collect();
    format!("delivered again as it was{said}\n{refused}")
}

/// What came of a body that was taken in again.
fn taken(answer: &Value) -> String {
    let (changed, unchanged) = (&answer["changed"], &answer["unchanged"]);
    let refused = answer["refused"].as_array().into_iter().flatten();
    let line = |refused: &Value| {
        let why = text::line(refused["why"].as_str().unwrap_or_default());
        format!("  alert {} stays in quarantine: {why}\n", refused["alert"])
    };
    let refused: String = refused.map(line).collect();
    format!("taken in: {changed} changed something, {unchanged} were known\n{refused}")
}

fn letter(text: &str) -> Result<DeliveryId, &'static str> {
    id::read(text).map(DeliveryId).ok_or(NO_ID)
}

fn body(text: &str) -> Result<BodyHash, &'static str> {
    id::read(text).map(BodyHash).ok_or(NO_ID)
}

const NO_ID: &str = "an id has 32 hex digits; `list` shows them";
