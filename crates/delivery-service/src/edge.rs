//! Between the network and the service: what a stranger can cost is decided here.
//!
//! A connection is counted, encrypted and asked to speak (`listener`, `tls`, `connection`). Each
//! request then passes the `gate`, before a byte of its body is read: who is asking, how often
//! (`rates`), from how old a program (`version`), how much memory the body may take (`body`),
//! and whether the client gets on with it (`pace`).

mod allowance;
mod body;
mod connection;
mod gate;
mod listener;
mod pace;
mod rates;
mod tls;
mod version;

pub use allowance::{Rate, RateLimits};
pub use tls::Tls;
pub use version::ClientVersion;

pub(crate) use connection::Peer;
pub(crate) use gate::{Gate, Rules};
pub(crate) use listener::{Bounds, listen};
pub(crate) use pace::Pace;
pub(crate) use rates::{Cost, Rates};
