//! The command line.

mod commands;
mod kept;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use alert_router::app::{App, Options};
use alert_router::config::{Flags, StorePlace};
use alert_router::web::PROBES;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand, ValueEnum};
use kept::{DeadLetters, Quarantine};
use telemetry_lib::{LogFormat as Format, Telemetry};

/// Takes Alertmanager webhooks, dedupes and groups them, and tells people by e-mail or WeCom:
/// durably, once, in order.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
    /// How logs look: human on a terminal, JSON elsewhere.
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
}

impl Arguments {
    /// Reads the command line; ends the process where it is wrong, or where help was asked for.
    pub(super) fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| without_secrets(error).exit())
    }

    /// Whether the server is to run, whose logs machines read; other commands talk to people.
    fn serves(&self) -> bool {
        matches!(self.command, None | Some(Command::Serve(_)))
    }
}

/// Values that may hold a password are not repeated to a terminal or a log. Whoever typed one sees
/// which argument it was, and what belongs there.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let of_the_store = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(argument)) if argument.starts_with("--store")
    );
    let hides = |(kind, value): (ContextKind, &ContextValue)| {
        let whole = of_the_store && kind == ContextKind::InvalidValue;
        (whole || value.to_string().contains("://")).then_some(kind)
    };
    let hidden: Vec<ContextKind> = error.context().filter_map(hides).collect();
    for kind in hidden {
        error.insert(kind, ContextValue::String("…".to_owned()));
    }
    error
}

const EXAMPLES: &str = "Examples:
  alert-router                                            runs without any config; open http://127.0.0.1:9095
  alert-router --config alert-router.yaml
  alert-router check --config alert-router.yaml           every problem with its line and the fix
  alert-router route-test --config alert-router.yaml severity=critical service=orders
  alert-router send-test --config alert-router.yaml --receiver oncall
  alert-router doctor --config alert-router.yaml          what stands in the way of messages; sends nothing
  alert-router dead-letters list                          what was given up, and why";

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

#[derive(Args, Clone, Default)]
struct ServeArguments {
    /// The config file; without one, messages go to the inbox of the built-in page.
    #[arg(long, env = "ALERT_ROUTER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Where to listen [default: the config's `listen`, or 127.0.0.1:9095].
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where data is kept [default: the config's `store`, or sqlite:data/alert-router.db].
    #[arg(long, value_parser = StorePlace::parse)]
    store: Option<StorePlace>,
    /// Listen on other addresses than loopback without asking for credentials.
    #[arg(long)]
    open: bool,
}

/// Which config, for the commands beside `serve`.
#[derive(Args, Clone, Default)]
struct FileArguments {
    /// The config file.
    #[arg(
        long,
        env = "ALERT_ROUTER_CONFIG",
        hide_env_values = true,
        global = true
    )]
    config: Option<PathBuf>,
    /// Where data is kept [default: the config's `store`, or sqlite:data/alert-router.db].
    #[arg(long, value_parser = StorePlace::parse, global = true)]
    store: Option<StorePlace>,
}

impl FileArguments {
    /// A command listens nowhere, so it does not ask for credentials on an open address.
    fn flags(&self) -> Flags {
        Flags {
            listen: None,
            store: self.store.clone(),
            open: true,
        }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server (also without this word).
    Serve(ServeArguments),
    /// Reads the config, builds every receiver and renders samples; exit code 1 if anything is wrong.
    Check {
        #[command(flatten)]
        file: FileArguments,
        /// Let it listen on other addresses than loopback without asking for credentials.
        #[arg(long)]
        open: bool,
    },
    /// Says who would hear an alert with these labels, and when.
    RouteTest {
        #[command(flatten)]
        file: FileArguments,
        /// The labels, such as severity=critical service=orders.
        #[arg(required = true, value_name = "LABEL=VALUE")]
        labels: Vec<String>,
    },
    /// Sends a message marked as a test to a receiver, the way a real one goes.
    ///
    /// It is counted in no budget: while a server runs, its page and API send tests that are.
    SendTest {
        #[command(flatten)]
        file: FileArguments,
        /// The receiver's name in the config.
        #[arg(long)]
        receiver: String,
    },
    /// Looks at this machine and at every account and server of the config, and sends nothing; exit
    /// code 1 if anything is wrong.
    ///
    /// Logs in at mail servers, fetches tokens of WeCom applications, connects to webhooks.
    Doctor {
        #[command(flatten)]
        file: FileArguments,
    },
    /// Deliveries that were given up.
    DeadLetters {
        #[command(flatten)]
        file: FileArguments,
        #[command(subcommand)]
        what: DeadLetters,
    },
    /// Bodies and alerts that could not be read.
    Quarantine {
        #[command(flatten)]
        file: FileArguments,
        #[command(subcommand)]
        what: Quarantine,
    },
    /// Prints shell completions.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    if !arguments.serves() {
        start_logs();
    }
    let format = arguments.log_format;
    match arguments.command {
        None => serve(arguments.serve, telemetry(format)?).await,
        Some(Command::Serve(arguments)) => serve(arguments, telemetry(format)?).await,
        Some(Command::Check { file, open }) => commands::check(&file, open),
        Some(Command::RouteTest { file, labels }) => commands::route_test(&file, &labels),
        Some(Command::SendTest { file, receiver }) => commands::send_test(&file, &receiver).await,
        Some(Command::Doctor { file }) => commands::doctor(&file).await,
        Some(Command::DeadLetters { file, what }) => kept::dead_letters(&file, what).await,
        Some(Command::Quarantine { file, what }) => kept::quarantine(&file, what).await,
        Some(Command::Completions { shell }) => {
            use clap::CommandFactory;
            let mut command = Arguments::command();
            // It would panic where the output ends early.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "alert-router", &mut script);
            Ok(io::stdout().write_all(&script)?)
        }
    }
}

async fn serve(arguments: ServeArguments, telemetry: Telemetry) -> Result<(), Failure> {
    let ServeArguments {
        config,
        listen,
        store,
        open,
    } = arguments;
    let options = Options {
        config,
        flags: Flags {
            listen,
            store,
            open,
        },
    };
    let app = App::build(options, telemetry).await?;
    let mut out = io::stderr().lock();
    writeln!(out, "alert-router  {}", app.url())?;
    writeln!(out, "  page        {}/", app.url())?;
    writeln!(out, "  webhook     {}/webhook", app.url())?;
    writeln!(out, "  metrics     {}/metrics", app.url())?;
    writeln!(out, "  data        {}", app.data())?;
    drop(out);
    Ok(app.run().await?)
}

/// The server's own telemetry: logs on stdout, metrics, and spans if OTEL_* says where to.
fn telemetry(format: Option<LogFormat>) -> Result<Telemetry, Failure> {
    let mut vars: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    // Without a Collector in sight, a first run should not complain that there is none.
    if !vars
        .iter()
        .any(|(name, _)| name.starts_with("OTEL_EXPORTER") || name == TRACES)
    {
        vars.push((TRACES.to_owned(), "none".to_owned()));
    }
    let human = match format {
        Some(LogFormat::Human) => true,
        Some(LogFormat::Json) => false,
        None => io::stdout().is_terminal(),
    };
    let format = if human { Format::Human } else { Format::Json };
    let config = telemetry_lib::Config::from_vars("alert-router", vars)
        .version(env!("CARGO_PKG_VERSION"))
        .skip_paths(PROBES.map(str::to_owned))
        .log_format(format);
    Ok(telemetry_lib::init(config)?)
}

/// The variable that says whether spans are exported.
const TRACES: &str = "OTEL_TRACES_EXPORTER";

/// Other commands than `serve` talk to people, on stderr; `RUST_LOG` chooses what.
fn start_logs() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    logs.with_target(false).without_time().init();
}
