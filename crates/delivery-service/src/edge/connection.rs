//! One connection: who is at its other end, and when it is given up.

use std::{
    future::Future as _,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, Sleep},
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{listener::Seat, pace::Pace};
use crate::limits::GREETING_TIMEOUT;

/// Bytes of the HTTP/2 connection preface (RFC 9113 §3.4), the first thing that a client says.
const PREFACE_BYTES: usize = 24;

/// Who is at the other end of a connection, and the means to end it. Every request carries it.
#[derive(Clone)]
pub(crate) struct Peer {
    address: SocketAddr,
    line: Arc<Mutex<Line>>,
}

#[derive(Default)]
struct Line {
    is_cut: bool,
    reader: Option<Waker>,
}

impl Peer {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            line: Arc::default(),
        }
    }

    /// Where the connection comes from.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the connection with all that runs on it: its client does not read what it asked for.
    pub(crate) fn hang_up(&self) {
        let mut line = lock(&self.line);
        line.is_cut = true;
        if let Some(reader) = line.reader.take() {
            reader.wake();
        }
    }

    /// Ends the connection if its reader falls behind while what is returned lives.
    pub(super) fn watch(&self) -> Watch {
        let peer = self.clone();
        let pace = Arc::new(Mutex::new(Pace::starting(Instant::now())));
        let watched = Arc::clone(&pace);
        let watching = tokio::spawn(async move {
            loop {
                let deadline = lock(&watched).deadline();
                if deadline <= Instant::now() {
                    break peer.hang_up();
                }
                tokio::time::sleep_until(deadline).await;
            }
        });
        Watch { pace, watching }
    }

    #[cfg(test)]
    pub(super) fn is_cut(&self) -> bool {
        lock(&self.line).is_cut
    }

    /// Whether the connection was cut; if not, the reader is woken when it is.
    fn poll_cut(&self, context: &Context<'_>) -> bool {
        let mut line = lock(&self.line);
        match &mut line.reader {
            Some(reader) => reader.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        line.is_cut
    }
}

/// That somebody watches a reader; dropped when all was sent.
pub(super) struct Watch {
    pace: Arc<Mutex<Pace>>,
    watching: JoinHandle<()>,
}

impl Watch {
    /// The reader has let more be sent.
    pub(super) fn moved(&self, bytes: usize) {
        lock(&self.pace).moved(bytes, Instant::now());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes below HTTP/2.
pub(super) enum Wire {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// A connection that was let in.
pub(crate) struct Connection {
    wire: Wire,
    peer: Peer,
    /// Until the client has said who it is: how long it may still take, and what is missing.
    greeting: Option<(Pin<Box<Sleep>>, usize)>,
    _seat: Seat,
}

impl Connection {
    pub(super) fn new(wire: Wire, peer: Peer, seat: Seat) -> Self {
        let patience = Box::pin(tokio::time::sleep(GREETING_TIMEOUT));
        Self {
            wire,
            peer,
            greeting: Some((patience, PREFACE_BYTES)),
            _seat: seat,
        }
    }

    fn poll_patience(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.peer.poll_cut(context) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if let Some((patience, _)) = &mut self.greeting
            && patience.as_mut().poll(context).is_ready()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_patience(context)?;
        let before = buffer.filled().len();
        let read = match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let received = buffer.filled().len() - before;
        if let Some((_, missing)) = &mut self.greeting {
            *missing = missing.saturating_sub(received);
            if *missing == 0 {
                self.greeting = None;
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Wire::Encrypted(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Encrypted(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::IDLE_TIMEOUT;

    #[tokio::test(start_paused = true)]
    async fn a_reader_is_waited_for_as_long_as_it_reads() {
        let peer = Peer::new(([127, 0, 0, 1], 1).into());
        let watch = peer.watch();
        let second = Duration::from_secs(1);
        for _ in 0..20 {
            tokio::time::sleep(IDLE_TIMEOUT - second).await;
            watch.moved(4 * 1024 * 1024);
        }
        assert!(!peer.is_cut(), "twenty minutes, and it still reads");
        tokio::time::sleep(IDLE_TIMEOUT + second).await;
        assert!(peer.is_cut(), "it has stopped");

        let patient = Peer::new(([127, 0, 0, 1], 2).into());
        drop(patient.watch());
        tokio::time::sleep(10 * IDLE_TIMEOUT).await;
        assert!(!patient.is_cut(), "it has read all");
    }
}
