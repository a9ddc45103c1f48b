//! The endpoints on a port of their own, on a thread of their own, so that a service whose
//! runtime is stuck can still be asked.

mod serve;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;

use crate::endpoint::EndpointSet;

/// A port that was given up is free after an instant, unless a scrape is stuck.
const CLOSING: Duration = Duration::from_secs(1);

/// The ports of this process that are open, or were a moment ago.
static PORTS: Mutex<Vec<Port>> = Mutex::new(Vec::new());

struct Port {
    address: SocketAddr,
    /// Who holds it.
    open: Weak<oneshot::Sender<()>>,
    /// Ends when the listener is gone.
    closed: Receiver<Infallible>,
}

/// The port is open while this lives.
#[derive(Debug)]
pub(crate) struct Admin {
    _stop: Arc<oneshot::Sender<()>>,
}

/// A port that is taken, and a thread that is ready to serve it. Dropped, it gives both back.
pub(crate) struct Taken {
    address: SocketAddr,
    listener: TcpListener,
    begin: SyncSender<Begin>,
    admin: Admin,
}

/// Who serves an address that an `init` asks for.
pub(crate) enum Wanted {
    Free(Taken),
    /// Another handle of this process.
    Ours,
}

/// What the thread waits for.
struct Begin {
    listener: TcpListener,
    endpoints: Arc<EndpointSet>,
}

impl Taken {
    /// Everything that can fail is done when it returns.
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        wait_for_closing(address);
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let (begin, told) = sync_channel(1);
        let (ready, is_ready) = sync_channel(1);
        let (gone, closed) = sync_channel(0);
        // The runtime is made and dropped on its thread, because neither may happen to it inside another.
        let work = move || {
            let _gone = gone;
            work(&ready, &told, stopped);
        };
        thread::Builder::new()
            .name("telemetry-admin".to_owned())
            .spawn(work)?;
        let is_up = is_ready.recv().unwrap_or(Err(io::ErrorKind::Other.into()));
        is_up?;
        let stop = Arc::new(stop);
        let mut ports = ports();
        ports.retain(|port| port.closed.try_recv() == Err(TryRecvError::Empty));
        ports.push(Port {
            address,
            open: Arc::downgrade(&stop),
            closed,
        });
        drop(ports);
        Ok(Self {
            address,
            listener,
            begin,
            admin: Admin { _stop: stop },
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the service's own port does not answer `/metrics`.
    pub(crate) fn serve(self, endpoints: Arc<EndpointSet>) -> Admin {
        endpoints.move_metrics();
        let listener = self.listener;
        // It waits for nothing else, and there is room.
        let _ = self.begin.try_send(Begin {
            listener,
            endpoints,
        });
        self.admin
    }
}

impl Wanted {
    /// Takes `address` unless this process serves it.
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let is_ours = |port: &Port| port.address == address && port.open.strong_count() > 0;
        if ports().iter().any(is_ours) {
            return Ok(Self::Ours);
        }
        Taken::new(address).map(Self::Free)
    }
}

/// Waits for a listener of ours that nobody holds any more and that may still be there.
fn wait_for_closing(address: SocketAddr) {
    let is_closing = |port: &Port| port.address == address && port.open.strong_count() == 0;
    let closing = {
        let mut ports = ports();
        let place = ports.iter().position(is_closing);
        place.map(|place| ports.swap_remove(place))
    };
    if let Some(port) = closing {
        match port.closed.recv_timeout(CLOSING) {
            Err(RecvTimeoutError::Disconnected) => {}
            // Then the address is in use, and that is the error.
            Err(RecvTimeoutError::Timeout) => ports().push(port),
        }
    }
}

fn ports() -> MutexGuard<'static, Vec<Port>> {
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(
    ready: &SyncSender<io::Result<()>>,
    told: &Receiver<Begin>,
    stopped: oneshot::Receiver<()>,
) {
    let built = runtime::Builder::new_current_thread().enable_all().build();
    let (runtime, is_up) = match built {
        Ok(runtime) => (Some(runtime), Ok(())),
        Err(error) => (None, Err(error)),
    };
    // Who asked waits for it.
    let _ = ready.send(is_up);
    if let (Some(runtime), Ok(begin)) = (runtime, told.recv()) {
        run(&runtime, begin, stopped);
    }
}

fn run(runtime: &Runtime, begin: Begin, stopped: oneshot::Receiver<()>) {
    runtime.block_on(async {
        tokio::select! {
            // There is nobody left to tell; a scrape finds nobody.
            _ = serve::serve(begin.listener, begin.endpoints) => {}
            // The handle is gone; a scrape under way may break.
            _ = stopped => {}
        }
    });
}
