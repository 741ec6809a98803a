use tls_codec::{DeserializeBytes, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Bytes, Credential, Node, RequiredCapabilities, decode, open_number};
use crate::Error;

open_number! {
    /// The type of an extension (RFC 9420 §17.3).
    ExtensionType {
        /// `application_id` (§5.3.3)
        APPLICATION_ID = 1,
        /// `ratchet_tree` (§12.4.3.3)
        RATCHET_TREE = 2,
        /// `required_capabilities` (§11.1)
        REQUIRED_CAPABILITIES = 3,
        /// `external_pub` (§12.4.3.2)
        EXTERNAL_PUB = 4,
        /// `external_senders` (§12.1.8.1)
        EXTERNAL_SENDERS = 5,
    }
}

impl ExtensionType {
    /// Whether every client knows it, so that capabilities don't list it (§7.2).
    pub fn is_default(self) -> bool {
        (1..=5).contains(&self.0)
    }
}

/// One extension, kept as it came: what is not understood is carried on unchanged (§13.4).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct Extension {
    /// What it is.
    pub extension_type: ExtensionType,
    /// Its content, whose form depends on the type.
    pub extension_data: Bytes,
}

/// A list of extensions. The typed readers below parse what this crate understands.
#[derive(Debug, Clone, PartialEq, Eq, Default, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct Extensions(pub Vec<Extension>);

impl Extensions {
    /// The types in the list.
    pub fn types(&self) -> impl Iterator<Item = ExtensionType> {
        self.0.iter().map(|extension| extension.extension_type)
    }

    /// The content of the extension of this type, if the list has it.
    pub fn find(&self, kind: ExtensionType) -> Option<&[u8]> {
        let mut all = self.0.iter();
        all.find(|extension| extension.extension_type == kind)
            .map(|extension| extension.extension_data.as_slice())
    }

    /// What every member must be able to do.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the extension is there and is not one.
    pub fn required_capabilities(&self) -> Result<Option<RequiredCapabilities>, Error> {
        self.read(ExtensionType::REQUIRED_CAPABILITIES)
    }

    /// Who may send proposals from outside, by index.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the extension is there and is not one.
    pub fn external_senders(&self) -> Result<Option<Vec<ExternalSender>>, Error> {
        self.read(ExtensionType::EXTERNAL_SENDERS)
    }

    /// The HPKE public key for external init.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the extension is there and is not one.
    pub fn external_pub(&self) -> Result<Option<Bytes>, Error> {
        self.read(ExtensionType::EXTERNAL_PUB)
    }

    /// The nodes of the ratchet tree, up to the last that is not blank.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the extension is there and is not one.
    pub fn ratchet_tree(&self) -> Result<Option<Vec<Option<Node>>>, Error> {
        self.read(ExtensionType::RATCHET_TREE)
    }

    /// Refuses a list that holds a type twice.
    ///
    /// # Errors
    /// [`Error::DuplicateExtension`].
    pub fn check_unique(&self) -> Result<(), Error> {
        let mut types: Vec<_> = self.types().collect();
        types.sort_unstable();
        // RFC 9420 §13.4
        match types.windows(2).any(|pair| pair[0] == pair[1]) {
            true => Err(Error::DuplicateExtension),
            false => Ok(()),
        }
    }

    fn read<T: DeserializeBytes>(&self, kind: ExtensionType) -> Result<Option<T>, Error> {
        self.find(kind).map(decode).transpose()
    }
}

/// Someone outside the group who may send proposals to it (RFC 9420 §12.1.8.1).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct ExternalSender {
    /// The key that signs the proposals.
    pub signature_key: Bytes,
    /// Who this is.
    pub credential: Credential,
}
