//! The recovery phrase: a user's identity key as words to be written down.

use std::{fmt, str::FromStr};

use bip39::{Language, Mnemonic};
use conclave_protocol::SigningKey;
use zeroize::Zeroizing;

use crate::ClientError;

/// A user's identity key as 24 words (BIP 39, English), of which the last holds a checksum. Whoever
/// has them can be the user: link devices, revoke them, and read on in all groups.
#[derive(Clone)]
pub struct RecoveryPhrase(Zeroizing<[u8; SigningKey::SEED_BYTES]>);

/// Who comes back, with what, and what becomes of the devices that are left behind.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The user's name at the server.
    pub name: String,
    /// The phrase of this user.
    pub phrase: RecoveryPhrase,
    /// Whether all other devices are revoked, once the new one is in the user's groups.
    pub revokes_others: bool,
}

impl RecoveryPhrase {
    /// The words, in order.
    ///
    /// # Panics
    /// Never: 32 bytes are 24 words.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        // Of 32 bytes every value has its words.
        #[expect(clippy::expect_used)]
        let phrase = Mnemonic::from_entropy(self.0.as_slice()).expect("32 bytes are 24 words");
        phrase.words().collect()
    }

    pub(crate) fn of(identity: &SigningKey) -> Self {
        Self(identity.seed())
    }

    pub(crate) fn identity(&self) -> SigningKey {
        SigningKey::from_seed(&self.0)
    }
}

impl FromStr for RecoveryPhrase {
    type Err = ClientError;

    /// Reads the words as a person may have written them: on one line or several, in capitals or
    /// not, with numbers before them or without.
    fn from_str(text: &str) -> Result<Self, ClientError> {
        let text = Zeroizing::new(text.to_lowercase());
        let words = text
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| !word.is_empty());
        let words = Zeroizing::new(words.collect::<Vec<_>>().join(" "));
        let phrase = Mnemonic::parse_in_normalized(Language::English, &words);
        let phrase = phrase.map_err(|_| ClientError::Phrase)?;
        let (entropy, length) = phrase.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let seed = entropy.get(..length).and_then(|seed| seed.try_into().ok());
        Ok(Self(Zeroizing::new(seed.ok_or(ClientError::Phrase)?)))
    }
}

impl fmt::Debug for RecoveryPhrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryPhrase(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_read_back_as_people_write_it_and_a_wrong_word_is_noticed() {
        let identity = SigningKey::from_seed(&[7; 32]);
        let phrase = RecoveryPhrase::of(&identity);
        let words = phrase.words();
        assert_eq!(words.len(), 24);
        let numbered = words.iter().zip(1..);
        let numbered: String = numbered
            .map(|(word, at)| format!("{at:>2}. {word}\n"))
            .collect();
        for text in [words.join(" "), numbered.to_uppercase()] {
            let read: RecoveryPhrase = text.parse().unwrap();
            assert_eq!(read.identity().seed(), identity.seed());
            assert!(!format!("{read:?}").contains(words[0]));
        }
        let mut swapped = words.clone();
        swapped.swap(0, 1);
        // Half of a longer phrase, and a phrase of twelve words, are valid in BIP 39.
        for wrong in [swapped.join(" "), words[..23].join(" "), String::new()] {
            assert!(matches!(
                wrong.parse::<RecoveryPhrase>(),
                Err(ClientError::Phrase)
            ));
        }
        let twelve = "abandon ".repeat(11) + "about";
        assert!(matches!(
            twelve.parse::<RecoveryPhrase>(),
            Err(ClientError::Phrase)
        ));
    }
}
