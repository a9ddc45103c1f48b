//! The handle that tests hold: start, trouble, time, and what people have seen.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::server;
use crate::service::Service;
use crate::world::{Fate, FaultRule, Message, Refusal};

/// A running simulator. Dropping it closes its port and every connection.
pub struct Sim {
    address: SocketAddr,
    service: Arc<Service>,
    server: JoinHandle<()>,
}

/// Why a simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something listens there already.
    #[error(
        "{address} is in use: stop the process that holds it, or choose another address \
         (port 0 takes a free one)"
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The system refused for another reason.
    #[error("cannot listen on {address}: choose an address of this machine that you may use")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Sim {
    /// Starts a simulator in the current runtime. On `Ok` it takes connections.
    ///
    /// # Errors
    /// When `config.listen` cannot be listened on.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let address = config.listen;
        let failed = |source: io::Error| {
            if source.kind() == io::ErrorKind::AddrInUse {
                return StartError::InUse { address };
            }
            StartError::Listen { address, source }
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let service = Arc::new(Service::new(&config));
        let server = tokio::spawn(server::serve(listener, service.clone()));
        Ok(Self {
            address,
            service,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, the page for people.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `http://127.0.0.1:PORT/cgi-bin/`, what the real service calls
    /// `https://qyapi.weixin.qq.com/cgi-bin/`.
    pub fn api_url(&self) -> String {
        format!("{}/cgi-bin/", self.base_url())
    }

    /// The webhook address of the bot with this key.
    pub fn bot_url(&self, key: &str) -> String {
        format!("{}webhook/send?key={key}", self.api_url())
    }

    /// Adds a fault; the oldest that fits a call strikes first.
    pub fn fault(&self, rule: FaultRule) {
        self.service.change(|world, _| world.faults.add(rule));
    }

    /// Heals everything.
    pub fn clear_faults(&self) {
        self.service.change(|world, _| world.faults.clear());
    }

    /// Ends all access tokens before their time, as the service may.
    pub fn revoke_tokens(&self) {
        self.service.change(|world, _| world.apps.revoke_tokens());
    }

    /// Moves the simulator's time on.
    pub fn advance(&self, by: Duration) {
        self.service.advance(by);
    }

    /// The simulator's time.
    pub fn now(&self) -> Timestamp {
        self.service.read(|_, now| now)
    }

    /// What somebody was shown, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.filtered(|fate| fate == Fate::Shown)
    }

    /// What was answered with `errcode` 0 and shown to nobody: duplicates and drops.
    pub fn swallowed(&self) -> Vec<Message> {
        self.filtered(|fate| fate != Fate::Shown)
    }

    /// What was not taken, oldest first.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.service
            .read(|world, _| world.outbox.refusals().cloned().collect())
    }

    /// Returns as soon as `done` holds; it is asked again whenever something happens here.
    /// Waits for ever if it never does: the caller has the deadline.
    pub async fn until(&self, mut done: impl FnMut(&Self) -> bool) {
        let mut bell = self.service.bell();
        while !done(self) {
            let rung = bell.changed().await;
            rung.expect("the service, which holds the bell, lives as long as this handle");
        }
    }

    /// Closes the port and every connection, and returns when that is done.
    pub async fn stop(mut self) {
        self.server.abort();
        // Aborted is what it is meant to be.
        let _ = (&mut self.server).await;
    }

    fn filtered(&self, wanted: impl Fn(Fate) -> bool) -> Vec<Message> {
        let wanted = |message: &&Message| wanted(message.fate);
        self.service
            .read(|world, _| world.outbox.messages().filter(wanted).cloned().collect())
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.server.abort();
    }
}
