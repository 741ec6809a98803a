//! How content is signed and tagged (RFC 9420 §6.1, §6.2).

use conclave_crypto::{CipherSuite, Hash, SigningKey};
use tls_codec::{Serialize as _, Size as _};

use crate::{
    Error,
    wire::{
        AuthData, AuthenticatedContent, Bytes, Content, FramedContent, GroupContext, MLS10,
        Proposal, PublicMessage, Sender, WireFormat,
    },
};

const LABEL: &str = "FramedContentTBS";

impl AuthenticatedContent {
    /// Signs content. A Commit's confirmation tag can be computed only afterwards, and is left out.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library fails, [`Error::TooLarge`].
    pub fn sign(
        wire_format: WireFormat,
        content: FramedContent,
        context: &GroupContext,
        key: &SigningKey,
    ) -> Result<Self, Error> {
        let input = to_be_signed(wire_format, &content, context)?;
        let auth = AuthData {
            signature: key.sign_with_label(LABEL, &input)?.into(),
            confirmation_tag: None,
        };
        Ok(Self {
            wire_format,
            content,
            auth,
        })
    }

    /// Checks the signature against the sender's key.
    ///
    /// # Errors
    /// [`Error::MessageSignature`].
    pub fn verify(
        &self,
        suite: CipherSuite,
        context: &GroupContext,
        signature_key: &[u8],
    ) -> Result<(), Error> {
        let input = to_be_signed(self.wire_format, &self.content, context)?;
        let signature = self.auth.signature.as_slice();
        // RFC 9420 §6.1
        suite
            .verify_with_label(signature_key, LABEL, &input, signature)
            .map_err(|_| Error::MessageSignature)
    }

    /// The name by which a Commit may call a proposal: `ProposalRef` (RFC 9420 §5.2).
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn proposal_reference(&self, suite: CipherSuite) -> Result<Hash, Error> {
        Ok(suite.ref_hash("MLS 1.0 Proposal Reference", &crate::wire::encode(self)?))
    }
}

impl PublicMessage {
    /// A proposal of somebody who is no member (RFC 9420 §12.1.8): one of the group's external senders,
    /// or a client that asks to be added, with the key of its KeyPackage.
    ///
    /// # Errors
    /// [`Error::ProposalSender`] if the sender is another; [`Error::Crypto`], [`Error::TooLarge`].
    pub fn propose_from_outside(
        sender: Sender,
        proposal: Proposal,
        context: &GroupContext,
        key: &SigningKey,
    ) -> Result<Self, Error> {
        if !matches!(sender, Sender::External(_) | Sender::NewMemberProposal) {
            return Err(Error::ProposalSender);
        }
        let framed = FramedContent {
            group_id: context.group_id.clone(),
            epoch: context.epoch,
            sender,
            authenticated_data: Vec::new().into(),
            content: Content::Proposal(Box::new(proposal)),
        };
        let format = WireFormat::PublicMessage;
        let signed = AuthenticatedContent::sign(format, framed, context, key)?;
        Ok(Self {
            content: signed.content,
            auth: signed.auth,
            membership_tag: None,
        })
    }

    /// Wraps signed content, tagging it if a member sent it (RFC 9420 §6.2).
    ///
    /// # Errors
    /// [`Error::WireFormat`] if the content was not signed for a PublicMessage, or is application data,
    /// which never travels in clear; [`Error::TooLarge`].
    pub fn protect(
        suite: CipherSuite,
        content: AuthenticatedContent,
        context: &GroupContext,
        membership_key: &[u8],
    ) -> Result<Self, Error> {
        let is_application = matches!(content.content.content, Content::Application(_));
        // RFC 9420 §6.2
        if content.wire_format != WireFormat::PublicMessage || is_application {
            return Err(Error::WireFormat);
        }
        let mut message = Self {
            content: content.content,
            auth: content.auth,
            membership_tag: None,
        };
        if matches!(message.content.sender, Sender::Member(_)) {
            let tag = suite.mac(membership_key, &message.to_be_tagged(context)?);
            message.membership_tag = Some(Bytes::from(tag.as_bytes()));
        }
        Ok(message)
    }

    /// Checks the membership tag; only members have its key.
    ///
    /// # Errors
    /// [`Error::MembershipTag`]; [`Error::WireFormat`] for application data.
    pub fn verify_membership(
        &self,
        suite: CipherSuite,
        context: &GroupContext,
        membership_key: &[u8],
    ) -> Result<(), Error> {
        // RFC 9420 §6.2
        if matches!(self.content.content, Content::Application(_)) {
            return Err(Error::WireFormat);
        }
        // RFC 9420 §6.2: there if and only if a member sent it, which decoding saw to.
        let Some(tag) = &self.membership_tag else {
            return match self.content.sender {
                Sender::Member(_) => Err(Error::MembershipTag),
                _ => Ok(()),
            };
        };
        suite
            .verify_mac(membership_key, &self.to_be_tagged(context)?, tag.as_slice())
            .map_err(|_| Error::MembershipTag)
    }

    /// `AuthenticatedContentTBM`.
    fn to_be_tagged(&self, context: &GroupContext) -> Result<Vec<u8>, Error> {
        let mut out = to_be_signed(WireFormat::PublicMessage, &self.content, context)?;
        self.auth.write(&mut out).map_err(|_| Error::TooLarge)?;
        Ok(out)
    }
}

/// `FramedContentTBS` (RFC 9420 §6.1).
fn to_be_signed(
    wire_format: WireFormat,
    content: &FramedContent,
    context: &GroupContext,
) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(content.tls_serialized_len() + 256);
    let mut write = || {
        MLS10.tls_serialize(&mut out)?;
        wire_format.tls_serialize(&mut out)?;
        content.tls_serialize(&mut out)?;
        match content.sender {
            Sender::Member(_) | Sender::NewMemberCommit => context.tls_serialize(&mut out),
            Sender::External(_) | Sender::NewMemberProposal => Ok(0),
        }
    };
    write().map_err(|_| Error::TooLarge)?;
    Ok(out)
}
