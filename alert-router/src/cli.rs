//! The command line.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use alert_router::app::{App, Options};
use alert_router::config::{Flags, StorePlace};
use clap::{Args, Parser, Subcommand, ValueEnum};

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
    pub(super) log_format: Option<LogFormat>,
}

const EXAMPLES: &str = "Examples:
  alert-router                                            runs without any config; open http://127.0.0.1:9095
  alert-router --config alert-router.yaml
  alert-router check --config alert-router.yaml           every problem with its line and the fix
  alert-router route-test --config alert-router.yaml severity=critical service=orders
  alert-router send-test --config alert-router.yaml --receiver oncall";

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

#[derive(Args, Clone, Default)]
struct ServeArguments {
    /// The config file; without one, messages go to the inbox of the built-in page.
    #[arg(long, env = "ALERT_ROUTER_CONFIG")]
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

#[derive(Subcommand)]
enum Command {
    /// Runs the server (also without this word).
    Serve(ServeArguments),
    /// Prints shell completions.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        None => serve(arguments.serve).await,
        Some(Command::Serve(serve_arguments)) => serve(serve_arguments).await,
        Some(Command::Completions { shell }) => {
            use clap::CommandFactory;
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "alert-router", &mut io::stdout());
            Ok(())
        }
    }
}

async fn serve(arguments: ServeArguments) -> Result<(), Failure> {
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
    let app = App::build(options).await?;
    let mut out = io::stdout().lock();
    writeln!(out, "alert-router  {}", app.url())?;
    writeln!(out, "  page        {}/", app.url())?;
    writeln!(out, "  webhook     {}/webhook", app.url())?;
    writeln!(out, "  metrics     {}/metrics", app.url())?;
    drop(out);
    Ok(app.run().await?)
}

/// Logs go to stderr; `RUST_LOG` chooses what, by default INFO.
pub(super) fn start_logs(format: Option<LogFormat>) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let human = matches!(format, Some(LogFormat::Human));
    let unsaid = format.is_none() && io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    if human || unsaid {
        logs.with_target(false).init();
    } else {
        logs.json().flatten_event(true).init();
    }
}
