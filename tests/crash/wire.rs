//! The wire between the router and all providers. It sees each request before and each answer after
//! its provider, holds answers back as a slow provider would, and can kill the router at the moment
//! in which an answer has left.
//!
//! It knows HTTP only as far as one message ends and the next begins, so that the providers decide
//! what is said: WeCom's simulator for WeCom, and a plain 200 for webhooks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::client::read_message;
use crate::ledger::Ledger;
use crate::random::Random;
use crate::router::Trigger;
use crate::world::{Channel, addressee};

/// How long a provider takes to answer, in milliseconds: long enough that most destinations have a
/// message under way when the router dies.
const SLOW: (u64, u64) = (50, 500);
/// Answers with this request that all connections before it have been accepted.
const BARRIER: &str = "/barrier";

/// All providers, as the router sees them.
pub(crate) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    sim: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
    random: Mutex<Random>,
    trigger: Arc<Trigger>,
    /// Whose next answer kills the router.
    aim: Mutex<Option<Channel>>,
    /// Connections that have not ended.
    open: watch::Sender<usize>,
    hurry: watch::Sender<bool>,
}

impl Wire {
    pub(crate) async fn start(
        sim: SocketAddr,
        trigger: &Arc<Trigger>,
        ledger: &Arc<Mutex<Ledger>>,
        random: Random,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            sim,
            ledger: Arc::clone(ledger),
            random: Mutex::new(random),
            trigger: Arc::clone(trigger),
            aim: Mutex::new(None),
            open: watch::Sender::new(0),
            hurry: watch::Sender::new(false),
        });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next answer of this channel is the last thing that the router is sent.
    pub(crate) fn aim(&self, channel: Option<Channel>) {
        *self.shared.aim.lock().expect("no panic") = channel;
    }

    /// From now on providers answer at once.
    pub(crate) fn hurry(&self) {
        self.shared.hurry.send_replace(true);
    }

    /// Returns when all that a dead router has sent is noted: the queue of connections is first in,
    /// first out, so when ours is answered all of its connections are known, and then each ends.
    pub(crate) async fn quiesce(&self) {
        let mut barrier = TcpStream::connect(self.address).await.expect("it listens");
        let request = format!("GET {BARRIER} HTTP/1.1\r\n\r\n");
        barrier.write_all(request.as_bytes()).await.expect("sent");
        let mut passed = Vec::new();
        barrier.read_to_end(&mut passed).await.expect("an end");
        drop(barrier);
        let mut open = self.shared.open.subscribe();
        let none = open.wait_for(|open| *open == 0).await;
        none.expect("the wire lives as long as this handle");
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.expect("descriptors are left");
        shared.open.send_modify(|open| *open += 1);
        let counted = Counted(Arc::clone(&shared));
        tokio::spawn(async move {
            // An error is a router that died in the midst of a message.
            let _died = serve(stream, &counted.0).await;
        });
    }
}

async fn serve(mut router: TcpStream, shared: &Shared) -> std::io::Result<()> {
    router.set_nodelay(true)?;
    let mut provider = None;
    while let Some((head, body)) = read_message(&mut router).await? {
        let path = head.split(' ').nth(1).expect("a request has a path");
        if path == BARRIER {
            return Ok(());
        }
        let to = addressee(path, &body);
        let note = to.map(|to| shared.ledger().take(to, &body));
        let answer = match to.map(|to| to.channel) {
            Some(Channel::Hook) => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Some(Channel::Bot | Channel::App) | None => {
                pass_on(&mut provider, shared.sim, &head, &body).await
            }
        };
        let Some((to, note)) = to.zip(note) else {
            router.write_all(&answer).await?;
            continue;
        };
        shared.hold().await;
        if !shared.trigger.is_armed() {
            // A signal may take a moment to arrive: a router that is about to die gets no answer, so
            // that what is not noted as answered was not answered. Nor is it hung up on, which it
            // could still write down as a failure: it dies while it waits.
            router.read_to_end(&mut Vec::new()).await?;
            return Ok(());
        }
        router.write_all(&answer).await?;
        shared.strike_if_aimed_at(to.channel);
        shared.ledger().answered(note);
    }
    Ok(())
}

/// Lets the simulator handle a request, byte for byte, and returns its answer.
async fn pass_on(
    provider: &mut Option<TcpStream>,
    sim: SocketAddr,
    head: &str,
    body: &[u8],
) -> Vec<u8> {
    let connection = match provider {
        Some(connection) => connection,
        none @ None => none.insert(TcpStream::connect(sim).await.expect("the simulator lives")),
    };
    let request = [head.as_bytes(), body].concat();
    connection.write_all(&request).await.expect("it listens");
    let answer = read_message(connection).await.expect("it answers");
    let (head, body) = answer.expect("it closes nothing on its own");
    [head.as_bytes(), &body].concat()
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic")
    }

    /// Waits as long as a slow provider, or until nobody waits for the answer any more.
    async fn hold(&self) {
        let (from, to) = SLOW;
        let time: Duration = self.random.lock().expect("no panic").millis(from, to);
        let (mut dead, mut hurry) = (self.trigger.struck(), self.hurry.subscribe());
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = dead.wait_for(|struck| *struck) => {}
            _ = hurry.wait_for(|hurry| *hurry) => {}
        }
    }

    fn strike_if_aimed_at(&self, channel: Channel) {
        let mut aim = self.aim.lock().expect("no panic");
        if aim.take_if(|aim| *aim == channel).is_some() {
            self.trigger.strike();
        }
    }
}

/// A connection, as long as it is open.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}
