//! Connections that can be cut. What is still served when the grace is over would be lost with the process,
//! and nobody would hear of it; cut, it ends like a request whose client has left, and its span is exported.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use axum::serve::Listener;
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A listener whose connections can be cut.
pub(super) struct Cuttable {
    listener: TcpListener,
    connections: Connections,
}

/// All that were accepted and are not closed. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Vec<Weak<State>>>>);

/// What a connection and whoever cuts it share.
#[derive(Default)]
struct State {
    is_cut: AtomicBool,
    task: AtomicWaker,
}

/// An accepted connection.
pub(super) struct Connection {
    stream: TcpStream,
    state: Arc<State>,
}

impl Cuttable {
    pub(super) fn new(listener: TcpListener, connections: Connections) -> Self {
        Self {
            listener,
            connections,
        }
    }
}

impl Connections {
    /// Ends each connection when its task runs next, which it is told to.
    pub(super) fn cut(&self) {
        for state in self.lock().iter().filter_map(Weak::upgrade) {
            state.is_cut.store(true, Ordering::Release);
            state.task.wake();
        }
    }

    fn add(&self, state: &Arc<State>) {
        let mut open = self.lock();
        if open.len() == open.capacity() {
            open.retain(|state| state.strong_count() > 0);
        }
        open.push(Arc::downgrade(state));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<State>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Cuttable {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let state = Arc::default();
        self.connections.add(&state);
        (Connection { stream, state }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connection {
    /// The stream, unless it was cut. The task is known before that is asked, so that it cannot be missed.
    fn open(&mut self, context: &Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        self.state.task.register(context.waker());
        if self.state.is_cut.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(Pin::new(&mut self.stream))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.open(context)?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.open(context)?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.open(context)?.poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open(context)?.poll_shutdown(context)
    }
}
