//! Letting connections in: only so many, only so many from one address, and each has to finish its
//! TLS handshake in time. A connection that is let in has a seat, which it gives back at its end.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};

use super::{
    connection::{Connection, Peer, Wire},
    rates::neighbourhood,
};
use crate::limits::{ACCEPT_PAUSE, GREETING_TIMEOUT};

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// In all.
    pub(crate) connections: usize,
    /// From one address that is not loopback.
    pub(crate) per_address: usize,
}

/// Accepts connections, whose number `taken` tells, until what is returned is dropped, which closes the listener.
pub(crate) fn listen(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    bounds: Bounds,
    taken: Gauge,
) -> impl Stream<Item = Result<Connection, Infallible>> {
    let (ready, connections) = mpsc::channel(1);
    let seats = Arc::new(Seats::new(bounds, taken));
    tokio::spawn(async move {
        tokio::select! {
            () = accept(&listener, tls, &seats, &ready) => {}
            () = ready.closed() => {}
        }
    });
    ReceiverStream::new(connections).map(Ok)
}

async fn accept(
    listener: &TcpListener,
    tls: Option<TlsAcceptor>,
    seats: &Arc<Seats>,
    ready: &mpsc::Sender<Connection>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Who gets no seat is hung up on: to say why would cost what is to be saved.
                let Some(seat) = seats.take(address.ip()) else {
                    continue;
                };
                let (tls, ready) = (tls.clone(), ready.clone());
                tokio::spawn(async move {
                    let opening = open(stream, address, tls, seat);
                    if let Ok(Ok(connection)) =
                        tokio::time::timeout(GREETING_TIMEOUT, opening).await
                    {
                        // Nobody takes it where the service has stopped.
                        let _ = ready.send(connection).await;
                    }
                });
            }
            // Too many open files, most likely: those who are here have to leave first.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn open(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    seat: Seat,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let wire = match tls {
        Some(tls) => Wire::Encrypted(Box::new(tls.accept(stream).await?)),
        None => Wire::Plain(stream),
    };
    Ok(Connection::new(wire, Peer::new(address), seat))
}

/// Who is here.
struct Seats {
    bounds: Bounds,
    taken: Mutex<Taken>,
    shown: Gauge,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The right to be connected; dropping it gives it back.
pub(super) struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

impl Seats {
    fn new(bounds: Bounds, shown: Gauge) -> Self {
        Self {
            bounds,
            taken: Mutex::default(),
            shown,
        }
    }

    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let address = neighbourhood(address.to_canonical(), false);
        let mut taken = self.taken();
        let here = taken.by_address.get(&address).copied().unwrap_or(0);
        let is_crowded = here >= self.bounds.per_address && !address.is_loopback();
        if taken.all >= self.bounds.connections || is_crowded {
            return None;
        }
        taken.all += 1;
        self.shown.inc();
        taken.by_address.insert(address, here + 1);
        Some(Seat {
            seats: Arc::clone(self),
            address,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all -= 1;
        self.seats.shown.dec();
        if let Some(here) = taken.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_and_come_back() {
        let (bounds, shown) = (
            Bounds {
                connections: 5,
                per_address: 2,
            },
            Gauge::default(),
        );
        let seats = Arc::new(Seats::new(bounds, shown.clone()));
        let take = |address: &str| seats.take(address.parse().unwrap());
        let first = take("192.0.2.1").unwrap();
        let second = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none(), "too many from there");
        let others = [take("127.0.0.1"), take("127.0.0.1"), take("127.0.0.1")];
        assert!(others.iter().all(Option::is_some), "loopback is no address");
        assert!(take("192.0.2.2").is_none(), "too many in all");
        drop(first);
        let third = take("192.0.2.1").unwrap();
        assert_eq!(shown.get(), 5);
        drop((second, third, others));
        assert_eq!((seats.taken().all, shown.get()), (0, 0));
        assert!(seats.taken().by_address.is_empty());
    }
}
