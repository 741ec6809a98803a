//! What a member shows of its epoch (RFC 9420 §12.4.3).

use conclave_crypto::SigningKey;
use conclave_mls_public::{
    RatchetTree,
    wire::{Bytes, Extension, ExtensionType, Extensions, GroupContext, GroupInfo, encode},
};

use super::Group;
use crate::{EpochSecrets, error::Result};

/// An epoch, current or about to begin.
pub(super) struct EpochToShow<'a> {
    pub(super) context: &'a GroupContext,
    pub(super) tree: &'a RatchetTree,
    pub(super) secrets: &'a EpochSecrets,
    pub(super) confirmation_tag: Bytes,
}

impl Group {
    /// This epoch for outsiders, signed, with the tree and the key for external Commits.
    ///
    /// # Errors
    /// [`MemberError::Public`](crate::MemberError::Public) if it is too large.
    pub fn group_info(&self, key: &SigningKey) -> Result<GroupInfo> {
        self.show(true, key)
    }

    /// As [`group_info`](Self::group_info), for those who get the tree from elsewhere.
    ///
    /// # Errors
    /// As there.
    pub fn group_info_without_tree(&self, key: &SigningKey) -> Result<GroupInfo> {
        self.show(false, key)
    }

    fn show(&self, with_tree: bool, key: &SigningKey) -> Result<GroupInfo> {
        self.check_standing()?;
        let epoch = EpochToShow {
            context: self.public.context(),
            tree: self.public.tree(),
            secrets: &self.secrets,
            confirmation_tag: self.public.confirmation_tag().clone(),
        };
        epoch.group_info(self.leaf(), with_tree, key)
    }
}

impl EpochToShow<'_> {
    pub(super) fn group_info(
        self,
        signer: u32,
        with_tree: bool,
        key: &SigningKey,
    ) -> Result<GroupInfo> {
        let external_pub = Bytes::from(self.secrets.external_key_pair()?.public());
        let extension = |extension_type, data: Vec<u8>| Extension {
            extension_type,
            extension_data: data.into(),
        };
        let external_pub = encode(&external_pub)?;
        let mut extensions = vec![extension(ExtensionType::EXTERNAL_PUB, external_pub)];
        if with_tree {
            let tree = encode(&self.tree.to_nodes())?;
            extensions.push(extension(ExtensionType::RATCHET_TREE, tree));
        }
        let mut info = GroupInfo {
            group_context: self.context.clone(),
            extensions: Extensions(extensions),
            confirmation_tag: self.confirmation_tag,
            signer,
            signature: Vec::new().into(),
        };
        info.sign(key)?;
        Ok(info)
    }
}
