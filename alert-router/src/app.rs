//! The life of the server: config, store, receivers, listener, then work until a signal, then an
//! orderly stop. Everything is built before anything starts.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{Incarnation, Owners};
use telemetry_lib::Telemetry;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::clock::{Clock, SystemClock};
use crate::config::{Changes, Config, Flags, StorePlace};
use crate::dead_letter::Resender;
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::quarantine::Quarantine;
use crate::receiver::{AccessTokens, Materials};
use crate::reload::{self, ReloadError, Reloader};
use crate::render::Renderer;
use crate::step::{Deps, Step};
use crate::store::{MemoryStore, OpenError, SqliteSettings, SqliteStore, Store, StoreError};
use crate::trouble::config::ConfigTroubles;
use crate::web::{self, Web};
use crate::webhook::{BodyRoom, Intake, KnownSources};

/// How long deliveries and requests under way may take after SIGTERM.
const DRAIN: Duration = Duration::from_secs(20);
/// What the system sends with a write beyond the largest size of a file.
const FILE_TOO_LARGE: rustix::process::Signal = rustix::process::Signal::XFSZ;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The config file; `None`: the built-in inbox.
    pub config: Option<PathBuf>,
    /// What wins over the file.
    pub flags: Flags,
}

/// Why the server does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The config is wrong.
    #[error(transparent)]
    Config(#[from] ReloadError),
    /// A receiver cannot work.
    #[error("{0}")]
    Receiver(#[from] crate::receiver::BuildError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}; {fix}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
        /// What to do.
        fix: &'static str,
    },
    /// A second signal came during the orderly stop.
    #[error(
        "told a second time to stop, so it ended at once: after the next start, messages that were \
         under way may come once more"
    )]
    CutShort,
    /// The system refused something that it always grants.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// How long spans may take to leave at the end.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// A server that is built, and has not started.
pub struct App {
    step: Step,
    router: axum::Router,
    listener: TcpListener,
    reloader: Arc<Reloader>,
    config_troubles: ConfigTroubles,
    ready: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
    url: Arc<str>,
    data: StorePlace,
    telemetry: Telemetry,
    signals: Signals,
}

impl App {
    /// Builds the server and takes its address; no work begins.
    ///
    /// # Errors
    ///
    /// Each says what to do.
    pub async fn build(options: Options, telemetry: Telemetry) -> Result<Self, ServeError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let signals = Signals::listen()?;
        let config = read(&options)?;
        let listener = listen(config.listen).await?;
        let url: Arc<str> = format!("http://{}", listener.local_addr()?).into();
        let store = open_store(&config, &clock, &url)?;
        let data = config.store.absolute();
        let metrics = Arc::new(Metrics::new());
        let materials = materials(&store, &clock);
        let plan = Plan::new(config, &materials)?;
        let (plans, plan) = watch::channel(Arc::new(plan));
        let (changes, changed) = watch::channel(0);
        let (ready, is_ready) = watch::channel(false);
        let incarnation = Incarnation(u64::try_from(clock.now().as_millis()).unwrap_or(0));
        let deps = Deps {
            store: Arc::clone(&store),
            plan: plan.clone(),
            metrics: Arc::clone(&metrics),
            incarnation,
            // The store is locked by this process, or lives in it.
            owners: Owners::Only(incarnation),
            changes,
        };
        let (step, handle) = Step::open(deps).await?;
        let (file, flags) = (options.config, options.flags);
        let reloader: Arc<Reloader> =
            Reloader::new(file, flags, materials, plans, Arc::clone(&metrics)).into();
        let quarantine = Quarantine::open(Arc::clone(&store), Arc::clone(&metrics)).await?;
        let intake = Intake {
            plan,
            step: handle.clone(),
            quarantine: quarantine.clone(),
            metrics: Arc::clone(&metrics),
            clock: Arc::clone(&clock),
            sources: KnownSources::default(),
            room: BodyRoom::default(),
        };
        show(&metrics, &telemetry);
        let web = Web {
            resender: Resender::new(Arc::clone(&store), Arc::clone(&metrics), Arc::clone(&clock)),
            intake,
            store,
            step: handle,
            quarantine,
            trials: web::Trials::default(),
            metrics,
            changes: changed,
            url: Arc::clone(&url),
            ready: is_ready,
            proof: web::Proof::default(),
            reloader: Arc::clone(&reloader),
            telemetry: telemetry.clone(),
        };
        Ok(Self {
            step,
            config_troubles: config_troubles(&web),
            router: Telemetry::instrument(&telemetry, web::router(web)),
            listener,
            reloader,
            ready,
            clock,
            url,
            data,
            telemetry,
            signals,
        })
    }

    /// Where it listens, as people reach it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its data is kept, wherever one stands.
    #[must_use]
    pub fn data(&self) -> &StorePlace {
        &self.data
    }

    /// Works until SIGTERM or SIGINT, then lets what is under way end, for at most 20 s, or until
    /// the next of these signals.
    ///
    /// # Errors
    ///
    /// If the listener fails, or a second signal cut the end short: then work may still
    /// be under way, and the process should end.
    pub async fn run(self) -> Result<(), ServeError> {
        let Self {
            step,
            router,
            listener,
            reloader,
            config_troubles,
            ready,
            clock,
            url,
            telemetry,
            mut signals,
            ..
        } = self;
        let (stop, stopping) = watch::channel(false);
        let stopped = |mut stopping: watch::Receiver<bool>| async move {
            // An error means that nobody can ask any more.
            let _asked = stopping.wait_for(|stop| *stop).await;
        };
        let (stop_step, step_stopping) = watch::channel(false);
        let work = tokio::spawn(step.run(clock, stopped(step_stopping), DRAIN));
        let telling = tokio::spawn(config_troubles.tell());
        let server = tokio::spawn(web::serve(listener, router, stopped(stopping)));
        ready.send_replace(true);
        tracing::info!(url = %url, "listening; open the address in a browser, post webhooks to /webhook");
        while signals.next().await == Asked::Reload {
            report_reload(reloader.reload());
        }
        tracing::info!(
            "stopping: requests and deliveries under way may end; a second signal ends it at once"
        );
        ready.send_replace(false);
        stop.send_replace(true);
        telling.abort();
        let orderly = async {
            // Requests need the step to be answered, so it stops after them.
            let served = tokio::time::timeout(DRAIN, server).await;
            stop_step.send_replace(true);
            let worked = work.await;
            if served.is_err() || worked.is_err() {
                tracing::warn!("some requests were not answered in time");
            }
            let report = telemetry.shutdown(LAST_SPANS).await;
            tracing::info!(telemetry = %report, "stopped");
        };
        tokio::select! {
            () = orderly => Ok(()),
            () = signals.stop() => Err(ServeError::CutShort),
        }
    }
}

fn report_reload(done: Result<Changes, ReloadError>) {
    match done {
        Ok(Changes {
            applied,
            after_restart,
        }) => {
            tracing::info!(?applied, ?after_restart, "config reloaded");
        }
        Err(error) => tracing::error!("the old config stays: {error}"),
    }
}

/// The signals that this process obeys, taken before anybody can reach it. One that comes before it
/// is looked at is kept.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(PartialEq, Eq)]
enum Asked {
    Stop,
    Reload,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        // A file over its limit (`ulimit -f`) would end the process. With a handler the write fails
        // as on a full disk, and the handler stays when this is dropped.
        drop(signal(SignalKind::from_raw(FILE_TOO_LARGE.as_raw()))?);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits until it is asked to end; there is nothing to reload any more.
    async fn stop(&mut self) {
        while self.next().await == Asked::Reload {}
    }
}

/// What every plan is built with.
fn materials(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Materials {
    Materials {
        renderer: Arc::new(Renderer::built_in()),
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        tokens: AccessTokens::default(),
    }
}

/// Lets `/metrics` show them.
fn show(metrics: &Metrics, telemetry: &Telemetry) {
    telemetry.collect(metrics.registry().clone());
    telemetry.collect_exemplars(metrics.exemplars().clone());
}

/// The config, its warnings said.
fn read(options: &Options) -> Result<Config, ServeError> {
    let config = reload::read(options.config.as_deref(), &options.flags)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(config)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| {
        let fix = if source.kind() == io::ErrorKind::AddrInUse {
            "another program has this port: stop it, or choose another with --listen"
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            "ports below 1024 need a privilege: choose another with --listen"
        } else {
            "choose an address of this machine with --listen"
        };
        ServeError::Listen {
            address,
            source,
            fix,
        }
    })
}

fn open_store(
    config: &Config,
    clock: &Arc<dyn Clock>,
    url: &str,
) -> Result<Arc<dyn Store>, ServeError> {
    match &config.store {
        StorePlace::Memory => {
            tracing::warn!("store: memory: everything is lost when this process ends");
            Ok(Arc::new(MemoryStore::new(Arc::clone(clock))))
        }
        StorePlace::Sqlite(path) => {
            let settings = SqliteSettings {
                path: path.clone(),
                max_bytes: None,
            };
            let store = SqliteStore::open(&settings, Arc::clone(clock))?;
            store.announce(url.trim_start_matches("http://"))?;
            Ok(Arc::new(store))
        }
    }
}

fn config_troubles(web: &Web) -> ConfigTroubles {
    ConfigTroubles::new(
        web.reloader.refusals(),
        web.intake.plan.clone(),
        web.step.clone(),
        Arc::clone(&web.store),
        Arc::clone(&web.intake.clock),
    )
}
