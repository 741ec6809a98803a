//! Requests that nobody should make: each gets a status, and the server goes on.

// The generated types are filled by one macro, whether or not it names all their fields.
#![allow(
    clippy::needless_update,
    clippy::cast_possible_truncation,
    clippy::manual_is_multiple_of
)]

use conclave_conformance::mls_client as proto;
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use proto::{ProposalDescription, mls_client_client::MlsClientClient};
use tonic::{Code, transport::Channel};

/// Lists of requests that each server gets.
const CASES: u32 = 24;

type Client = MlsClientClient<Channel>;

/// A request with numbers that may name something or nothing, and bytes that are real or not.
#[derive(Debug, Clone)]
struct Ask {
    rpc: usize,
    id: u32,
    other: u32,
    bytes: Bytes,
    number: u64,
}

#[derive(Debug, Clone)]
enum Bytes {
    Noise(Vec<u8>),
    /// Something that was given before, with one byte changed or none.
    Given {
        which: usize,
        at: usize,
        flip: u8,
    },
}

fn bytes() -> impl Strategy<Value = Bytes> {
    let given = (
        any::<usize>(),
        any::<usize>(),
        prop_oneof![Just(0_u8), any::<u8>()],
    );
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::Noise),
        3 => given.prop_map(|(which, at, flip)| Bytes::Given { which, at, flip }),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    (0_usize..30, 0_u32..12, 0_u32..12, bytes(), any::<u64>()).prop_map(
        |(rpc, id, other, bytes, number)| Ask {
            rpc,
            id,
            other,
            bytes,
            number,
        },
    )
}

/// Attacks the server at this address, `host:port`, which must be there to the end.
pub(crate) async fn attack(address: &str) {
    let mut client = MlsClientClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let asks = prop::collection::vec(ask(), 10..40);
    for _ in 0..CASES {
        let list = asks.new_tree(&mut runner).unwrap().current();
        let mut given = begin(&mut client).await;
        for ask in &list {
            if let Err(code) = send(&mut client, ask, &mut given).await {
                let is_answer = !matches!(code, Code::Unavailable | Code::Cancelled);
                assert!(is_answer, "{ask:?}: {code:?}");
            }
        }
    }
    // After all that it still makes a group.
    begin(&mut client).await;
}

/// A group of two, made as it should be; gives what was said on the way.
async fn begin(client: &mut Client) -> Vec<Vec<u8>> {
    let group = proto::CreateGroupRequest {
        group_id: b"hostile".to_vec(),
        cipher_suite: 1,
        encrypt_handshake: false,
        identity: b"a".to_vec(),
    };
    let state_id = client
        .create_group(group)
        .await
        .unwrap()
        .into_inner()
        .state_id;
    let package = proto::CreateKeyPackageRequest {
        cipher_suite: 1,
        identity: b"b".to_vec(),
    };
    let package = client
        .create_key_package(package)
        .await
        .unwrap()
        .into_inner();
    let add = ProposalDescription {
        proposal_type: b"add".to_vec(),
        key_package: package.key_package.clone(),
        ..Default::default()
    };
    let commit = proto::CommitRequest {
        state_id,
        by_value: vec![add],
        ..Default::default()
    };
    let made = client.commit(commit).await.unwrap().into_inner();
    let pending = proto::HandlePendingCommitRequest { state_id };
    client.handle_pending_commit(pending).await.unwrap();
    let join = proto::JoinGroupRequest {
        transaction_id: package.transaction_id,
        welcome: made.welcome.clone(),
        identity: b"b".to_vec(),
        ..Default::default()
    };
    client.join_group(join).await.unwrap();
    let shown = proto::GroupInfoRequest {
        state_id,
        external_tree: false,
    };
    let shown = client.group_info(shown).await.unwrap().into_inner();
    let protect = proto::ProtectRequest {
        state_id,
        plaintext: b"text".to_vec(),
        ..Default::default()
    };
    let sealed = client.protect(protect).await.unwrap().into_inner();
    vec![
        package.key_package,
        made.commit,
        made.welcome,
        shown.group_info,
        sealed.ciphertext,
    ]
}

fn written(bytes: &Bytes, given: &[Vec<u8>]) -> Vec<u8> {
    match bytes {
        Bytes::Noise(noise) => noise.clone(),
        Bytes::Given { which, at, flip } => {
            let mut bytes = given[which % given.len()].clone();
            let len = bytes.len();
            if len > 0 {
                bytes[at % len] ^= flip;
            }
            bytes
        }
    }
}

fn description(ask: &Ask, bytes: &[u8]) -> ProposalDescription {
    let kinds: [&[u8]; 7] = [
        b"add",
        b"remove",
        b"externalPSK",
        b"resumptionPSK",
        b"groupContextExtensions",
        b"reinit",
        b"nonsense",
    ];
    ProposalDescription {
        proposal_type: kinds[ask.other as usize % kinds.len()].to_vec(),
        key_package: bytes.to_vec(),
        removed_id: b"b".to_vec(),
        psk_id: bytes.to_vec(),
        epoch_id: ask.number,
        extensions: extensions(ask, bytes),
        group_id: bytes.to_vec(),
        cipher_suite: ask.other,
    }
}

fn extensions(ask: &Ask, bytes: &[u8]) -> Vec<proto::Extension> {
    vec![proto::Extension {
        extension_type: (ask.number % 100_000) as u32,
        extension_data: bytes.to_vec(),
    }]
}

/// Sends one; what it gives can be given back later.
#[allow(clippy::too_many_lines)]
async fn send(client: &mut Client, ask: &Ask, given: &mut Vec<Vec<u8>>) -> Result<(), Code> {
    let bytes = written(&ask.bytes, given);
    let id = ask.id;
    macro_rules! call {
        ($rpc:ident, $request:ident { $($field:ident: $value:expr),* $(,)? } $(, $($out:ident),+)?) => {{
            let request = proto::$request { $($field: $value,)* ..Default::default() };
            let answer = client.$rpc(request).await.map_err(|status| status.code())?;
            #[allow(unused_variables)]
            let answer = answer.into_inner();
            $($(given.push(answer.$out.clone());)+)?
        }};
    }
    match ask.rpc {
        0 => call!(
            create_group,
            CreateGroupRequest {
                group_id: bytes.clone(),
                cipher_suite: ask.number as u32,
                identity: bytes
            }
        ),
        1 => call!(
            create_key_package,
            CreateKeyPackageRequest {
                cipher_suite: 1,
                identity: bytes
            },
            key_package
        ),
        2 => call!(
            join_group,
            JoinGroupRequest {
                transaction_id: id,
                welcome: bytes.clone(),
                ratchet_tree: bytes
            }
        ),
        3 => call!(
            external_join,
            ExternalJoinRequest {
                group_info: bytes,
                remove_prior: ask.other % 2 == 0,
                identity: b"b".to_vec()
            },
            commit
        ),
        4 => call!(
            group_info,
            GroupInfoRequest {
                state_id: id,
                external_tree: ask.other % 2 == 0
            },
            group_info
        ),
        5 => call!(state_auth, StateAuthRequest { state_id: id }),
        6 => call!(
            export,
            ExportRequest {
                state_id: id,
                context: bytes,
                key_length: ask.number as u32
            }
        ),
        7 => call!(
            protect,
            ProtectRequest {
                state_id: id,
                plaintext: bytes
            },
            ciphertext
        ),
        8 => call!(
            unprotect,
            UnprotectRequest {
                state_id: id,
                ciphertext: bytes
            }
        ),
        9 => call!(
            store_psk,
            StorePskRequest {
                state_or_transaction_id: id,
                psk_id: bytes.clone(),
                psk_secret: bytes
            }
        ),
        10 => call!(
            add_proposal,
            AddProposalRequest {
                state_id: id,
                key_package: bytes
            },
            proposal
        ),
        11 => call!(
            update_proposal,
            UpdateProposalRequest { state_id: id },
            proposal
        ),
        12 => call!(
            remove_proposal,
            RemoveProposalRequest {
                state_id: id,
                removed_id: b"b".to_vec()
            },
            proposal
        ),
        13 => call!(
            external_psk_proposal,
            ExternalPskProposalRequest {
                state_id: id,
                psk_id: bytes
            },
            proposal
        ),
        14 => call!(
            resumption_psk_proposal,
            ResumptionPskProposalRequest {
                state_id: id,
                epoch_id: ask.number
            },
            proposal
        ),
        15 => call!(
            group_context_extensions_proposal,
            GroupContextExtensionsProposalRequest {
                state_id: id,
                extensions: extensions(ask, &bytes)
            },
            proposal
        ),
        16 => call!(
            commit,
            CommitRequest {
                state_id: id,
                by_reference: vec![bytes.clone()],
                by_value: vec![description(ask, &bytes)],
                external_tree: ask.other % 2 == 0
            },
            commit,
            welcome
        ),
        17 => call!(commit, CommitRequest { state_id: id }, commit),
        18 => call!(
            handle_commit,
            HandleCommitRequest {
                state_id: id,
                commit: bytes
            }
        ),
        19 => call!(
            handle_pending_commit,
            HandlePendingCommitRequest { state_id: id }
        ),
        20 => call!(
            re_init_proposal,
            ReInitProposalRequest {
                state_id: id,
                cipher_suite: ask.other,
                group_id: bytes
            },
            proposal
        ),
        21 => call!(
            re_init_commit,
            CommitRequest {
                state_id: id,
                by_reference: vec![bytes]
            },
            commit
        ),
        22 => call!(
            handle_pending_re_init_commit,
            HandlePendingCommitRequest { state_id: id },
            key_package
        ),
        23 => call!(
            handle_re_init_commit,
            HandleCommitRequest {
                state_id: id,
                commit: bytes
            },
            key_package
        ),
        24 => call!(
            re_init_welcome,
            ReInitWelcomeRequest {
                reinit_id: id,
                key_package: vec![bytes]
            },
            welcome
        ),
        25 => call!(
            handle_re_init_welcome,
            HandleReInitWelcomeRequest {
                reinit_id: id,
                welcome: bytes
            }
        ),
        26 => call!(
            create_branch,
            CreateBranchRequest {
                state_id: id,
                group_id: bytes.clone(),
                key_packages: vec![bytes]
            },
            welcome
        ),
        27 => call!(
            handle_branch,
            HandleBranchRequest {
                state_id: id,
                transaction_id: ask.other,
                welcome: bytes
            }
        ),
        28 => call!(
            new_member_add_proposal,
            NewMemberAddProposalRequest {
                group_info: bytes,
                identity: b"c".to_vec()
            },
            proposal
        ),
        _ => call!(
            external_signer_proposal,
            ExternalSignerProposalRequest {
                signer_id: id,
                signer_index: ask.other,
                group_info: bytes.clone(),
                description: Some(description(ask, &bytes))
            },
            proposal
        ),
    }
    Ok(())
}
