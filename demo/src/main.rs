//! `cargo run --release -p demo` shows the whole pipeline on one machine; `demo break` and
//! `demo heal` work on a running one. Flags in, exit codes out: 0 done, 1 failed, 2 wrong use.
//!
//! One program is everything of ours: it starts itself again for each service, so that each is a
//! process with a telemetry of its own, as in the field.

mod announce;
mod classic;
mod clock;
mod conductor;
mod config;
mod files;
mod get;
mod http;
mod load;
mod mailbox;
mod page;
mod part;
mod plan;
mod ports;
mod process;
mod rules;
mod runbook;
mod service;
mod stage;
mod tool;
mod traces;
mod trail;
mod trouble;
mod voice;

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use alert_router::render::Language;
use clap::{Args, Parser, Subcommand};

use crate::service::{Others, Role};
use crate::trouble::Trouble;

/// What every command may fail with; it is printed for people.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs services, Redis, alert-router, Prometheus, Alertmanager, Collector and Jaeger on this machine,
/// and shows the way of an alert to people.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
}

const EXAMPLES: &str = "Examples:
  demo                  starts everything; open http://127.0.0.1:8090
  demo --get            the same; first gets what is missing
  demo --lang zh        the same in Chinese
  demo break            half of the requests fail; an alert comes within two minutes
  demo break latency    requests become slow
  demo break dependency kills Redis, which the others need
  demo heal             everything is well again, and people hear it";

/// How to run everything.
#[derive(Args)]
struct Up {
    /// Takes free ports instead of the documented ones: several demos, or tests, side by side.
    #[arg(long)]
    any_port: bool,
    /// Where data and logs go [default: a temporary folder that is removed at the end].
    #[arg(long)]
    data: Option<PathBuf>,
    /// Sends the mails to people of yours as well: a file with one entry of alert-router's
    /// `email_configs` (`to`, `from`, `smarthost`, …).
    #[arg(long)]
    mail: Option<PathBuf>,
    /// Gets what is missing first: packages of Debian, as root or with a sudo that asks for no password, and
    /// the Collector and Jaeger, which are built in about 10 minutes.
    #[arg(long)]
    get: bool,
    #[command(flatten)]
    language: Spoken,
    /// Requests per second of the built-in load; 0 sends none.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=500))]
    rate: u16,
}

#[derive(Subcommand)]
enum Command {
    /// Breaks the running demo.
    Break {
        /// How.
        #[arg(value_enum, default_value_t = Trouble::Errors)]
        trouble: Trouble,
        #[command(flatten)]
        place: Place,
    },
    /// Heals the running demo.
    Heal {
        #[command(flatten)]
        place: Place,
    },
    /// Runs one service; the demo starts these itself.
    #[command(hide = true)]
    Service {
        #[arg(value_enum)]
        role: Role,
        #[arg(long)]
        listen: SocketAddr,
        #[command(flatten)]
        others: Others,
        /// Between "not ready" and the last connection, in milliseconds: for load balancers.
        #[arg(long, default_value_t = 0)]
        drain_ms: u64,
    },
    /// Runs alert-router; the demo starts it itself.
    #[command(hide = true)]
    AlertRouter {
        #[arg(long)]
        config: PathBuf,
    },
    /// Becomes another program that ends when the demo ends, however that happens.
    #[command(hide = true)]
    Leash {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

/// In which language.
#[derive(Args)]
struct Spoken {
    /// The language of messages and pages: en or zh [default: that of the terminal, else en].
    #[arg(long, value_name = "LANGUAGE", value_parser = voice::parse_language)]
    lang: Option<Language>,
}

/// Where the demo is.
#[derive(Args)]
struct Place {
    #[command(flatten)]
    language: Spoken,
    /// The address of the start page.
    #[arg(long, default_value_t = ports::Ports::documented().page)]
    page: SocketAddr,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if stderr is closed.
            let _ = writeln!(std::io::stderr(), "demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let command = match arguments.command {
        Some(Command::Leash { command }) => return Err(process::leash(&command)),
        command => command,
    };
    // One thread: a child's leash ends with the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match command {
            None => conductor::up(arguments.up).await,
            Some(Command::Break { trouble, place }) => conductor::tell(place, Some(trouble)).await,
            Some(Command::Heal { place }) => conductor::tell(place, None).await,
            Some(Command::Service {
                role,
                listen,
                others,
                drain_ms,
            }) => {
                let drain = Duration::from_millis(drain_ms);
                service::run(role, listen, others, drain).await
            }
            Some(Command::AlertRouter { config }) => service::alert_router(config).await,
            Some(Command::Leash { .. }) => Ok(()),
        }
    })
}
