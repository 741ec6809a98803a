//! Implementations at work, each as an application would use it: with its own storage, which is
//! written after every step, as whoever must survive a crash has to.
//!
//! - *Conclave*: the engine of Conclave's clients (OpenMLS on AWS-LC, own storage), state in memory.
//! - *OpenMLS*: OpenMLS as it comes, on RustCrypto and its memory storage (JSON).
//! - *mls-rs*: mls-rs on AWS-LC, and on RustCrypto, state in its memory storage after each step.

mod mls_rs;
mod ours;

use conclave_benches_life::{Device, openmls};

/// An implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The engine of Conclave's clients.
    Conclave,
    /// OpenMLS as it comes.
    Openmls,
    /// mls-rs on AWS-LC.
    MlsRs,
    /// mls-rs on RustCrypto.
    MlsRsRustCrypto,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Conclave,
        Self::Openmls,
        Self::MlsRs,
        Self::MlsRsRustCrypto,
    ];
}

impl conclave_benches_life::Peer for Peer {
    fn name(&self) -> &'static str {
        match self {
            Self::Conclave => "Conclave",
            Self::Openmls => "OpenMLS, RustCrypto",
            Self::MlsRs => "mls-rs, AWS-LC",
            Self::MlsRsRustCrypto => "mls-rs, RustCrypto",
        }
    }

    fn device(&self, number: u32) -> anyhow::Result<Box<dyn Device>> {
        match self {
            Self::Conclave => ours::device(number),
            Self::Openmls => openmls::in_memory(number),
            Self::MlsRs => mls_rs::on_aws_lc(number),
            Self::MlsRsRustCrypto => mls_rs::on_rustcrypto(number),
        }
    }
}
