//! Who plays whom.

use std::str::FromStr;

use anyhow::Context as _;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Casts of one script: three clients and the eight actors that an official script has at most give 6,561.
const CASTS_MAX: usize = 10_000;

/// Which assignments of clients to actors are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assign {
    /// Each there is.
    All,
    /// As many as there are clients: they take turns in the order in which actors appear, and each begins
    /// once.
    Turns,
    /// One for each script, suite and mode, drawn from this seed.
    Random(u64),
}

impl FromStr for Assign {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match (text, text.strip_prefix("random=")) {
            ("all", _) => Ok(Self::All),
            ("turns", _) => Ok(Self::Turns),
            ("random", _) => Ok(Self::Random(0)),
            (_, Some(seed)) => Ok(Self::Random(seed.parse()?)),
            _ => None.context("it is one of: all, turns, random, random=SEED"),
        }
    }
}

impl Assign {
    /// For each cast, each actor's client by its place; `number` sets apart what is drawn.
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn casts(
        self,
        actors: usize,
        clients: usize,
        number: u64,
    ) -> anyhow::Result<Vec<Vec<usize>>> {
        match self {
            Self::All => {
                let exponent = u32::try_from(actors)?;
                let count = clients.checked_pow(exponent);
                let count = count.filter(|count| *count <= CASTS_MAX);
                let count = count.context("too many casts: let them be drawn at random")?;
                Ok((0..count)
                    .map(|cast| digits(cast, actors, clients))
                    .collect())
            }
            Self::Turns => {
                let cast = |first| (0..actors).map(|actor| (first + actor) % clients).collect();
                Ok((0..clients).map(cast).collect())
            }
            Self::Random(seed) => {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(number);
                let mut draw = || random.next_u32() as usize % clients;
                Ok(vec![(0..actors).map(|_| draw()).collect()])
            }
        }
    }
}

/// A number's digits in a base, the lowest first.
fn digits(mut number: usize, count: usize, base: usize) -> Vec<usize> {
    let mut digits = Vec::with_capacity(count);
    for _ in 0..count {
        digits.push(number % base);
        number /= base;
    }
    digits
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_casts_are_all_that_there_are() {
        let casts = Assign::All.casts(3, 2, 0).unwrap();
        let distinct: BTreeSet<_> = casts.iter().collect();
        assert_eq!((casts.len(), distinct.len()), (8, 8));
        assert!(Assign::All.casts(30, 2, 0).is_err());
    }

    #[test]
    fn a_seed_gives_the_same_casts_again_and_others_elsewhere() {
        let draw = |seed, number| Assign::Random(seed).casts(40, 3, number).unwrap();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }
}
