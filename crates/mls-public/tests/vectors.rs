//! The official vectors, as far as public parts go. They are looked for in `../shared/vectors` beside
//! the repository, or where `CONCLAVE_VECTORS` says. Without them the tests show as ignored; with
//! `CI=true` that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    env, fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};

use conclave_crypto::{CipherSuite, CryptoError};
use conclave_mls_public::{
    NodeIndex, RatchetTree, TreeSize, same_tree, transcript, tree_hash_of,
    wire::{
        AnnotatedCommit, AnnotatedWelcome, AuthenticatedContent, Bytes, Commit, Content,
        CopathHash, ExtensionType, Extensions, GroupContext, GroupInfo, KeyPackage, LeafNode,
        MLS10, MembershipProof, MlsMessage, Node, PreSharedKeyId, PrivateMessage, Proposal,
        PublicMessage, ReInit, SenderAuthenticated, UpdatePath, Welcome, decode, encode,
    },
};
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use tls_codec::{DeserializeBytes, Serialize, TlsVarInt};

type Check = fn(&Value);

const FILES: &[(&str, Check)] = &[
    ("mls/tree-math.json", tree_math),
    ("mls/deserialization.json", deserialization),
    ("mls/messages.json", messages),
    ("mls/tree-operations.json", tree_operations),
    ("mls/tree-validation.json", tree_validation),
    ("mls/transcript-hashes.json", transcript_hashes),
    ("mls/message-protection.json", message_protection),
    ("mls/treekem.json", treekem),
    ("partial/membership-proofs.json", membership_proofs),
    ("partial/message-syntax.json", partial_syntax),
];

fn main() -> ExitCode {
    let folder = folder();
    let is_missing = !folder.is_dir();
    let must_be_there = env::var("CI").is_ok_and(|ci| ci == "true");
    let trial = |(file, check): &(&'static str, Check)| {
        let (path, check) = (folder.join(file), *check);
        Trial::test(*file, move || {
            run(&path, check);
            Ok(())
        })
        .with_ignored_flag(is_missing && !must_be_there)
    };
    let trials = FILES.iter().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    env::var_os("CONCLAVE_VECTORS").map_or(beside, PathBuf::from)
}

/// Runs every case of a file but those of suites 4 and 6, and of the drafts' suites from 8 on.
fn run(path: &Path, check: Check) {
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut checked = 0;
    for case in &cases {
        let number = case["cipher_suite"].as_u64().unwrap_or(1);
        match CipherSuite::try_from(u16::try_from(number).unwrap()) {
            Err(CryptoError::UnsupportedSuite) => continue,
            Err(_) if number > 7 => continue,
            suite => suite.expect("the suite is known"),
        };
        check(case);
        checked += 1;
    }
    assert!(checked > 0, "nothing to check");
}

fn suite(case: &Value) -> CipherSuite {
    let number = case["cipher_suite"].as_u64().unwrap();
    u16::try_from(number).unwrap().try_into().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn read<T: DeserializeBytes + Serialize>(value: &Value) -> T {
    let input = bytes(value);
    let object = decode::<T>(&input).unwrap();
    assert_eq!(encode(&object).unwrap(), input, "it encodes to other bytes");
    object
}

fn read_tree(case: &Value, field: &str) -> RatchetTree {
    let nodes: Vec<Option<Node>> = read(&case[field]);
    let tree = RatchetTree::from_nodes(suite(case), nodes.clone()).unwrap();
    assert_eq!(tree.to_nodes(), nodes);
    tree
}

fn tree_math(case: &Value) {
    let size = TreeSize::of_leaves(number(&case["n_leaves"])).unwrap();
    assert_eq!(size.nodes(), number(&case["n_nodes"]));
    assert_eq!(size.root().0, number(&case["root"]));
    for index in 0..size.nodes() {
        let node = NodeIndex(index);
        let same = |field: &str, ours: Option<NodeIndex>| {
            let theirs = &case[field][index as usize];
            let ours = ours.map_or(Value::Null, |node| node.0.into());
            assert_eq!(&ours, theirs, "{field} of {index}");
        };
        same("left", node.left());
        same("right", node.right());
        same("parent", size.parent(node));
        same("sibling", size.sibling(node));
    }
}

fn deserialization(case: &Value) {
    let (header, length) = (bytes(&case["vlbytes_header"]), number(&case["length"]));
    let (read, rest) = TlsVarInt::tls_deserialize_bytes(&header).unwrap();
    assert_eq!((read.value(), rest.len()), (length.into(), 0));
    assert_eq!(encode(&read).unwrap(), header);
}

fn messages(case: &Value) {
    for field in [
        "mls_welcome",
        "mls_group_info",
        "mls_key_package",
        "public_message_application",
        "public_message_proposal",
        "public_message_commit",
        "private_message",
    ] {
        read::<MlsMessage>(&case[field]);
    }
    read::<Vec<Option<Node>>>(&case["ratchet_tree"]);
    read::<Commit>(&case["commit"]);
    read::<Extensions>(&case["group_context_extensions_proposal"]);
    read::<ReInit>(&case["re_init_proposal"]);
    read::<Bytes>(&case["external_init_proposal"]);
    read::<PreSharedKeyId>(&case["pre_shared_key_proposal"]);
    read::<u32>(&case["remove_proposal"]);
    read::<LeafNode>(&case["update_proposal"]);
    read::<KeyPackage>(&case["add_proposal"]);
    let MlsMessage::GroupInfo(info) = read::<MlsMessage>(&case["mls_group_info"]) else {
        panic!("no GroupInfo");
    };
    info.extensions.ratchet_tree().unwrap();
    // One byte less or more is no message.
    let welcome = bytes(&case["mls_welcome"]);
    assert!(decode::<MlsMessage>(&welcome[..welcome.len() - 1]).is_err());
    assert!(decode::<MlsMessage>(&[welcome, vec![0]].concat()).is_err());
}

fn tree_operations(case: &Value) {
    let mut tree = read_tree(case, "tree_before");
    let before = tree.to_nodes();
    assert_eq!(tree.tree_hash(), bytes(&case["tree_hash_before"]));
    tree.begin();
    match read::<Proposal>(&case["proposal"]) {
        Proposal::Add(package) => drop(tree.add_leaf(package.leaf_node).unwrap()),
        Proposal::Update(leaf) => tree
            .update_leaf(number(&case["proposal_sender"]), *leaf)
            .unwrap(),
        Proposal::Remove(leaf) => tree.remove_leaf(leaf).unwrap(),
        other => panic!("{:?} changes no tree", other.proposal_type()),
    }
    assert_eq!(
        encode(&tree.to_nodes()).unwrap(),
        bytes(&case["tree_after"])
    );
    assert_eq!(tree.tree_hash(), bytes(&case["tree_hash_after"]));
    tree.roll_back();
    assert_eq!(tree.to_nodes(), before);
    assert_eq!(tree.tree_hash(), bytes(&case["tree_hash_before"]));
}

fn tree_validation(case: &Value) {
    let mut tree = read_tree(case, "tree");
    for index in 0..tree.size().nodes() {
        let node = NodeIndex(index);
        let resolution: Vec<_> = tree.resolution(node).iter().map(|node| node.0).collect();
        let expected = case["resolutions"][index as usize].as_array().unwrap();
        let expected: Vec<_> = expected.iter().map(number).collect();
        assert_eq!(resolution, expected, "the resolution of {index}");
        assert_eq!(
            tree.hash_of(node),
            bytes(&case["tree_hashes"][index as usize])
        );
    }
    let context = context(case, tree.tree_hash(), 0);
    for threads in [1, 3] {
        let threads = NonZeroUsize::new(threads).unwrap();
        tree.validate(&context, threads).unwrap();
    }
}

/// A context for what only the group's id and tree matter to.
fn context(case: &Value, tree_hash: Vec<u8>, epoch: u64) -> GroupContext {
    let confirmed = case.get("confirmed_transcript_hash");
    GroupContext {
        version: MLS10,
        cipher_suite: suite(case).into(),
        group_id: bytes(&case["group_id"]).into(),
        epoch,
        tree_hash: tree_hash.into(),
        confirmed_transcript_hash: confirmed.map(bytes).unwrap_or_default().into(),
        extensions: Extensions::default(),
    }
}

fn transcript_hashes(case: &Value) {
    let suite = suite(case);
    let content: AuthenticatedContent = read(&case["authenticated_content"]);
    let before = bytes(&case["interim_transcript_hash_before"]);
    let confirmed = transcript::confirmed_transcript_hash(suite, &before, &content).unwrap();
    assert_eq!(
        confirmed.as_bytes(),
        bytes(&case["confirmed_transcript_hash_after"])
    );
    let tag = content.auth.confirmation_tag.unwrap();
    let key = bytes(&case["confirmation_key"]);
    suite
        .verify_mac(&key, confirmed.as_bytes(), tag.as_slice())
        .unwrap();
    let interim = transcript::interim_transcript_hash(suite, confirmed.as_bytes(), &tag).unwrap();
    assert_eq!(
        interim.as_bytes(),
        bytes(&case["interim_transcript_hash_after"])
    );
}

fn message_protection(case: &Value) {
    let suite = suite(case);
    let epoch = case["epoch"].as_u64().unwrap();
    let context = context(case, bytes(&case["tree_hash"]), epoch);
    let (public, key) = (
        bytes(&case["signature_pub"]),
        bytes(&case["membership_key"]),
    );
    for (field, raw) in [("proposal_pub", "proposal"), ("commit_pub", "commit")] {
        let MlsMessage::PublicMessage(message) = read(&case[field]) else {
            panic!("no PublicMessage");
        };
        message.verify_membership(suite, &context, &key).unwrap();
        let mut other = context.clone();
        other.epoch += 1;
        assert!(message.verify_membership(suite, &other, &key).is_err());
        let content = AuthenticatedContent::from(message.clone());
        content.verify(suite, &context, &public).unwrap();
        assert!(content.verify(suite, &other, &public).is_err());
        let inner = match &content.content.content {
            Content::Proposal(proposal) => encode(&**proposal),
            Content::Commit(commit) => encode(&**commit),
            Content::Application(_) => panic!("application content in a PublicMessage"),
        };
        assert_eq!(inner.unwrap(), bytes(&case[raw]));
        let again = PublicMessage::protect(suite, content, &context, &key).unwrap();
        assert_eq!(again, message);
    }
}

/// The public half: each update path merges, and gives the tree that is expected.
fn treekem(case: &Value) {
    let tree = read_tree(case, "ratchet_tree");
    for given in case["update_paths"].as_array().unwrap() {
        let mut tree = tree.clone();
        let path: UpdatePath = read(&given["update_path"]);
        let sender = number(&given["sender"]);
        tree.begin();
        tree.apply_path(sender, &path, &[]).unwrap();
        assert_eq!(tree.tree_hash(), bytes(&given["tree_hash_after"]));
        let group_id = bytes(&case["group_id"]);
        let leaf = tree.leaf(sender).unwrap();
        leaf.verify(suite(case), (&group_id, sender)).unwrap();
        tree.validate_structure(&Extensions::default()).unwrap();
        tree.roll_back();
        assert_eq!(tree.to_nodes(), read_tree(case, "ratchet_tree").to_nodes());
    }
}

fn membership_proofs(case: &Value) {
    let suite = suite(case);
    let proofs = case["proofs"].as_array().unwrap();
    let proofs: Vec<MembershipProof> = proofs.iter().map(read).collect();
    let hash = bytes(&case["tree_hash"]);
    for proof in &proofs {
        assert_eq!(tree_hash_of(suite, proof).unwrap().as_bytes(), hash);
        assert!(same_tree(suite, &proofs[0], proof).unwrap());
        let mut short = proof.clone();
        assert!(short.direct_path_nodes.pop().is_some());
        assert!(tree_hash_of(suite, &short).is_err());
        let mut elsewhere = proof.clone();
        elsewhere.leaf_index ^= 1;
        assert!(tree_hash_of(suite, &elsewhere).is_ok_and(|other| other.as_bytes() != hash));
    }
}

fn partial_syntax(case: &Value) {
    read::<CopathHash>(&case["copath_hash"]);
    read::<MembershipProof>(&case["membership_proof"]);
    read::<SenderAuthenticated<Welcome>>(&case["sender_authenticated_welcome"]);
    read::<SenderAuthenticated<GroupInfo>>(&case["sender_authenticated_group_info"]);
    read::<SenderAuthenticated<PublicMessage>>(&case["sender_authenticated_public_message"]);
    read::<SenderAuthenticated<PrivateMessage>>(&case["sender_authenticated_private_message"]);
    read::<AnnotatedWelcome>(&case["annotated_welcome"]);
    read::<AnnotatedCommit>(&case["annotated_commit"]);
    assert_eq!(ExtensionType::RATCHET_TREE.0, 2);
}
