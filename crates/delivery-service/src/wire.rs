//! The outside of MLS messages: what can be read, and cut, without a group's state.
//!
//! The bytes are not ours to trust. Their size was bounded before, and nothing here recurses.

use conclave_protocol::{COMPONENT_FRANKING, Commitment, Epoch, GroupId};
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

use crate::error::Refusal;

/// RFC 9420 §6: the one protocol version.
const MLS_10: u16 = 1;

// RFC 9420 §17.2.
const PUBLIC_MESSAGE: u16 = 1;
const PRIVATE_MESSAGE: u16 = 2;
const WELCOME: u16 = 3;

/// RFC 9420 §6: the sender type of an external Commit.
const NEW_MEMBER_COMMIT: u8 = 4;

/// RFC 9420 §6: the content type of an application message.
const APPLICATION: u8 = 1;

/// The group and epoch that a message says it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) group: GroupId,
    pub(crate) epoch: Epoch,
    /// Whether it comes from a device that joins by it (RFC 9420 §12.4.3.2).
    pub(crate) joins: bool,
    /// What the sender of an application message committed to.
    pub(crate) commitment: Option<Commitment>,
}

/// What a PublicMessage and a PrivateMessage begin with, MLSMessage's header included
/// (RFC 9420 §6.1, §6.3). The last field is the sender's type in the one and the content's in the
/// other.
#[derive(TlsDeserializeBytes, TlsSize)]
struct Prefix {
    version: u16,
    wire_format: u16,
    group_id: VLBytes,
    epoch: u64,
    kind: u8,
}

/// What follows the prefix of a PrivateMessage.
#[derive(TlsDeserializeBytes, TlsSize)]
struct PrivateRest {
    authenticated_data: VLBytes,
    _encrypted_sender_data: VLBytes,
    _ciphertext: VLBytes,
}

impl Framing {
    /// Reads the framing of a handshake message, which has to be a PublicMessage.
    pub(crate) fn of_handshake(message: &[u8]) -> Result<Self, Refusal> {
        let (prefix, _) = Prefix::read(message)?;
        if prefix.wire_format != PUBLIC_MESSAGE {
            return Err(Refusal::Invalid("a handshake message is a PublicMessage"));
        }
        prefix.framing()
    }

    /// Reads the framing of an application message, which is a PrivateMessage (RFC 9420 §6.3) and
    /// otherwise opaque to the service.
    pub(crate) fn of_application(message: &[u8]) -> Result<Self, Refusal> {
        let (prefix, rest) = Prefix::read(message)?;
        if prefix.wire_format != PRIVATE_MESSAGE || prefix.kind != APPLICATION {
            return Err(Refusal::Invalid("not an encrypted application message"));
        }
        let rest = PrivateRest::tls_deserialize_exact_bytes(rest).map_err(|_| MALFORMED)?;
        Ok(Self {
            commitment: commitment(rest.authenticated_data.as_slice()),
            ..prefix.framing()?
        })
    }
}

const MALFORMED: Refusal = Refusal::Invalid("the message is not an encoding of an MLSMessage");

impl Prefix {
    fn read(message: &[u8]) -> Result<(Self, &[u8]), Refusal> {
        let (prefix, rest) = Self::tls_deserialize_bytes(message).map_err(|_| MALFORMED)?;
        if prefix.version == MLS_10 {
            Ok((prefix, rest))
        } else {
            Err(MALFORMED)
        }
    }

    fn framing(&self) -> Result<Framing, Refusal> {
        let group = GroupId::try_from(self.group_id.as_slice());
        Ok(Framing {
            group: group.map_err(|_| MALFORMED)?,
            epoch: Epoch(self.epoch),
            joins: (self.wire_format, self.kind) == (PUBLIC_MESSAGE, NEW_MEMBER_COMMIT),
            commitment: None,
        })
    }
}

/// A Safe AAD (draft-ietf-mls-extensions §4.9), as far as it is of interest here.
#[derive(TlsDeserializeBytes, TlsSize)]
struct SafeAad {
    items: Vec<SafeAadItem>,
}

#[derive(TlsDeserializeBytes, TlsSize)]
struct SafeAadItem {
    component: u16,
    data: VLBytes,
}

/// The sender's commitment in what is authenticated with a message.
fn commitment(authenticated_data: &[u8]) -> Option<Commitment> {
    let (aad, _) = SafeAad::tls_deserialize_bytes(authenticated_data).ok()?;
    let mut items = aad.items.iter();
    let item = items.find(|item| item.component == COMPONENT_FRANKING)?;
    Commitment::from_item(item.data.as_slice())
}

/// A Welcome (RFC 9420 §12.4.3.1) with its header.
#[derive(Debug, TlsDeserializeBytes, TlsSerialize, TlsSize)]
struct WelcomeMessage {
    version: u16,
    wire_format: u16,
    cipher_suite: u16,
    secrets: Vec<Secrets>,
    encrypted_group_info: VLBytes,
}

/// EncryptedGroupSecrets: what one joiner has alone.
#[derive(Debug, TlsDeserializeBytes, TlsSerialize, TlsSize)]
struct Secrets {
    new_member: VLBytes,
    kem_output: VLBytes,
    ciphertext: VLBytes,
}

/// What all joiners share.
#[derive(Debug, TlsDeserializeBytes, TlsSerialize, TlsSize)]
struct Shared {
    cipher_suite: u16,
    encrypted_group_info: VLBytes,
}

/// A Welcome cut into what its joiners share and what each has alone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SlicedWelcome {
    /// What all share.
    pub(crate) shared: Vec<u8>,
    /// For each joiner, the KeyPackageRef and what it has alone.
    pub(crate) joiners: Vec<(Vec<u8>, Vec<u8>)>,
}

impl SlicedWelcome {
    /// Cuts a Welcome.
    pub(crate) fn cut(message: &[u8]) -> Result<Self, Refusal> {
        let malformed = |_| Refusal::Invalid("the Welcome is malformed");
        let welcome = WelcomeMessage::tls_deserialize_exact_bytes(message).map_err(malformed)?;
        if (welcome.version, welcome.wire_format) != (MLS_10, WELCOME) {
            return Err(Refusal::Invalid("not a Welcome"));
        }
        let shared = Shared {
            cipher_suite: welcome.cipher_suite,
            encrypted_group_info: welcome.encrypted_group_info,
        };
        let cut_one = |secrets: &Secrets| {
            let reference = secrets.new_member.as_slice().to_vec();
            Ok((reference, secrets.tls_serialize_detached()?))
        };
        let joiners: Result<_, tls_codec::Error> = welcome.secrets.iter().map(cut_one).collect();
        Ok(Self {
            shared: shared.tls_serialize_detached().map_err(malformed)?,
            joiners: joiners.map_err(malformed)?,
        })
    }

    /// The Welcome for one joiner: valid MLS, with one element in `secrets`. `None` for slices that
    /// [`Self::cut`] did not make.
    pub(crate) fn join(shared: &[u8], secrets: &[u8]) -> Option<Vec<u8>> {
        let shared = Shared::tls_deserialize_exact_bytes(shared).ok()?;
        let secrets = Secrets::tls_deserialize_exact_bytes(secrets).ok()?;
        let message = WelcomeMessage {
            version: MLS_10,
            wire_format: WELCOME,
            cipher_suite: shared.cipher_suite,
            secrets: vec![secrets],
            encrypted_group_info: shared.encrypted_group_info,
        };
        message.tls_serialize_detached().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..100)
    }

    proptest! {
        #[test]
        fn a_slice_is_the_welcome_of_one(
            secrets in prop::collection::vec((bytes(), bytes(), bytes()), 1..5), info in bytes(),
        ) {
            let of = |secrets: &[(Vec<u8>, Vec<u8>, Vec<u8>)]| WelcomeMessage {
                version: MLS_10,
                wire_format: WELCOME,
                cipher_suite: 1,
                secrets: secrets
                    .iter()
                    .map(|(new_member, kem_output, ciphertext)| Secrets {
                        new_member: new_member.as_slice().into(),
                        kem_output: kem_output.as_slice().into(),
                        ciphertext: ciphertext.as_slice().into(),
                    })
                    .collect(),
                encrypted_group_info: info.as_slice().into(),
            }
            .tls_serialize_detached()
            .unwrap();
            let sliced = SlicedWelcome::cut(&of(&secrets)).unwrap();
            prop_assert_eq!(sliced.joiners.len(), secrets.len());
            for (one, (reference, slice)) in secrets.iter().zip(&sliced.joiners) {
                prop_assert_eq!(&one.0, reference);
                let alone = SlicedWelcome::join(&sliced.shared, slice).unwrap();
                prop_assert_eq!(alone, of(std::slice::from_ref(one)));
            }
        }

        #[test]
        fn no_input_panics(
            mut bytes in bytes(), header in prop::option::of(1u8..4), tail: [u8; 4],
        ) {
            if let Some(wire_format) = header {
                bytes.splice(0..0, [0, 1, 0, wire_format]);
                bytes.extend(tail);
            }
            let _ = Framing::of_handshake(&bytes);
            let _ = Framing::of_application(&bytes);
            let _ = SlicedWelcome::cut(&bytes);
            let _ = SlicedWelcome::join(&bytes, &bytes);
        }
    }

    #[test]
    fn only_a_whole_private_application_message_passes() {
        let mut message = vec![0, 1, 0, 2, 16];
        message.extend([7; 16]);
        message.extend([0, 0, 0, 0, 0, 0, 0, 9, APPLICATION, 0, 1, 5, 2, 6, 6]);
        let framing = Framing::of_application(&message).unwrap();
        assert_eq!(framing.group, GroupId::from_bytes([7; 16]));
        assert_eq!(framing.epoch, Epoch(9));
        assert!(Framing::of_application(&[&message[..], &[0]].concat()).is_err());
        assert!(Framing::of_application(&message[..message.len() - 1]).is_err());
        let mut commit = message.clone();
        commit[29] = 3;
        assert!(Framing::of_application(&commit).is_err());
        message[3] = 1;
        assert!(Framing::of_application(&message).is_err());
    }
}
