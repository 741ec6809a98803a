//! What becomes of a message on its way.

use crate::{Network, plan::Dice};

/// How long each copy of a message takes, in milliseconds: none where it is lost.
pub(crate) type Fate = Vec<u64>;

/// Asks the dice what becomes of one message.
pub(crate) fn fate(dice: &mut Dice, network: &Network) -> Fate {
    let chance = u32::try_from(dice.below(1000)).unwrap_or(0);
    let usual = 1 + dice.next() % network.usual_millis.max(1);
    let slow = 1 + dice.next() % network.slow_millis.max(1);
    if chance < network.lost {
        Fate::new()
    } else if chance < network.lost + network.doubled {
        vec![usual, slow]
    } else if chance < network.lost + network.doubled + network.slow {
        vec![slow]
    } else {
        vec![usual]
    }
}

impl Network {
    /// Where everything arrives, once and soon.
    pub(crate) fn healed() -> Self {
        Self {
            lost: 0,
            doubled: 0,
            slow: 0,
            usual_millis: 20,
            slow_millis: 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fare_as_often_as_the_network_says() {
        let network = Network {
            lost: 100,
            doubled: 200,
            slow: 300,
            ..Network::default()
        };
        let mut dice = Dice::new(1, 0);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            let fate = fate(&mut dice, &network);
            counts[fate.len()] += 1;
        }
        assert!((800..1200).contains(&counts[0]), "{counts:?}");
        assert!((1700..2300).contains(&counts[2]), "{counts:?}");
        let mut dice = Dice::new(1, 0);
        assert!((0..1000).all(|_| fate(&mut dice, &Network::healed()).len() == 1));
    }
}
