//! Objects as they travel, from groups that live, and the hashes over them.

use std::collections::HashMap;

use conclave_crypto::{CipherSuite, SystemRandomness};
use conclave_mls_member::{Committed, Group, GroupSecrets};
use conclave_mls_public::{
    transcript::{confirmed_transcript_hash, interim_transcript_hash},
    wire::{
        AuthenticatedContent, Bytes, Commit, Content, Extension, ExtensionType, Extensions,
        FramedContent, GroupContext, MLS10, MlsMessage, PreSharedKeyId, Proposal, ProposalOrRef,
        Psk, PublicMessage, ReInit, RequiredCapabilities, Sender, Welcome, WireFormat, encode,
    },
};

use super::{client::Client, random};
use crate::{
    client::identity::Identity,
    ours::protection::Fixture,
    vectors::{hex::Hex, shapes},
};

/// A group that somebody has just been invited to.
struct Invitation {
    creator: Client,
    joiner: Client,
    group: Group,
    commit: MlsMessage,
    welcome: Welcome,
}

pub(super) fn welcome(suite: CipherSuite) -> anyhow::Result<shapes::Welcome> {
    let invitation = Invitation::new(suite)?;
    Ok(shapes::Welcome {
        cipher_suite: suite.into(),
        init_priv: invitation.joiner.keys.init.private().as_bytes().into(),
        signer_pub: invitation.creator.identity.key.public().into(),
        key_package: hex(&MlsMessage::KeyPackage(invitation.joiner.keys.package))?,
        welcome: hex(&MlsMessage::Welcome(invitation.welcome))?,
    })
}

pub(super) fn messages(suite: CipherSuite) -> anyhow::Result<shapes::Messages> {
    let Invitation {
        creator,
        joiner,
        mut group,
        commit,
        welcome,
    } = Invitation::new(suite)?;
    let secrets = GroupSecrets::open(suite, &welcome, &joiner.keys.package, &joiner.keys.init)?;
    let info = group.group_info(&creator.identity.key)?;
    let private = group.encrypt(
        b"secret",
        b"clear",
        10,
        &creator.identity.key,
        &mut SystemRandomness,
    )?;
    let update = group.propose_update(&creator.identity.key, &mut SystemRandomness)?;
    let Content::Proposal(proposal) = content(&update)? else {
        anyhow::bail!("an Update that is no proposal")
    };
    let Proposal::Update(leaf) = &**proposal else {
        anyhow::bail!("a proposal that is no Update")
    };
    let Content::Commit(body) = content(&commit)? else {
        anyhow::bail!("no Commit")
    };
    let (leaf, bytes) = (hex(&**leaf)?, hex(&**body)?);
    Ok(shapes::Messages {
        mls_group_info: hex(&MlsMessage::GroupInfo(info))?,
        ratchet_tree: hex(&group.public().tree().to_nodes())?,
        group_secrets: hex(&secrets)?,
        add_proposal: hex(&joiner.keys.package)?,
        update_proposal: leaf,
        remove_proposal: hex(&1_u32)?,
        pre_shared_key_proposal: hex(&external_psk(suite)?)?,
        re_init_proposal: hex(&reinit(suite)?)?,
        external_init_proposal: hex(&Bytes::from(random(32)?.to_vec()))?,
        group_context_extensions_proposal: hex(&required_extensions()?)?,
        commit: bytes,
        public_message_application: hex(&in_clear(&group, &creator)?)?,
        public_message_proposal: hex(&update)?,
        public_message_commit: hex(&commit)?,
        private_message: hex(&MlsMessage::PrivateMessage(private))?,
        mls_key_package: hex(&MlsMessage::KeyPackage(joiner.keys.package))?,
        mls_welcome: hex(&MlsMessage::Welcome(welcome))?,
    })
}

pub(super) fn message_protection(suite: CipherSuite) -> anyhow::Result<shapes::MessageProtection> {
    let secret = || random(suite.hash_len());
    let Identity { private, key, .. } = Identity::new(suite, "somebody")?;
    let commit = Commit {
        proposals: vec![ProposalOrRef::Reference(secret()?.to_vec().into())],
        path: None,
    };
    let proposal = Proposal::GroupContextExtensions(required_extensions()?);
    let mut vector = shapes::MessageProtection {
        cipher_suite: suite.into(),
        group_id: random(16)?,
        epoch: 42,
        tree_hash: secret()?,
        confirmed_transcript_hash: secret()?,
        signature_priv: private.as_bytes().into(),
        signature_pub: key.public().into(),
        encryption_secret: secret()?,
        sender_data_secret: secret()?,
        membership_key: secret()?,
        proposal: hex(&proposal)?,
        commit: hex(&commit)?,
        application: random(40)?,
        proposal_pub: Hex::default(),
        proposal_priv: Hex::default(),
        commit_pub: Hex::default(),
        commit_priv: Hex::default(),
        application_priv: Hex::default(),
    };
    let fixture = Fixture::new(&vector)?;
    let (proposal, commit) = (
        Content::Proposal(Box::new(proposal)),
        Content::Commit(Box::new(commit)),
    );
    let public = |content: &Content| -> anyhow::Result<Hex> {
        let message = fixture.protect_public(content.clone())?;
        hex(&MlsMessage::PublicMessage(message))
    };
    let private = |content: Content| hex(&fixture.protect_private(content)?);
    let (proposal_pub, commit_pub) = (public(&proposal)?, public(&commit)?);
    let (proposal_priv, commit_priv) = (private(proposal)?, private(commit)?);
    let application_priv = private(Content::Application(vector.application.to_vec().into()))?;
    (vector.proposal_pub, vector.proposal_priv) = (proposal_pub, proposal_priv);
    (vector.commit_pub, vector.commit_priv) = (commit_pub, commit_priv);
    vector.application_priv = application_priv;
    Ok(vector)
}

pub(super) fn transcript_hashes(suite: CipherSuite) -> anyhow::Result<shapes::TranscriptHashes> {
    let (group_id, before, confirmation_key) = (
        random(16)?,
        random(suite.hash_len())?,
        random(suite.hash_len())?,
    );
    let Identity { key, .. } = Identity::new(suite, "somebody")?;
    let context = GroupContext {
        version: MLS10,
        cipher_suite: suite.into(),
        group_id: group_id.to_vec().into(),
        epoch: 3,
        tree_hash: random(suite.hash_len())?.to_vec().into(),
        confirmed_transcript_hash: random(suite.hash_len())?.to_vec().into(),
        extensions: Extensions::default(),
    };
    let commit = Commit {
        proposals: vec![ProposalOrRef::Proposal(Box::new(Proposal::PreSharedKey(
            external_psk(suite)?,
        )))],
        path: None,
    };
    let content = framed(
        &context,
        Sender::Member(1),
        Content::Commit(Box::new(commit)),
    );
    let mut commit =
        AuthenticatedContent::sign(WireFormat::PrivateMessage, content, &context, &key)?;
    let confirmed = confirmed_transcript_hash(suite, &before, &commit)?;
    let tag = Bytes::from(
        suite
            .mac(&confirmation_key, confirmed.as_bytes())
            .as_bytes(),
    );
    commit.auth.confirmation_tag = Some(tag.clone());
    let interim = interim_transcript_hash(suite, confirmed.as_bytes(), &tag)?;
    Ok(shapes::TranscriptHashes {
        cipher_suite: suite.into(),
        confirmation_key,
        authenticated_content: hex(&commit)?,
        interim_transcript_hash_before: before,
        confirmed_transcript_hash_after: confirmed.as_bytes().into(),
        interim_transcript_hash_after: interim.as_bytes().into(),
    })
}

impl Invitation {
    fn new(suite: CipherSuite) -> anyhow::Result<Self> {
        let (creator, joiner) = (Client::new(suite, "one")?, Client::new(suite, "two")?);
        let mut group = creator.create()?;
        let add = Proposal::Add(Box::new(joiner.keys.package.clone()));
        let none = HashMap::new();
        let made = group.commit(
            vec![add],
            &none,
            &creator.identity.key,
            &mut SystemRandomness,
        )?;
        let Committed {
            commit,
            welcome,
            pending,
            ..
        } = made;
        group.merge(pending)?;
        let welcome = welcome.ok_or_else(|| anyhow::anyhow!("an Add gave no Welcome"))?;
        Ok(Self {
            creator,
            joiner,
            group,
            commit,
            welcome,
        })
    }
}

/// Application data in a PublicMessage: it decodes, but nobody may send it (RFC 9420 §6.2).
fn in_clear(group: &Group, sender: &Client) -> anyhow::Result<MlsMessage> {
    let context = group.public().context();
    let content = Content::Application(b"in clear".to_vec().into());
    let content = framed(context, Sender::Member(group.leaf()), content);
    let format = WireFormat::PublicMessage;
    let signed = AuthenticatedContent::sign(format, content, context, &sender.identity.key)?;
    Ok(MlsMessage::PublicMessage(PublicMessage {
        content: signed.content,
        auth: signed.auth,
        membership_tag: Some(random(group.suite().hash_len())?.to_vec().into()),
    }))
}

fn framed(context: &GroupContext, sender: Sender, content: Content) -> FramedContent {
    FramedContent {
        group_id: context.group_id.clone(),
        epoch: context.epoch,
        sender,
        authenticated_data: Vec::new().into(),
        content,
    }
}

fn content(message: &MlsMessage) -> anyhow::Result<&Content> {
    match message {
        MlsMessage::PublicMessage(message) => Ok(&message.content.content),
        _ => anyhow::bail!("no PublicMessage"),
    }
}

fn external_psk(suite: CipherSuite) -> anyhow::Result<PreSharedKeyId> {
    Ok(PreSharedKeyId {
        psk: Psk::External(random(16)?.to_vec().into()),
        psk_nonce: random(suite.hash_len())?.to_vec().into(),
    })
}

fn reinit(suite: CipherSuite) -> anyhow::Result<ReInit> {
    Ok(ReInit {
        group_id: random(16)?.to_vec().into(),
        version: MLS10,
        cipher_suite: suite.into(),
        extensions: required_extensions()?,
    })
}

fn required_extensions() -> anyhow::Result<Extensions> {
    Ok(Extensions(vec![Extension {
        extension_type: ExtensionType::REQUIRED_CAPABILITIES,
        extension_data: encode(&RequiredCapabilities::default())?.into(),
    }]))
}

fn hex(object: &impl tls_codec::Serialize) -> anyhow::Result<Hex> {
    Ok(encode(object)?.into())
}
