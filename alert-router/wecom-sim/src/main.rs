//! The simulator as a program: flags in, addresses out, runs until it is told to stop.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use wecom_sim::{AgentId, App, Bot, Clock, Config, Directory, Rules, Sim};

/// Simulates the WeCom message API and shows every message as a phone would.
#[derive(Parser)]
#[command(version, about)]
struct Flags {
    /// Where to listen.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 9096)))]
    listen: SocketAddr,
    /// A group bot; may be given several times.
    #[arg(long = "bot", value_name = "KEY[=NAME]", default_values = ["sim-bot-key=告警机器人"])]
    bots: Vec<String>,
    /// The corporation's id.
    #[arg(long, default_value = "sim-corp")]
    corp_id: String,
    /// The application's secret.
    #[arg(
        long,
        env = "WECOM_SIM_CORP_SECRET",
        hide_env_values = true,
        default_value = "sim-secret"
    )]
    corp_secret: String,
    /// The application's id.
    #[arg(long, default_value_t = 1_000_002)]
    agent_id: AgentId,
    /// A member; may be given several times. All are in department 1.
    #[arg(
        long = "user",
        value_name = "ID[=NAME]",
        default_values = ["wangqing=王青", "lina=李娜", "zhaolei=赵磊"]
    )]
    users: Vec<String>,
    /// Messages of one bot per minute.
    #[arg(long, default_value_t = Rules::default().bot_per_minute)]
    bot_per_minute: usize,
    /// Life of an access token in seconds.
    #[arg(long, default_value_t = Rules::default().token_life.as_secs())]
    token_life: u64,
    /// Answer in other words than the documented ones.
    #[arg(long)]
    varied_wording: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "wecom-sim: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: &Flags) -> Result<(), Box<dyn std::error::Error>> {
    let sim = Sim::start(config(flags)).await?;
    announce(&sim, flags)?;
    stopped().await?;
    sim.stop().await;
    Ok(())
}

fn config(flags: &Flags) -> Config {
    Config {
        listen: flags.listen,
        bots: flags
            .bots
            .iter()
            .map(|bot| named(bot))
            .map(|(key, name)| Bot::new(key, name))
            .collect(),
        corp_id: flags.corp_id.clone(),
        apps: vec![App::new(flags.agent_id, &flags.corp_secret, "alert-router")],
        directory: Directory::of(flags.users.iter().map(|user| named(user))),
        rules: Rules {
            bot_per_minute: flags.bot_per_minute,
            token_life: Duration::from_secs(flags.token_life),
            varied_wording: flags.varied_wording,
            ..Rules::default()
        },
        clock: Clock::system(),
    }
}

/// `ID=NAME`, or an id that is its own name.
fn named(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, text))
}

fn announce(sim: &Sim, flags: &Flags) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "page      {}/", sim.base_url())?;
    writeln!(out, "received  {}/_sim/messages", sim.base_url())?;
    writeln!(out, "api       {}", sim.api_url())?;
    for bot in &flags.bots {
        let (key, name) = named(bot);
        writeln!(out, "bot       {}  ({name})", sim.bot_url(key))?;
    }
    let (corp, agent) = (&flags.corp_id, flags.agent_id);
    writeln!(
        out,
        "app       corp id {corp}, agent id {agent}, secret as given with --corp-secret"
    )?;
    out.flush()
}

async fn stopped() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
