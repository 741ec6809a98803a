//! PrivateMessage (RFC 9420 §6.3): content that only members can read.

use conclave_crypto::{CipherSuite, Random, Secret};
use conclave_mls_public::wire::{
    AuthData, AuthenticatedContent, Bytes, Content, ContentType, FramedContent, PrivateMessage,
    Sender, WireFormat, decode, encode,
};
use tls_codec::{DeserializeBytes as _, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::{
    MemberError, MessageKey, RatchetKind, SecretTree, error::Result, limits::PADDING_BYTES_MAX,
    sender_data::sender_data_keys,
};

/// The part of a nonce that is drawn, so that a ratchet that was set back does not repeat one.
const REUSE_GUARD_BYTES: usize = 4;

/// Who sent a message, and which of its messages this is (RFC 9420 §6.3.2).
#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct SenderData {
    leaf: u32,
    generation: u32,
    reuse_guard: [u8; REUSE_GUARD_BYTES],
}

/// What a PrivateMessage shows to everybody (RFC 9420 §6.3.1, §6.3.2).
#[derive(TlsSerialize, TlsSize)]
struct SenderDataAad<'a> {
    group_id: &'a Bytes,
    epoch: u64,
    content_type: ContentType,
}

#[derive(TlsSerialize, TlsSize)]
struct ContentAad<'a> {
    group_id: &'a Bytes,
    epoch: u64,
    content_type: ContentType,
    authenticated_data: &'a Bytes,
}

/// Encrypts a member's signed content, with `padding` zero bytes at its end.
///
/// # Errors
/// [`MemberError::WrongSender`] if it was not signed for a PrivateMessage by a member,
/// [`MemberError::TooMany`] if there is too much padding; what [`SecretTree::next`] gives.
pub fn seal(
    suite: CipherSuite,
    signed: &AuthenticatedContent,
    padding: usize,
    sender_data: &Secret,
    tree: &mut SecretTree,
    random: &mut dyn Random,
) -> Result<PrivateMessage> {
    let (Sender::Member(leaf), WireFormat::PrivateMessage) =
        (signed.content.sender, signed.wire_format)
    else {
        return Err(MemberError::WrongSender);
    };
    if padding > PADDING_BYTES_MAX {
        return Err(MemberError::TooMany);
    }
    let plaintext = plaintext(signed, padding)?;
    let mut message = PrivateMessage {
        group_id: signed.content.group_id.clone(),
        epoch: signed.content.epoch,
        content_type: signed.content.content.content_type(),
        authenticated_data: signed.content.authenticated_data.clone(),
        encrypted_sender_data: Bytes::new(Vec::new()),
        ciphertext: Bytes::new(Vec::new()),
    };
    let (generation, key) = tree.next(leaf, ratchet(message.content_type))?;
    let mut reuse_guard = [0; REUSE_GUARD_BYTES];
    random.fill(&mut reuse_guard)?;
    let aad = content_aad(&message)?;
    let nonce = guarded(&key, reuse_guard);
    let (key, nonce) = (key.key().as_bytes(), nonce.as_bytes());
    message.ciphertext = suite.seal(key, nonce, &aad, plaintext.as_bytes())?.into();
    let data = encode(&SenderData {
        leaf,
        generation,
        reuse_guard,
    })?;
    let (key, nonce) = sender_data_keys(suite, sender_data, message.ciphertext.as_slice())?;
    let aad = sender_data_aad(&message)?;
    let sealed = suite.seal(key.as_bytes(), nonce.as_bytes(), &aad, &data)?;
    message.encrypted_sender_data = sealed.into();
    Ok(message)
}

/// Decrypts a message, has `verify` check its content, the sender's signature above all, and only
/// then uses up its key.
///
/// # Errors
/// [`MemberError::Crypto`] if it does not open, [`MemberError::Padding`]; what
/// [`SecretTree::with_key`] and `verify` give.
pub fn open(
    suite: CipherSuite,
    message: &PrivateMessage,
    sender_data: &Secret,
    tree: &mut SecretTree,
    verify: impl FnOnce(&AuthenticatedContent) -> Result<()>,
) -> Result<AuthenticatedContent> {
    let ciphertext = message.ciphertext.as_slice();
    let (key, nonce) = sender_data_keys(suite, sender_data, ciphertext)?;
    let data = suite.open(
        key.as_bytes(),
        nonce.as_bytes(),
        &sender_data_aad(message)?,
        message.encrypted_sender_data.as_slice(),
    )?;
    let data: SenderData = decode(&data)?;
    let aad = content_aad(message)?;
    tree.with_key(
        data.leaf,
        ratchet(message.content_type),
        data.generation,
        |key| {
            let nonce = guarded(key, data.reuse_guard);
            let opened = suite.open(key.key().as_bytes(), nonce.as_bytes(), &aad, ciphertext)?;
            let content = read(message, data.leaf, &Secret::from(opened))?;
            verify(&content)?;
            Ok(content)
        },
    )
}

fn ratchet(kind: ContentType) -> RatchetKind {
    match kind {
        ContentType::Application => RatchetKind::Application,
        ContentType::Proposal | ContentType::Commit => RatchetKind::Handshake,
    }
}

/// RFC 9420 §6.3.1: the reuse guard is XORed into the nonce's first bytes.
fn guarded(key: &MessageKey, reuse_guard: [u8; REUSE_GUARD_BYTES]) -> Secret {
    let mut nonce = key.nonce().as_bytes().to_vec();
    for (byte, guard) in nonce.iter_mut().zip(reuse_guard) {
        *byte ^= guard;
    }
    nonce.into()
}

/// `PrivateMessageContent` (RFC 9420 §6.3.1). It is [`Content`] without the byte that says of which
/// kind it is.
fn plaintext(signed: &AuthenticatedContent, padding: usize) -> Result<Secret> {
    let mut out = encode(&signed.content.content)?;
    out.remove(0);
    signed
        .auth
        .write(&mut out)
        .map_err(|_| conclave_mls_public::Error::TooLarge)?;
    out.resize(out.len() + padding, 0);
    Ok(out.into())
}

fn read(message: &PrivateMessage, leaf: u32, plaintext: &Secret) -> Result<AuthenticatedContent> {
    let malformed = |_| conclave_mls_public::Error::Malformed;
    let mut bytes = encode(&message.content_type)?;
    bytes.extend_from_slice(plaintext.as_bytes());
    let bytes = Secret::from(bytes);
    let (content, rest) = Content::tls_deserialize_bytes(bytes.as_bytes()).map_err(malformed)?;
    let (auth, padding) = AuthData::read(rest, message.content_type).map_err(malformed)?;
    // RFC 9420 §6.3.1
    if padding.iter().any(|byte| *byte != 0) {
        return Err(MemberError::Padding);
    }
    Ok(AuthenticatedContent {
        wire_format: WireFormat::PrivateMessage,
        content: FramedContent {
            group_id: message.group_id.clone(),
            epoch: message.epoch,
            sender: Sender::Member(leaf),
            authenticated_data: message.authenticated_data.clone(),
            content,
        },
        auth,
    })
}

fn content_aad(message: &PrivateMessage) -> Result<Vec<u8>> {
    Ok(encode(&ContentAad {
        group_id: &message.group_id,
        epoch: message.epoch,
        content_type: message.content_type,
        authenticated_data: &message.authenticated_data,
    })?)
}

fn sender_data_aad(message: &PrivateMessage) -> Result<Vec<u8>> {
    Ok(encode(&SenderDataAad {
        group_id: &message.group_id,
        epoch: message.epoch,
        content_type: message.content_type,
    })?)
}
