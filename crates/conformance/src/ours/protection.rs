//! PublicMessage and PrivateMessage.

use anyhow::{Context as _, bail, ensure};
use conclave_crypto::{CipherSuite, Secret, SigningKey, SystemRandomness};
use conclave_mls_member::{EncryptionSecret, SecretTree, private_message};
use conclave_mls_public::{
    Error,
    math::TreeSize,
    wire::{
        AuthenticatedContent, Commit, Content, Extensions, FramedContent, GroupContext, MLS10,
        MlsMessage, Proposal, PublicMessage, Sender, WireFormat, decode, encode,
    },
};

use super::{refused, suite};
use crate::vectors::{hex::Hex, same, shapes};

/// The leaf of whoever sent the vectors' messages, in a tree of two.
const SENDER: u32 = 1;

/// What is given, made into what is worked with.
pub(crate) struct Fixture<'a> {
    suite: CipherSuite,
    vector: &'a shapes::MessageProtection,
    context: GroupContext,
    key: SigningKey,
    sender_data: Secret,
}

pub(super) fn message_protection(vector: &shapes::MessageProtection) -> anyhow::Result<()> {
    let fixture = Fixture::new(vector)?;
    same(
        "the signature key",
        fixture.key.public(),
        &vector.signature_pub,
    )?;
    let cases = [
        (
            "proposal",
            &vector.proposal,
            Some(&vector.proposal_pub),
            &vector.proposal_priv,
        ),
        (
            "commit",
            &vector.commit,
            Some(&vector.commit_pub),
            &vector.commit_priv,
        ),
        (
            "application",
            &vector.application,
            None,
            &vector.application_priv,
        ),
    ];
    for (what, raw, public, private) in cases {
        fixture
            .check(what, raw, public, private)
            .with_context(|| what.to_owned())?;
    }
    fixture.refuses_public_application()
}

impl<'a> Fixture<'a> {
    pub(crate) fn new(vector: &'a shapes::MessageProtection) -> anyhow::Result<Self> {
        let suite = suite(vector.cipher_suite)?;
        Ok(Self {
            suite,
            vector,
            context: GroupContext {
                version: MLS10,
                cipher_suite: vector.cipher_suite,
                group_id: vector.group_id.to_vec().into(),
                epoch: vector.epoch,
                tree_hash: vector.tree_hash.to_vec().into(),
                confirmed_transcript_hash: vector.confirmed_transcript_hash.to_vec().into(),
                extensions: Extensions::default(),
            },
            key: SigningKey::from_bytes(suite, &vector.signature_priv)?,
            sender_data: Secret::from(&*vector.sender_data_secret),
        })
    }

    fn check(
        &self,
        kind: &str,
        raw: &[u8],
        public: Option<&Hex>,
        private: &[u8],
    ) -> anyhow::Result<()> {
        let content = content(kind, raw)?;
        if let Some(public) = public {
            let opened = self.open_public(&decode(public)?)?;
            ensure!(opened == content, "the PublicMessage holds something else");
            let fresh = MlsMessage::PublicMessage(self.protect_public(content.clone())?);
            let opened = self.open_public(&decode(&encode(&fresh)?)?)?;
            ensure!(
                opened == content,
                "the fresh PublicMessage holds something else"
            );
        }
        let opened = self.open_private(&decode(private)?)?;
        ensure!(opened == content, "the PrivateMessage holds something else");
        let fresh = encode(&self.protect_private(content.clone())?)?;
        let opened = self.open_private(&decode(&fresh)?)?;
        ensure!(
            opened == content,
            "the fresh PrivateMessage holds something else"
        );
        Ok(())
    }

    fn refuses_public_application(&self) -> anyhow::Result<()> {
        let content = Content::Application(self.vector.application.to_vec().into());
        refused(
            "sending application data in clear",
            &self.protect_public(content.clone()),
        )?;
        let signed = self.sign(WireFormat::PublicMessage, content)?;
        let message = PublicMessage {
            content: signed.content,
            auth: signed.auth,
            membership_tag: Some(vec![0; self.suite.hash_len()].into()),
        };
        let outcome = self.open_public(&MlsMessage::PublicMessage(message));
        refused("application data in clear", &outcome)
    }

    fn frame(&self, content: Content) -> FramedContent {
        FramedContent {
            group_id: self.context.group_id.clone(),
            epoch: self.context.epoch,
            sender: Sender::Member(SENDER),
            authenticated_data: Vec::new().into(),
            content,
        }
    }

    fn sign(&self, format: WireFormat, content: Content) -> anyhow::Result<AuthenticatedContent> {
        let is_commit = matches!(content, Content::Commit(_));
        let framed = self.frame(content);
        let mut signed = AuthenticatedContent::sign(format, framed, &self.context, &self.key)?;
        // The epoch that the vector's Commit would begin is not given, so any tag will do.
        let tag = is_commit.then(|| vec![0; self.suite.hash_len()].into());
        signed.auth.confirmation_tag = tag;
        Ok(signed)
    }

    pub(crate) fn protect_public(&self, content: Content) -> anyhow::Result<PublicMessage> {
        let signed = self.sign(WireFormat::PublicMessage, content)?;
        let key = &self.vector.membership_key;
        Ok(PublicMessage::protect(
            self.suite,
            signed,
            &self.context,
            key,
        )?)
    }

    pub(crate) fn protect_private(&self, content: Content) -> anyhow::Result<MlsMessage> {
        let signed = self.sign(WireFormat::PrivateMessage, content)?;
        let (mut tree, mut random) = (self.secret_tree()?, SystemRandomness);
        let message = private_message::seal(
            self.suite,
            &signed,
            100,
            &self.sender_data,
            &mut tree,
            &mut random,
        )?;
        Ok(MlsMessage::PrivateMessage(message))
    }

    fn open_public(&self, message: &MlsMessage) -> anyhow::Result<Content> {
        let MlsMessage::PublicMessage(message) = message else {
            bail!("no PublicMessage")
        };
        let key = &self.vector.membership_key;
        message.verify_membership(self.suite, &self.context, key)?;
        let content = AuthenticatedContent::from(message.clone());
        self.verify(&content)?;
        Ok(content.content.content)
    }

    fn open_private(&self, message: &MlsMessage) -> anyhow::Result<Content> {
        let MlsMessage::PrivateMessage(message) = message else {
            bail!("no PrivateMessage")
        };
        let mut tree = self.secret_tree()?;
        let verify = |content: &AuthenticatedContent| Ok(self.verify(content)?);
        let secret = &self.sender_data;
        let opened = private_message::open(self.suite, message, secret, &mut tree, verify)?;
        Ok(opened.content.content)
    }

    fn verify(&self, content: &AuthenticatedContent) -> Result<(), Error> {
        content.verify(self.suite, &self.context, &self.vector.signature_pub)
    }

    fn secret_tree(&self) -> anyhow::Result<SecretTree> {
        let secret = Secret::from(&*self.vector.encryption_secret);
        let encryption = EncryptionSecret::from_secret(secret);
        Ok(SecretTree::new(
            self.suite,
            TreeSize::of_leaves(2)?,
            encryption,
        ))
    }
}

fn content(kind: &str, raw: &[u8]) -> anyhow::Result<Content> {
    Ok(match kind {
        "proposal" => Content::Proposal(Box::new(decode::<Proposal>(raw)?)),
        "commit" => Content::Commit(Box::new(decode::<Commit>(raw)?)),
        _ => Content::Application(raw.to_vec().into()),
    })
}
