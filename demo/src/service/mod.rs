//! The services of the demo. Each is a process; what it owes to telemetry-lib is two lines.

mod shop;
mod stock;
mod switch;

use std::net::SocketAddr;
use std::path::PathBuf;

use alert_router::app::{App, Options};
use clap::ValueEnum;
use telemetry_lib::{Config, Grace};
use tokio::net::TcpListener;

pub(crate) use switch::Mode;

use crate::Failure;

/// Which service a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Takes orders from people and asks the stock.
    Shop,
    /// Reserves goods, and restocks through a queue.
    Stock,
}

/// Serves until SIGTERM.
pub(crate) async fn run(
    role: Role,
    listen: SocketAddr,
    calls: Option<SocketAddr>,
) -> Result<(), Failure> {
    let name = match role {
        Role::Shop => "shop",
        Role::Stock => "stock",
    };
    let telemetry = telemetry_lib::init(Config::from_env(name))?;
    let app = match role {
        Role::Shop => {
            telemetry.instrument(shop::routes(&telemetry, calls.ok_or("shop needs --calls")?))
        }
        Role::Stock => telemetry.instrument(stock::routes(&telemetry)),
    };
    let listener = TcpListener::bind(listen).await?;
    let report =
        telemetry_lib::serve_gracefully(&telemetry, listener, app, Grace::default()).await?;
    tracing::info!("{report}");
    Ok(())
}

/// Runs alert-router as its own program does.
pub(crate) async fn alert_router(config: PathBuf) -> Result<(), Failure> {
    let telemetry = telemetry_lib::init(Config::from_env("alert-router"))?;
    let options = Options {
        config: Some(config),
        ..Options::default()
    };
    Ok(App::build(options, telemetry).await?.run().await?)
}
