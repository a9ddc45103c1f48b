//! The services of the demo. Each is a process; what it owes to telemetry-lib is two lines.

mod cache;
mod queue;
mod rpc;
mod shop;
mod stock;
mod store;
mod switch;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alert_router::app::{App, Options};
use alert_router::web::PROBES;
use axum::Router;
use clap::{Args, ValueEnum};
use telemetry_lib::{Config, Grace, Report, Telemetry};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub(crate) use switch::Mode;

use self::store::Store;
use crate::Failure;

/// Which service a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Takes orders from people and asks the stock.
    Shop,
    /// Reserves goods, and tells others through a queue.
    Stock,
    /// Follows the queue in Redis, and keeps what people ask for at hand.
    Cache,
}

/// Whom a service talks to.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Others {
    /// The address of the service that it calls.
    #[arg(long)]
    calls: Option<SocketAddr>,
    /// The address of the cache; without it the shop shows no items.
    #[arg(long)]
    cache: Option<SocketAddr>,
    /// The address of Redis; without it the stock queues in its own process.
    #[arg(long)]
    redis: Option<SocketAddr>,
}

/// What a service does besides answering.
struct Background {
    /// True when it shall end what it has begun, and begin nothing more.
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Default for Background {
    fn default() -> Self {
        Self {
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
        }
    }
}

impl Background {
    /// Tells it to end, and returns when it has.
    async fn end(self) {
        self.stop.send_replace(true);
        self.tasks.join_all().await;
    }
}

/// Serves until SIGTERM; then says that it is not ready for `drain`, and ends what is under way.
pub(crate) async fn run(
    role: Role,
    listen: SocketAddr,
    Others {
        calls,
        cache,
        redis,
    }: Others,
    drain: Duration,
) -> Result<(), Failure> {
    let name = match role {
        Role::Shop => "shop",
        Role::Stock => "stock",
        Role::Cache => "cache",
    };
    let telemetry = telemetry_lib::init(telemetry_of(name))?;
    let listener = TcpListener::bind(listen).await?;
    let grace = Grace {
        drain,
        ..Grace::default()
    };
    let report = match role {
        Role::Shop => {
            let calls = calls.ok_or("shop needs --calls")?;
            let app = telemetry.instrument(shop::routes(&telemetry, calls, cache)?);
            telemetry_lib::serve_gracefully(&telemetry, listener, app, grace).await?
        }
        Role::Stock => {
            let redis = redis.map(Store::at).transpose()?;
            let (routes, background) = stock::routes(&telemetry, redis);
            let app = telemetry.instrument(routes);
            serve_with(background, &telemetry, listener, app, grace).await?
        }
        Role::Cache => {
            let redis = redis.ok_or("cache needs --redis")?;
            // A connection of its own for who waits at it.
            let (store, events) = (Store::at(redis)?, Store::at(redis)?);
            let (routes, background) = cache::routes(&telemetry, store, events);
            let app = telemetry.instrument(routes);
            serve_with(background, &telemetry, listener, app, grace).await?
        }
    };
    tracing::info!("{report}");
    Ok(())
}

/// As `serve_gracefully`, but spans are only flushed once the work in the background has ended, which
/// is told to when the last request that could make work has ended.
async fn serve_with(
    background: Background,
    telemetry: &Telemetry,
    listener: TcpListener,
    app: Router,
    grace: Grace,
) -> Result<Report, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let stopping = Arc::new(Notify::new());
    let drained = {
        let (telemetry, stopping) = (telemetry.clone(), Arc::clone(&stopping));
        async move {
            terminate.recv().await;
            telemetry.set_ready(false);
            tokio::time::sleep(grace.drain).await;
            stopping.notify_one();
        }
    };
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let served = async move {
        let served = axum::serve(listener, service).with_graceful_shutdown(drained);
        served.await?;
        background.end().await;
        Ok::<(), Failure>(())
    };
    let overdue = async {
        stopping.notified().await;
        tokio::time::sleep(grace.requests).await;
    };
    let served = tokio::select! {
        served = served => served,
        () = overdue => Ok(()),
    };
    let report = telemetry.shutdown(grace.telemetry).await;
    served.map(|()| report)
}

/// The variables decide; the version is ours to say, and the dashboard marks where it changes.
fn telemetry_of(service: &str) -> Config {
    Config::from_env(service).version(env!("CARGO_PKG_VERSION"))
}

/// Runs alert-router as its own program does.
pub(crate) async fn alert_router(config: PathBuf) -> Result<(), Failure> {
    let own = telemetry_of("alert-router").skip_paths(PROBES.map(str::to_owned));
    let telemetry = telemetry_lib::init(own)?;
    let options = Options {
        config: Some(config),
        ..Options::default()
    };
    Ok(App::build(options, telemetry).await?.run().await?)
}
