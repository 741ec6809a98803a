//! Signals: what is of the moment, such as that somebody types. They are in no log and leave MLS's
//! ratchets where they are; see `docs/protocol.md`, "Signals".

use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce, aead::Aead as _};
use conclave_protocol::{
    DeviceId, Forbidden, GroupId, SigningKey, UnixMillis, UserId, limits::SIGNAL_SKEW,
};

use super::Tx;
use crate::ClientError;

/// What the key is exported for, and what a signal is signed for.
const LABEL: &str = "Conclave Signal";

/// Somebody types.
const TYPING: u8 = 1;

const NONCE_BYTES: usize = 24;

/// Kind and time.
const FACTS_BYTES: usize = 1 + 8;

impl Tx<'_> {
    /// That this device's user types, for the members of this epoch; `key` is the device's own.
    pub(crate) fn seal_typing(
        &self,
        group: GroupId,
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<Vec<u8>, ClientError> {
        if !self.may_send(group, self.own_user())? {
            return Err(Forbidden::Send.into());
        }
        let own = self.own_certificate().address().device;
        let epoch = self.engine.epoch(self, group)?.0;
        let facts = [&[TYPING][..], &now.0.to_be_bytes()].concat();
        let signature = key.sign(LABEL, &to_be_signed(group, epoch, own, &facts));
        let nonce: [u8; NONCE_BYTES] = self.random();
        let sealed = self
            .signal_cipher(group, own)?
            .encrypt(
                XNonce::from_slice(&nonce),
                [&facts[..], &signature].concat().as_slice(),
            )
            // It has few bytes.
            .map_err(|_| ClientError::Protocol("a signal that is too long".into()))?;
        Ok([&epoch.to_be_bytes()[..], &nonce, &sealed].concat())
    }

    /// Who types, and since when, by what `sender` is said to have sent; `None` for what is of another
    /// epoch, of another time, or not the sender's: it is of no interest.
    pub(crate) fn open_typing(
        &self,
        group: GroupId,
        sender: DeviceId,
        signal: &[u8],
        now: UnixMillis,
    ) -> Result<Option<(UserId, UnixMillis)>, ClientError> {
        if self.require_member(group).is_err() {
            return Ok(None);
        }
        let epoch = self.engine.epoch(self, group)?.0;
        let opened = self.open_signal(group, sender, epoch, signal)?;
        let Some((facts, signature)) = opened
            .as_deref()
            .and_then(|it| it.split_at_checked(FACTS_BYTES))
        else {
            return Ok(None);
        };
        let roster = self.engine.roster(self, group)?;
        let mut members = roster.iter().map(|member| &member.certificate);
        let Some(certificate) = members.find(|it| it.address().device == sender) else {
            return Ok(None);
        };
        let signed = to_be_signed(group, epoch, sender, facts);
        let leaf_key = &certificate.claims().signature_key;
        let sent = facts
            .last_chunk()
            .map(|it| UnixMillis(u64::from_be_bytes(*it)));
        Ok(match sent {
            Some(sent)
                if leaf_key.verify(LABEL, &signed, signature).is_ok()
                    && facts.first() == Some(&TYPING)
                    && sent <= now.after(SIGNAL_SKEW)
                    && now <= sent.after(SIGNAL_SKEW)
                    && self.may_send(group, &certificate.address().user)? =>
            {
                Some((certificate.address().user.clone(), sent))
            }
            _ => None,
        })
    }

    fn open_signal(
        &self,
        group: GroupId,
        sender: DeviceId,
        epoch: u64,
        signal: &[u8],
    ) -> Result<Option<Vec<u8>>, ClientError> {
        let Some((of, rest)) = signal.split_first_chunk::<8>() else {
            return Ok(None);
        };
        let Some((nonce, sealed)) = rest.split_first_chunk::<NONCE_BYTES>() else {
            return Ok(None);
        };
        if u64::from_be_bytes(*of) != epoch {
            return Ok(None);
        }
        let cipher = self.signal_cipher(group, sender)?;
        Ok(cipher.decrypt(XNonce::from_slice(nonce), sealed).ok())
    }

    /// All members have this key, so who sent something shows in its signature only.
    fn signal_cipher(
        &self,
        group: GroupId,
        sender: DeviceId,
    ) -> Result<XChaCha20Poly1305, ClientError> {
        // RFC 9420 §8.5
        let key = self.engine.export(self, group, LABEL, sender.as_bytes())?;
        Ok(XChaCha20Poly1305::new(key.as_slice().into()))
    }
}

fn to_be_signed(group: GroupId, epoch: u64, sender: DeviceId, facts: &[u8]) -> Vec<u8> {
    let epoch = epoch.to_be_bytes();
    [group.as_bytes(), &epoch[..], sender.as_bytes(), facts].concat()
}
