use std::collections::HashMap;

use conclave_crypto::{CipherSuite, SystemRandomness};
use conclave_mls_member::{FreshPath, Group, JoinerSecret, psk_secret};
use conclave_mls_public::{
    Committer, Draft, PublicGroup, SentProposal,
    wire::{
        AuthenticatedContent, Commit, Content, FramedContent, GroupContext, MlsMessage, Proposal,
        ProposalOrRef, PublicMessage, Sender, UpdatePath, WireFormat, encode,
    },
};

use super::{Scene, flip, surprises, unknown_psk, verdict};
use crate::{client::identity::Identity, engine::EngineName};

/// Ways to spoil a Commit that renews its author's path, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    ConfirmationTag,
    MembershipTag,
    Signature,
    AnotherSender,
    AnotherGroup,
    LaterEpoch,
    RootKey,
    KemOutput,
    Ciphertext,
    PathContext,
    LeafSignature,
    NoPath,
    UnknownPsk,
    ShortPskNonce,
    CommitSecret,
}

use Lie as L;

/// Each with whether it is to be accepted, and who is known to do otherwise.
const LIES: &[(Lie, bool, &[EngineName])] = &[
    (L::None, true, &[]),
    // RFC 9420 §6.1
    (L::ConfirmationTag, false, &[]),
    // RFC 9420 §6.2
    (L::MembershipTag, false, &[]),
    // RFC 9420 §6.1
    (L::Signature, false, &[]),
    (L::AnotherSender, false, &[]),
    // RFC 9420 §6
    (L::AnotherGroup, false, &[]),
    (L::LaterEpoch, false, &[]),
    // RFC 9420 §12.4.2: the path secret leads to the public key.
    (L::RootKey, false, &[]),
    // RFC 9420 §7.6
    (L::KemOutput, false, &[]),
    (L::Ciphertext, false, &[]),
    (L::PathContext, false, &[]),
    // RFC 9420 §7.3
    (L::LeafSignature, false, &[]),
    // RFC 9420 §12.4
    (L::NoPath, false, &[]),
    // RFC 9420 §8.4
    (L::UnknownPsk, false, &[]),
    // RFC 9420 §12.1.4
    (L::ShortPskNonce, false, &[]),
    // RFC 9420 §12.4.2: it shows in the confirmation tag.
    (L::CommitSecret, false, &[]),
];

#[test]
fn a_spoilt_commit_is_refused_alike_and_costs_nothing() {
    let mut found = Vec::new();
    for suite in CipherSuite::ALL {
        for (lie, should_hold, known) in LIES {
            let what = format!("{suite:?}, {lie:?}");
            let mut scene = Scene::new(suite);
            let welcome = encode(&MlsMessage::Welcome(scene.welcome.clone())).unwrap();
            for client in &mut scene.clients {
                client.join(&welcome, None).unwrap();
            }
            let spoilt = make(&scene.group, &scene.creator, *lie);
            let spoilt = encode(&MlsMessage::PublicMessage(spoilt)).unwrap();
            let clients = scene.clients.iter_mut();
            let verdicts: Vec<_> = clients
                .map(|client| verdict(|| client.receive(&spoilt)))
                .collect();
            found.extend(surprises(&what, *should_hold, known, &verdicts));
            if !should_hold {
                goes_on(&what, scene, known);
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Whoever refused the lie follows the truth.
fn goes_on(what: &str, mut scene: Scene, misled: &[EngineName]) {
    let (none, key) = (HashMap::new(), &scene.creator.key);
    let made = scene
        .group
        .commit(Vec::new(), &none, key, &mut SystemRandomness);
    let made = made.unwrap();
    let commit = encode(&made.commit).unwrap();
    scene.group.merge(made.pending).unwrap();
    for (engine, mut client) in EngineName::ALL
        .iter()
        .zip(std::mem::take(&mut scene.clients))
    {
        if !misled.contains(engine) {
            let followed = client.receive(&commit);
            assert!(followed.is_ok(), "{what}, {engine:?}: {followed:?}");
            let authenticator = client.epoch_authenticator().unwrap();
            assert_eq!(authenticator, scene.authenticator(), "{what}, {engine:?}");
        }
    }
}

/// A Commit that is right in all but the one thing.
fn make(group: &Group, author: &Identity, lie: Lie) -> PublicMessage {
    let (suite, before) = (group.suite(), group.public().context());
    let mut public: PublicGroup = group.public().clone();
    let proposals = match lie {
        L::UnknownPsk => vec![Proposal::PreSharedKey(unknown_psk(suite.hash_len()))],
        L::ShortPskNonce => vec![Proposal::PreSharedKey(unknown_psk(1))],
        _ => Vec::new(),
    };
    // Whoever lies about proposals does not ask what they would do.
    let mut draft = public
        .draft(Committer::Member(0), &[] as &[SentProposal])
        .unwrap();
    let (fresh, path) = path(&mut draft, author, before, lie);
    let by_value = |proposal| ProposalOrRef::Proposal(Box::new(proposal));
    let commit = Commit {
        proposals: proposals.into_iter().map(by_value).collect(),
        path: (lie != L::NoPath).then_some(path),
    };
    let content = FramedContent {
        group_id: match lie {
            L::AnotherGroup => b"another".to_vec().into(),
            _ => before.group_id.clone(),
        },
        epoch: before.epoch + u64::from(lie == L::LaterEpoch),
        sender: Sender::Member(u32::from(lie == L::AnotherSender)),
        authenticated_data: Vec::new().into(),
        content: Content::Commit(Box::new(commit)),
    };
    let format = WireFormat::PublicMessage;
    let mut content = AuthenticatedContent::sign(format, content, before, &author.key).unwrap();
    let staged = draft.seal(&content).unwrap();
    let commit_secret = match lie {
        L::CommitSecret => &conclave_crypto::Secret::zero(suite.hash_len()),
        _ => fresh.commit_secret(),
    };
    let context = encode(staged.context()).unwrap();
    let init = group.secrets().init();
    let joiner = JoinerSecret::derive(suite, init, commit_secret, &context).unwrap();
    let member = joiner.with_psks(suite, &psk_secret(suite, &[]).unwrap());
    let (next, _) = member.epoch(&context).unwrap();
    let confirmed = staged.context().confirmed_transcript_hash.as_slice();
    let tag = suite.mac(next.confirmation_key().as_bytes(), confirmed);
    content.auth.confirmation_tag = Some(tag.as_bytes().into());
    match lie {
        L::ConfirmationTag => content.auth.confirmation_tag.iter_mut().for_each(flip),
        L::Signature => flip(&mut content.auth.signature),
        _ => {}
    }
    let membership_key = group.secrets().membership_key().as_bytes();
    let message = PublicMessage::protect(suite, content, before, membership_key);
    let mut message = message.unwrap();
    if lie == L::MembershipTag {
        message.membership_tag.iter_mut().for_each(flip);
    }
    message
}

fn path(
    draft: &mut Draft<'_>,
    author: &Identity,
    before: &GroupContext,
    lie: Lie,
) -> (FreshPath, UpdatePath) {
    let suite = author.suite;
    let fresh = FreshPath::draw(draft.tree(), 0, &mut SystemRandomness).unwrap();
    let mut keys: Vec<_> = fresh.public_keys().map(<[u8]>::to_vec).collect();
    if let (L::RootKey, Some(root)) = (lie, keys.last_mut()) {
        let pair = suite.generate_key_pair(&mut SystemRandomness).unwrap();
        *root = pair.public().to_vec();
    }
    let own_leaf = draft.tree().leaf(0).unwrap().clone();
    let parent_hash = draft.merge_keys(fresh.filtered(), keys.iter().map(Vec::as_slice));
    let group_id = before.group_id.as_slice();
    let leaf = fresh.sign_leaf(own_leaf, parent_hash, group_id, &author.key);
    let mut leaf = leaf.unwrap();
    if lie == L::LeafSignature {
        flip(&mut leaf.signature);
    }
    let mut context = draft.merge_leaf(leaf.clone());
    if lie == L::PathContext {
        context.epoch += 1;
    }
    let context = encode(&context).unwrap();
    let sealed = fresh.seal(leaf, draft.tree(), &[], &context, &mut SystemRandomness);
    let mut path = sealed.unwrap();
    for (node, key) in path.nodes.iter_mut().zip(&keys) {
        node.encryption_key = key.as_slice().into();
        for sealed in &mut node.encrypted_path_secret {
            match lie {
                L::KemOutput => sealed.kem_output = Vec::new().into(),
                L::Ciphertext => flip(&mut sealed.ciphertext),
                _ => {}
            }
        }
    }
    (fresh, path)
}
