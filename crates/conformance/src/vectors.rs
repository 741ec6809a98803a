//! Vector files: which kind one is, told from its content, and its entries.

pub(crate) mod hex;
pub(crate) mod shapes;

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Bytes of one vector file: the largest official ones have about 20 MiB.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The kinds of vectors: for each, its name, a field that no other kind has, and its shape.
macro_rules! kinds {
    ($($kind:ident $name:literal $field:literal $shape:ident;)*) => {
        /// What a vector tests.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind { $(#[doc = $name] $kind,)* }

        impl Kind {
            /// The kind's name: that of the official file.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            fn of(entry: &Value) -> Option<Self> {
                $(if entry.get($field).is_some() { return Some(Self::$kind); })*
                None
            }

            fn parse(self, entry: Value) -> anyhow::Result<Vector> {
                Ok(match self { $(Self::$kind => Vector::$kind(shape(entry)?),)* })
            }
        }

        /// One entry of a file.
        #[allow(clippy::large_enum_variant, reason = "one is alive at a time")]
        pub(crate) enum Vector { $(#[doc = $name] $kind(shapes::$shape),)* }

        impl Vector {
            /// What this entry tests.
            pub(crate) fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* }
            }
        }
    };
}

kinds! {
    TreeMath "tree-math" "n_leaves" TreeMath;
    Deserialization "deserialization" "vlbytes_header" Deserialization;
    CryptoBasics "crypto-basics" "ref_hash" CryptoBasics;
    SecretTree "secret-tree" "sender_data" SecretTree;
    MessageProtection "message-protection" "proposal_pub" MessageProtection;
    KeySchedule "key-schedule" "initial_init_secret" KeySchedule;
    PskSecret "psk_secret" "psks" PskSecret;
    TranscriptHashes "transcript-hashes" "authenticated_content" TranscriptHashes;
    Welcome "welcome" "signer_pub" Welcome;
    TreeOperations "tree-operations" "tree_before" TreeOperations;
    TreeValidation "tree-validation" "tree_hashes" TreeValidation;
    TreeKem "treekem" "leaves_private" TreeKem;
    Messages "messages" "mls_welcome" Messages;
    PassiveClient "passive-client" "initial_epoch_authenticator" PassiveClient;
    PartialSyntax "partial message-syntax" "copath_hash" PartialSyntax;
    PartialProofs "partial membership-proofs" "proofs" PartialProofs;
    PartialTree "partial tree-operations" "resolution_index" PartialOther;
    PartialSender "partial sender-authenticated-messages" "sender_authenticated_message" PartialOther;
    PartialWelcome "partial annotated-welcome" "joiner_leaf_index" PartialOther;
    PartialCommit "partial annotated-commit" "state_after" PartialOther;
}

impl Vector {
    /// The cipher suite that the entry needs, if it names one.
    pub(crate) fn suite(&self) -> Option<u16> {
        match self {
            Self::TreeMath(_) | Self::Deserialization(_) | Self::Messages(_) => None,
            Self::CryptoBasics(vector) => Some(vector.cipher_suite),
            Self::SecretTree(vector) => Some(vector.cipher_suite),
            Self::MessageProtection(vector) => Some(vector.cipher_suite),
            Self::KeySchedule(vector) => Some(vector.cipher_suite),
            Self::PskSecret(vector) => Some(vector.cipher_suite),
            Self::TranscriptHashes(vector) => Some(vector.cipher_suite),
            Self::Welcome(vector) => Some(vector.cipher_suite),
            Self::TreeOperations(vector) => Some(vector.cipher_suite),
            Self::TreeValidation(vector) => Some(vector.cipher_suite),
            Self::TreeKem(vector) => Some(vector.cipher_suite),
            Self::PassiveClient(vector) => Some(vector.cipher_suite),
            Self::PartialSyntax(vector) => Some(vector.cipher_suite),
            Self::PartialProofs(vector) => Some(vector.cipher_suite),
            Self::PartialTree(vector)
            | Self::PartialSender(vector)
            | Self::PartialWelcome(vector)
            | Self::PartialCommit(vector) => Some(vector.cipher_suite),
        }
    }
}

/// Reads one vector file.
///
/// # Errors
///
/// If the file can't be read or is too large; as [`parse`].
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Vector>> {
    let length = path.metadata()?.len();
    if length > FILE_BYTES_MAX {
        bail!("the file is larger than {FILE_BYTES_MAX} bytes");
    }
    parse(&std::fs::read(path)?)
}

/// The entries of a vector file with this content.
///
/// # Errors
///
/// If it is no JSON array, is empty, or holds an entry of no known kind.
pub(crate) fn parse(bytes: &[u8]) -> anyhow::Result<Vec<Vector>> {
    let entries: Vec<Value> = serde_json::from_slice(bytes).context("not a JSON array")?;
    if entries.is_empty() {
        bail!("the file holds no entry");
    }
    entries
        .into_iter()
        .enumerate()
        .map(|(index, entry)| {
            let kind = Kind::of(&entry)
                .with_context(|| format!("entry {index} is of no kind of vector known here"))?;
            kind.parse(entry)
                .with_context(|| format!("entry {index} ({})", kind.name()))
        })
        .collect()
}

fn shape<T: DeserializeOwned>(entry: Value) -> anyhow::Result<T> {
    Ok(serde_json::from_value(entry)?)
}

/// That two values are the same bytes.
///
/// # Errors
///
/// If not; the text names `what` and shows both, since vectors hold nobody's secrets.
pub(crate) fn same(what: &str, got: &[u8], expected: &[u8]) -> anyhow::Result<()> {
    let (got, expected) = (hex::Hex::from(got), hex::Hex::from(expected));
    anyhow::ensure!(
        got == expected,
        "{what} is {got:?} and should be {expected:?}"
    );
    Ok(())
}
