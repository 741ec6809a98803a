use conclave_crypto::{CipherSuite, Secret, SystemRandomness};
use conclave_mls_member::{
    EpochSecrets, GroupSecrets, JoinerSecret, MemberSecret, open_group_info, psk_secret,
    seal_group_info,
};
use conclave_mls_public::{
    math::NodeIndex,
    wire::{
        Bytes, Extension, ExtensionType, GroupInfo, MlsMessage, PreSharedKeyId, ProposalType,
        RequiredCapabilities, Welcome, encode,
    },
};

use super::{Scene, flip, surprises, unknown_psk, verdict};
use crate::engine::EngineName;

const UNKNOWN: ExtensionType = ExtensionType(0xf0aa);

/// Ways to spoil a Welcome, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    NoExternalPub,
    UnknownInfoExtension,
    NoPathSecret,
    Signature,
    ConfirmationTag,
    BlankSigner,
    AnotherSigner,
    Tree,
    TreeHash,
    ContextSuite,
    ContextVersion,
    UnsupportedContextExtension,
    UnmetRequiredCapabilities,
    DuplicateInfoExtension,
    DuplicateContextExtension,
    WelcomeSuite,
    PathSecret,
    JoinerSecret,
    UnknownPsk,
    SealedInfo,
    Reference,
    TrailingSecrets,
    TrailingInfo,
}

use Lie as L;

/// Each with whether it is to be accepted, and who is known to do otherwise.
const LIES: &[(Lie, bool, &[EngineName])] = &[
    (L::None, true, &[]),
    (L::NoExternalPub, true, &[]),
    // RFC 9420 §13.4: what is not understood is ignored.
    (L::UnknownInfoExtension, true, &[]),
    // RFC 9420 §12.4.3.1: the path secret is optional.
    (L::NoPathSecret, true, &[]),
    // RFC 9420 §12.4.3.1, as all that follow but where another clause is named.
    (L::Signature, false, &[]),
    (L::ConfirmationTag, false, &[]),
    (L::BlankSigner, false, &[]),
    (L::AnotherSigner, false, &[]),
    (L::Tree, false, &[]),
    (L::TreeHash, false, &[]),
    (L::ContextSuite, false, &[EngineName::MlsRs]),
    (L::ContextVersion, false, &[]),
    // RFC 9420 §7.3: every member supports the extensions of the GroupContext.
    (L::UnsupportedContextExtension, false, &[]),
    // RFC 9420 §7.3, §11.1
    (L::UnmetRequiredCapabilities, false, &[]),
    // RFC 9420 §13.4
    (L::DuplicateInfoExtension, false, &[]),
    (L::DuplicateContextExtension, false, &[]),
    (L::WelcomeSuite, false, &[]),
    (L::PathSecret, false, &[]),
    (L::JoinerSecret, false, &[]),
    (L::UnknownPsk, false, &[]),
    (L::SealedInfo, false, &[]),
    (L::Reference, false, &[]),
    // RFC 9420 §2.1: a structure fills its bytes.
    (L::TrailingSecrets, false, &[EngineName::MlsRs]),
    (L::TrailingInfo, false, &[EngineName::MlsRs]),
];

#[test]
fn a_spoilt_welcome_is_refused_alike() {
    let mut found = Vec::new();
    for suite in CipherSuite::ALL {
        for (lie, should_hold, known) in LIES {
            let mut scene = Scene::new(suite);
            let welcome = Opened::new(&scene).spoil(*lie, &scene);
            let welcome = encode(&MlsMessage::Welcome(welcome)).unwrap();
            let clients = scene.clients.iter_mut();
            let verdicts: Vec<_> = clients
                .map(|client| verdict(|| client.join(&welcome, None)))
                .collect();
            let what = format!("{suite:?}, {lie:?}");
            found.extend(surprises(&what, *should_hold, known, &verdicts));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// A Welcome as its author knew it.
struct Opened {
    joiner: JoinerSecret,
    /// Of the lowest node above leaves 0 and 1.
    path_secret: Secret,
    psks: Vec<PreSharedKeyId>,
    info: GroupInfo,
}

impl Opened {
    fn new(scene: &Scene) -> Self {
        let (suite, spy) = (scene.group.suite(), &scene.spy);
        let told = GroupSecrets::open(suite, &scene.welcome, &spy.package, &spy.init).unwrap();
        let joiner = told.joiner_secret();
        Self {
            info: open_group_info(suite, &scene.welcome, &member(suite, &joiner)).unwrap(),
            path_secret: told.path_secret().unwrap(),
            psks: Vec::new(),
            joiner,
        }
    }

    fn spoil(mut self, lie: Lie, scene: &Scene) -> Welcome {
        let suite = scene.group.suite();
        self.spoil_info(lie);
        match lie {
            L::PathSecret => self.path_secret = Secret::zero(suite.hash_len()),
            L::UnknownPsk => self.psks.push(unknown_psk(suite.hash_len())),
            _ => {}
        }
        // Whatever the context says now, it comes with the tag that fits it.
        let secrets = epoch(suite, &self.joiner, &self.info);
        let confirmed = self.info.group_context.confirmed_transcript_hash.as_slice();
        let tag = suite.mac(secrets.confirmation_key().as_bytes(), confirmed);
        self.info.confirmation_tag = tag.as_bytes().into();
        if lie == L::ConfirmationTag {
            flip(&mut self.info.confirmation_tag);
        }
        self.info.sign(&scene.creator.key).unwrap();
        if lie == L::Signature {
            flip(&mut self.info.signature);
        }
        self.seal(lie, scene)
    }

    fn spoil_info(&mut self, lie: Lie) {
        let info = &mut self.info;
        let unknown = || extension(UNKNOWN, b"unknown".to_vec());
        let context = &mut info.group_context;
        match lie {
            L::NoExternalPub => drop_extension(info, ExtensionType::EXTERNAL_PUB),
            L::Tree => drop_extension(info, ExtensionType::RATCHET_TREE),
            L::UnknownInfoExtension => info.extensions.0.push(unknown()),
            L::DuplicateInfoExtension => info.extensions.0.extend([unknown(), unknown()]),
            L::BlankSigner => info.signer = 7,
            L::AnotherSigner => info.signer = 1,
            L::TreeHash => flip(&mut context.tree_hash),
            L::ContextSuite => context.cipher_suite = if context.cipher_suite == 1 { 3 } else { 1 },
            L::ContextVersion => context.version = 2,
            L::UnsupportedContextExtension => context.extensions.0.push(unknown()),
            L::DuplicateContextExtension => {
                let none = encode(&RequiredCapabilities::default()).unwrap();
                let required = || extension(ExtensionType::REQUIRED_CAPABILITIES, none.clone());
                context.extensions.0.extend([required(), required()]);
            }
            L::UnmetRequiredCapabilities => {
                let required = RequiredCapabilities {
                    proposal_types: vec![ProposalType(0xf0aa)],
                    ..RequiredCapabilities::default()
                };
                let required = encode(&required).unwrap();
                let kind = ExtensionType::REQUIRED_CAPABILITIES;
                context.extensions.0.push(extension(kind, required));
            }
            _ => {}
        }
    }

    fn seal(self, lie: Lie, scene: &Scene) -> Welcome {
        let suite = scene.group.suite();
        let sealed_info = self.sealed_info(lie, suite);
        let mut secrets = Vec::new();
        for (leaf, package) in (1..).zip(&scene.packages) {
            let path_secret = (lie != L::NoPathSecret).then(|| self.path_secret_for(leaf, scene));
            let told = match lie {
                L::JoinerSecret => &JoinerSecret::from_welcome(Secret::zero(suite.hash_len())),
                _ => &self.joiner,
            };
            let told = GroupSecrets::new(told, path_secret.as_ref(), self.psks.clone());
            let mut plaintext = encode(&told).unwrap();
            if lie == L::TrailingSecrets {
                plaintext.push(0);
            }
            let mut sealed = told
                .seal(suite, package, &sealed_info, &mut SystemRandomness)
                .unwrap();
            let public = package.init_key.as_slice();
            let again = suite.encrypt_with_label(
                public,
                "Welcome",
                &sealed_info,
                &plaintext,
                &mut SystemRandomness,
            );
            let again = again.unwrap();
            sealed.encrypted_group_secrets.kem_output = again.kem_output.into();
            sealed.encrypted_group_secrets.ciphertext = again.ciphertext.into();
            if lie == L::Reference {
                flip(&mut sealed.new_member);
            }
            secrets.push(sealed);
        }
        let mut encrypted_group_info = Bytes::from(sealed_info);
        if lie == L::SealedInfo {
            flip(&mut encrypted_group_info);
        }
        Welcome {
            cipher_suite: match lie {
                L::WelcomeSuite => 1 + u16::from(suite == CipherSuite::X25519Aes128Sha256Ed25519),
                _ => suite.into(),
            },
            secrets,
            encrypted_group_info,
        }
    }

    fn sealed_info(&self, lie: Lie, suite: CipherSuite) -> Vec<u8> {
        let member = member(suite, &self.joiner);
        if lie != L::TrailingInfo {
            return seal_group_info(suite, &self.info, &member).unwrap();
        }
        let secret = member.welcome_secret().unwrap();
        let expand = |label, len| suite.expand_with_label(&secret, label, &[], len).unwrap();
        let key = expand("key", suite.key_len());
        let nonce = expand("nonce", suite.nonce_len());
        let mut plaintext = encode(&self.info).unwrap();
        plaintext.push(0);
        let sealed = suite.seal(key.as_bytes(), nonce.as_bytes(), &[], &plaintext);
        sealed.unwrap()
    }

    /// RFC 9420 §7.4: each comes from the one below.
    fn path_secret_for(&self, leaf: u32, scene: &Scene) -> Secret {
        let path = scene.group.public().tree().filtered_direct_path(0);
        let at = NodeIndex::of_leaf(leaf);
        let steps = path.iter().position(|(_, beside)| beside.covers(at));
        let suite = scene.group.suite();
        let next = |secret: Secret, _| suite.derive_secret(&secret, "path").unwrap();
        (0..steps.unwrap()).fold(self.path_secret.clone(), next)
    }
}

fn member(suite: CipherSuite, joiner: &JoinerSecret) -> MemberSecret {
    joiner.with_psks(suite, &psk_secret(suite, &[]).unwrap())
}

fn epoch(suite: CipherSuite, joiner: &JoinerSecret, info: &GroupInfo) -> EpochSecrets {
    let context = encode(&info.group_context).unwrap();
    member(suite, joiner).epoch(&context).unwrap().0
}

fn extension(extension_type: ExtensionType, data: Vec<u8>) -> Extension {
    Extension {
        extension_type,
        extension_data: data.into(),
    }
}

fn drop_extension(info: &mut GroupInfo, kind: ExtensionType) {
    let extensions = &mut info.extensions.0;
    extensions.retain(|extension| extension.extension_type != kind);
}
