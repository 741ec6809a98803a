//! What checks vectors.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use crate::{
    mls_rs_engine::MlsRs,
    openmls_engine::OpenMls,
    ours::Ours,
    vectors::{Kind, Vector},
};

/// An MLS implementation that vectors can be given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineName {
    /// Conclave's `mls-public` and `mls-member`.
    Ours,
    /// OpenMLS, by its public API.
    Openmls,
    /// mls-rs with its AWS-LC provider, by its public API.
    MlsRs,
}

impl EngineName {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 3] = [Self::Ours, Self::Openmls, Self::MlsRs];

    /// The name as it is typed and printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Openmls => "openmls",
            Self::MlsRs => "mls-rs",
        }
    }

    /// The suites that it has the algorithms of.
    pub fn suites(self) -> Vec<u16> {
        let all = 1..=SUITE_MAX;
        all.filter(|suite| self.engine().supports(*suite)).collect()
    }

    fn engine(self) -> &'static dyn Engine {
        match self {
            Self::Ours => &Ours,
            Self::Openmls => &OpenMls,
            Self::MlsRs => &MlsRs,
        }
    }

    /// What the engine makes of this entry. A panic is a failure like any other.
    pub(crate) fn judge(self, vector: &Vector) -> Verdict {
        let engine = self.engine();
        if let Some(reason) = unsupported(engine, vector) {
            return Verdict::Skip(reason);
        }
        match catch_unwind(AssertUnwindSafe(|| engine.check(vector))) {
            Ok(Ok(())) => Verdict::Pass,
            Ok(Err(error)) => match engine.excuse(&error) {
                Some(reason) => Verdict::Skip(reason),
                None => Verdict::Fail(format!("{error:#}")),
            },
            Err(_) => Verdict::Fail("the engine panicked".to_owned()),
        }
    }
}

/// The last suite of RFC 9420 §17.1.
const SUITE_MAX: u16 = 7;

/// What came of one entry.
pub(crate) enum Verdict {
    /// All that the entry asks for holds.
    Pass,
    /// Something does not; the text says what.
    Fail(String),
    /// It was not tried; the text says why.
    Skip(&'static str),
}

/// An engine's side of the checks.
pub(crate) trait Engine: Sync {
    /// Why vectors of this kind can't be given to this engine, if so.
    fn skips(&self, kind: Kind) -> Option<&'static str>;

    /// Whether the engine has the cipher suite's algorithms.
    fn supports(&self, suite: u16) -> bool;

    /// Why a failure says nothing about the engine, if so.
    fn excuse(&self, _: &anyhow::Error) -> Option<&'static str> {
        None
    }

    /// Checks one entry.
    ///
    /// # Errors
    ///
    /// Whatever does not hold.
    fn check(&self, vector: &Vector) -> anyhow::Result<()>;
}

/// Kinds whose entries name a suite and use none of its algorithms.
const WITHOUT_CRYPTO: [Kind; 1] = [Kind::PartialSyntax];

fn unsupported(engine: &dyn Engine, vector: &Vector) -> Option<&'static str> {
    let suite = vector
        .suite()
        .filter(|_| !WITHOUT_CRYPTO.contains(&vector.kind()));
    engine.skips(vector.kind()).or(match suite {
        Some(suite) if engine.supports(suite) => None,
        Some(4 | 6) => Some("suites 4 and 6 need X448 and Ed448, which the provider lacks"),
        Some(1..=7) => Some("the engine's provider lacks the suite"),
        Some(_) => Some("the suite is none of RFC 9420 §17.1"),
        None => None,
    })
}
