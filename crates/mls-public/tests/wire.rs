//! Every wire type survives its encoding, has no second one, and takes no byte more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Debug;

use conclave_mls_public::{
    Error,
    wire::{
        AnnotatedCommit, AnnotatedWelcome, AuthData, AuthenticatedContent, Bytes, Capabilities,
        Commit, Content, CopathHash, Credential, EncryptedGroupSecrets, Extension, ExtensionType,
        Extensions, ExternalSender, FramedContent, GroupContext, GroupInfo, HpkeCiphertext,
        KeyPackage, LeafNode, LeafNodeSource, Lifetime, MembershipProof, MlsMessage, Node,
        ParentNode, PreSharedKeyId, PrivateMessage, Proposal, ProposalOrRef, ProposalType, Psk,
        PublicMessage, ReInit, RequiredCapabilities, ResumptionPskUsage, Sender,
        SenderAuthenticated, UpdatePath, UpdatePathNode, Welcome, WireFormat, decode, encode,
    },
};
use proptest::{collection::vec, option, prelude::*};
use tls_codec::{DeserializeBytes, Serialize};

/// What holds for `object`, and for what one changed byte makes of it.
fn one_encoding<T>(object: &T, at: usize, change: u8) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeBytes + PartialEq + Debug,
{
    let bytes = encode(object).unwrap();
    prop_assert_eq!(&decode::<T>(&bytes).unwrap(), object);
    prop_assert_eq!(object.tls_serialized_len(), bytes.len());
    let longer = [&bytes[..], &[0]].concat();
    prop_assert_eq!(decode::<T>(&longer), Err(Error::Malformed));
    let shorter = bytes.split_last().map_or(&[][..], |(_, shorter)| shorter);
    if !bytes.is_empty() {
        prop_assert!(decode::<T>(shorter).as_ref() != Ok(object));
        let mut changed = bytes.clone();
        let at = at % changed.len();
        changed[at] ^= change;
        if let Ok(other) = decode::<T>(&changed) {
            prop_assert_eq!(encode(&other).unwrap(), changed);
        }
    }
    Ok(())
}

macro_rules! one_encoding_each {
    ($($name:ident: $strategy:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
            $(
                #[test]
                fn $name(object in $strategy, at in any::<usize>(), change in 1_u8..) {
                    one_encoding(&object, at, change)?;
                }
            )*
        }
    };
}

one_encoding_each! {
    capabilities_have_one_encoding: capabilities();
    credentials_have_one_encoding: credential();
    key_packages_have_one_encoding: key_package();
    leaf_nodes_have_one_encoding: leaf_node();
    nodes_have_one_encoding: vec(option::of(node()), 0..4);
    extensions_have_one_encoding: extensions();
    required_capabilities_have_one_encoding: required_capabilities();
    external_senders_have_one_encoding: vec(external_sender(), 0..3);
    group_contexts_have_one_encoding: group_context();
    group_infos_have_one_encoding: group_info();
    proposals_have_one_encoding: proposal();
    commits_have_one_encoding: commit();
    update_paths_have_one_encoding: update_path();
    psk_ids_have_one_encoding: psk_id();
    welcomes_have_one_encoding: welcome();
    framed_contents_have_one_encoding: framed_content();
    authenticated_contents_have_one_encoding: authenticated_content();
    public_messages_have_one_encoding: public_message();
    private_messages_have_one_encoding: private_message();
    messages_have_one_encoding: message();
    membership_proofs_have_one_encoding: proof();
    annotated_welcomes_have_one_encoding: annotated_welcome();
    annotated_commits_have_one_encoding: annotated_commit();
}

/// Also where the length's own encoding grows.
fn bytes() -> BoxedStrategy<Bytes> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..8).prop_map(Bytes::new),
        1 => (60_usize..70).prop_map(|len| vec![7; len].into()),
        1 => (16_380_usize..16_390).prop_map(|len| vec![7; len].into()),
    ]
    .boxed()
}

fn numbers() -> BoxedStrategy<Vec<u16>> {
    vec(any::<u16>(), 0..4).boxed()
}

fn capabilities() -> BoxedStrategy<Capabilities> {
    let all = (numbers(), numbers(), numbers(), numbers(), numbers());
    all.prop_map(
        |(versions, cipher_suites, extensions, proposals, credentials)| Capabilities {
            versions,
            cipher_suites,
            extensions: extensions.into_iter().map(ExtensionType).collect(),
            proposals: proposals.into_iter().map(ProposalType).collect(),
            credentials,
        },
    )
    .boxed()
}

fn required_capabilities() -> BoxedStrategy<RequiredCapabilities> {
    let all = (numbers(), numbers(), numbers());
    all.prop_map(
        |(extensions, proposals, credential_types)| RequiredCapabilities {
            extension_types: extensions.into_iter().map(ExtensionType).collect(),
            proposal_types: proposals.into_iter().map(ProposalType).collect(),
            credential_types,
        },
    )
    .boxed()
}

fn credential() -> BoxedStrategy<Credential> {
    prop_oneof![
        bytes().prop_map(Credential::Basic),
        vec(bytes(), 0..3).prop_map(Credential::X509),
        (3_u16.., bytes()).prop_map(|(kind, content)| Credential::Other(kind, content)),
    ]
    .boxed()
}

fn extensions() -> BoxedStrategy<Extensions> {
    let one = (any::<u16>(), bytes()).prop_map(|(kind, extension_data)| Extension {
        extension_type: ExtensionType(kind),
        extension_data,
    });
    vec(one, 0..3).prop_map(Extensions).boxed()
}

fn external_sender() -> BoxedStrategy<ExternalSender> {
    (bytes(), credential())
        .prop_map(|(signature_key, credential)| ExternalSender {
            signature_key,
            credential,
        })
        .boxed()
}

fn leaf_node() -> BoxedStrategy<LeafNode> {
    let source = prop_oneof![
        any::<(u64, u64)>().prop_map(|(not_before, not_after)| {
            LeafNodeSource::KeyPackage(Lifetime {
                not_before,
                not_after,
            })
        }),
        Just(LeafNodeSource::Update),
        bytes().prop_map(LeafNodeSource::Commit),
    ];
    let keys = (bytes(), bytes(), bytes());
    (keys, credential(), capabilities(), source, extensions())
        .prop_map(
            |(
                (encryption_key, signature_key, signature),
                credential,
                capabilities,
                source,
                extensions,
            )| {
                LeafNode {
                    encryption_key,
                    signature_key,
                    credential,
                    capabilities,
                    leaf_node_source: source,
                    extensions,
                    signature,
                }
            },
        )
        .boxed()
}

fn key_package() -> BoxedStrategy<KeyPackage> {
    (
        any::<(u16, u16)>(),
        bytes(),
        leaf_node(),
        extensions(),
        bytes(),
    )
        .prop_map(
            |((version, cipher_suite), init_key, leaf_node, extensions, signature)| KeyPackage {
                version,
                cipher_suite,
                init_key,
                leaf_node,
                extensions,
                signature,
            },
        )
        .boxed()
}

fn node() -> BoxedStrategy<Node> {
    let parent = (bytes(), bytes(), vec(any::<u32>(), 0..4));
    prop_oneof![
        leaf_node().prop_map(|leaf| Node::Leaf(Box::new(leaf))),
        parent.prop_map(|(encryption_key, parent_hash, unmerged_leaves)| {
            Node::Parent(Box::new(ParentNode {
                encryption_key,
                parent_hash,
                unmerged_leaves,
            }))
        }),
    ]
    .boxed()
}

fn group_context() -> BoxedStrategy<GroupContext> {
    (
        any::<(u16, u16, u64)>(),
        bytes(),
        bytes(),
        bytes(),
        extensions(),
    )
        .prop_map(
            |((version, cipher_suite, epoch), group_id, tree_hash, transcript, extensions)| {
                GroupContext {
                    version,
                    cipher_suite,
                    group_id,
                    epoch,
                    tree_hash,
                    confirmed_transcript_hash: transcript,
                    extensions,
                }
            },
        )
        .boxed()
}

fn group_info() -> BoxedStrategy<GroupInfo> {
    (
        group_context(),
        extensions(),
        bytes(),
        any::<u32>(),
        bytes(),
    )
        .prop_map(
            |(group_context, extensions, confirmation_tag, signer, signature)| GroupInfo {
                group_context,
                extensions,
                confirmation_tag,
                signer,
                signature,
            },
        )
        .boxed()
}

fn psk_id() -> BoxedStrategy<PreSharedKeyId> {
    let usage = prop_oneof![
        Just(ResumptionPskUsage::Application),
        Just(ResumptionPskUsage::Reinit),
        Just(ResumptionPskUsage::Branch),
    ];
    let psk = prop_oneof![
        bytes().prop_map(Psk::External),
        (usage, bytes(), any::<u64>()).prop_map(|(usage, psk_group_id, psk_epoch)| {
            Psk::Resumption {
                usage,
                psk_group_id,
                psk_epoch,
            }
        }),
    ];
    (psk, bytes())
        .prop_map(|(psk, psk_nonce)| PreSharedKeyId { psk, psk_nonce })
        .boxed()
}

fn proposal() -> BoxedStrategy<Proposal> {
    let reinit = (bytes(), any::<(u16, u16)>(), extensions());
    prop_oneof![
        key_package().prop_map(|package| Proposal::Add(Box::new(package))),
        leaf_node().prop_map(|leaf| Proposal::Update(Box::new(leaf))),
        any::<u32>().prop_map(Proposal::Remove),
        psk_id().prop_map(Proposal::PreSharedKey),
        reinit.prop_map(|(group_id, (version, cipher_suite), extensions)| {
            Proposal::ReInit(ReInit {
                group_id,
                version,
                cipher_suite,
                extensions,
            })
        }),
        bytes().prop_map(Proposal::ExternalInit),
        extensions().prop_map(Proposal::GroupContextExtensions),
        Just(Proposal::SelfRemove),
        (0x0b_u16.., bytes()).prop_map(|(kind, data)| Proposal::Other(ProposalType(kind), data)),
    ]
    .boxed()
}

fn ciphertext() -> BoxedStrategy<HpkeCiphertext> {
    (bytes(), bytes())
        .prop_map(|(kem_output, ciphertext)| HpkeCiphertext {
            kem_output,
            ciphertext,
        })
        .boxed()
}

fn update_path() -> BoxedStrategy<UpdatePath> {
    let node =
        (bytes(), vec(ciphertext(), 0..3)).prop_map(|(encryption_key, sealed)| UpdatePathNode {
            encryption_key,
            encrypted_path_secret: sealed,
        });
    (leaf_node(), vec(node, 0..3))
        .prop_map(|(leaf_node, nodes)| UpdatePath { leaf_node, nodes })
        .boxed()
}

fn commit() -> BoxedStrategy<Commit> {
    let item = prop_oneof![
        proposal().prop_map(|proposal| ProposalOrRef::Proposal(Box::new(proposal))),
        bytes().prop_map(ProposalOrRef::Reference),
    ];
    (vec(item, 0..3), option::of(update_path()))
        .prop_map(|(proposals, path)| Commit { proposals, path })
        .boxed()
}

fn framed_content() -> BoxedStrategy<FramedContent> {
    let sender = prop_oneof![
        any::<u32>().prop_map(Sender::Member),
        any::<u32>().prop_map(Sender::External),
        Just(Sender::NewMemberProposal),
        Just(Sender::NewMemberCommit),
    ];
    let content = prop_oneof![
        bytes().prop_map(Content::Application),
        proposal().prop_map(|proposal| Content::Proposal(Box::new(proposal))),
        commit().prop_map(|commit| Content::Commit(Box::new(commit))),
    ];
    (bytes(), any::<u64>(), sender, bytes(), content)
        .prop_map(
            |(group_id, epoch, sender, authenticated_data, content)| FramedContent {
                group_id,
                epoch,
                sender,
                authenticated_data,
                content,
            },
        )
        .boxed()
}

/// Content with what must go with it, and with a tag that a member's message has.
fn signed() -> BoxedStrategy<(FramedContent, AuthData, Bytes)> {
    (framed_content(), bytes(), bytes(), bytes())
        .prop_map(|(content, signature, tag, mac)| {
            let is_commit = matches!(content.content, Content::Commit(_));
            let auth = AuthData {
                signature,
                confirmation_tag: is_commit.then_some(tag),
            };
            (content, auth, mac)
        })
        .boxed()
}

fn authenticated_content() -> BoxedStrategy<AuthenticatedContent> {
    let format = prop_oneof![
        Just(WireFormat::PublicMessage),
        Just(WireFormat::PrivateMessage),
    ];
    (format, signed())
        .prop_map(|(wire_format, (content, auth, _))| AuthenticatedContent {
            wire_format,
            content,
            auth,
        })
        .boxed()
}

fn public_message() -> BoxedStrategy<PublicMessage> {
    signed()
        .prop_map(|(content, auth, mac)| PublicMessage {
            membership_tag: matches!(content.sender, Sender::Member(_)).then_some(mac),
            content,
            auth,
        })
        .boxed()
}

fn private_message() -> BoxedStrategy<PrivateMessage> {
    (framed_content(), bytes(), bytes())
        .prop_map(|(content, sender_data, ciphertext)| PrivateMessage {
            content_type: content.content.content_type(),
            group_id: content.group_id,
            epoch: content.epoch,
            authenticated_data: content.authenticated_data,
            encrypted_sender_data: sender_data,
            ciphertext,
        })
        .boxed()
}

fn welcome() -> BoxedStrategy<Welcome> {
    let secrets = (bytes(), ciphertext()).prop_map(|(new_member, sealed)| EncryptedGroupSecrets {
        new_member,
        encrypted_group_secrets: sealed,
    });
    (any::<u16>(), vec(secrets, 0..3), bytes())
        .prop_map(|(cipher_suite, secrets, sealed)| Welcome {
            cipher_suite,
            secrets,
            encrypted_group_info: sealed,
        })
        .boxed()
}

fn message() -> BoxedStrategy<MlsMessage> {
    prop_oneof![
        public_message().prop_map(MlsMessage::PublicMessage),
        private_message().prop_map(MlsMessage::PrivateMessage),
        welcome().prop_map(MlsMessage::Welcome),
        group_info().prop_map(MlsMessage::GroupInfo),
        key_package().prop_map(MlsMessage::KeyPackage),
    ]
    .boxed()
}

fn proof() -> BoxedStrategy<MembershipProof> {
    let hashes = vec(
        bytes().prop_map(|hash_value| CopathHash { hash_value }),
        0..3,
    );
    (any::<(u32, u32)>(), vec(option::of(node()), 0..3), hashes)
        .prop_map(
            |((leaf_index, n_leaves), direct_path_nodes, copath_hashes)| MembershipProof {
                leaf_index,
                n_leaves,
                direct_path_nodes,
                copath_hashes,
            },
        )
        .boxed()
}

fn annotated_welcome() -> BoxedStrategy<AnnotatedWelcome> {
    (welcome(), proof(), proof())
        .prop_map(|(message, sender, joiner)| AnnotatedWelcome {
            welcome: SenderAuthenticated {
                message,
                sender_membership_proof: sender,
            },
            joiner_membership_proof: joiner,
        })
        .boxed()
}

fn annotated_commit() -> BoxedStrategy<AnnotatedCommit> {
    let proofs = (option::of(proof()), proof(), proof());
    (message(), proofs, bytes(), option::of(any::<u32>()))
        .prop_map(
            |(commit, (before, sender, receiver), tree_hash_after, resolution_index)| {
                AnnotatedCommit {
                    commit,
                    sender_membership_proof: before,
                    tree_hash_after,
                    resolution_index,
                    sender_membership_proof_after: sender,
                    receiver_membership_proof_after: receiver,
                }
            },
        )
        .boxed()
}
