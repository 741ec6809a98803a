use conclave_crypto::CipherSuite;
use conclave_mls_member::GroupSecrets;
use conclave_mls_public::{
    RatchetTree,
    wire::{
        AnnotatedCommit, AnnotatedWelcome, AuthenticatedContent, Capabilities, Commit, CopathHash,
        Credential, Extensions, ExternalSender, FramedContent, GroupContext, GroupInfo, KeyPackage,
        LeafNode, MembershipProof, MlsMessage, Node, PreSharedKeyId, PrivateMessage, Proposal,
        PublicMessage, ReInit, RequiredCapabilities, SenderAuthenticated, UpdatePath, Welcome,
        decode, encode,
    },
};
use tls_codec::{DeserializeBytes, Serialize};

use crate::Target;

/// The types that are decoded, each chosen by its place.
pub const WIRE_TYPES: [(&str, Target); 26] = [
    ("MlsMessage", one_encoding::<MlsMessage>),
    ("KeyPackage", one_encoding::<KeyPackage>),
    ("LeafNode", one_encoding::<LeafNode>),
    ("ratchet tree", tree),
    ("Extensions", one_encoding::<Extensions>),
    ("Credential", one_encoding::<Credential>),
    ("Capabilities", one_encoding::<Capabilities>),
    ("RequiredCapabilities", one_encoding::<RequiredCapabilities>),
    ("ExternalSender", one_encoding::<Vec<ExternalSender>>),
    ("GroupContext", one_encoding::<GroupContext>),
    ("GroupInfo", one_encoding::<GroupInfo>),
    ("GroupSecrets", one_encoding::<GroupSecrets>),
    ("Welcome", one_encoding::<Welcome>),
    ("Proposal", one_encoding::<Proposal>),
    ("ReInit", one_encoding::<ReInit>),
    ("PreSharedKeyId", one_encoding::<PreSharedKeyId>),
    ("Commit", one_encoding::<Commit>),
    ("UpdatePath", one_encoding::<UpdatePath>),
    ("FramedContent", one_encoding::<FramedContent>),
    ("AuthenticatedContent", one_encoding::<AuthenticatedContent>),
    ("PublicMessage", one_encoding::<PublicMessage>),
    ("PrivateMessage", one_encoding::<PrivateMessage>),
    ("CopathHash", one_encoding::<CopathHash>),
    ("MembershipProof", one_encoding::<MembershipProof>),
    ("AnnotatedCommit", one_encoding::<AnnotatedCommit>),
    ("AnnotatedWelcome", annotated_welcome),
];

/// Whatever decodes encodes to the same bytes. The first byte says what to decode.
pub fn wire(input: &[u8]) {
    if let Some((chosen, bytes)) = crate::choose(input, WIRE_TYPES.len()) {
        WIRE_TYPES[chosen].1(bytes);
    }
}

fn one_encoding<T: DeserializeBytes + Serialize>(bytes: &[u8]) {
    if let Ok(object) = decode::<T>(bytes) {
        let again = encode(&object).expect("what was decoded is not too large");
        assert_eq!(again, bytes);
        assert_eq!(object.tls_serialized_len(), bytes.len());
    }
}

/// What is a tree by its form can be hashed and asked.
fn tree(bytes: &[u8]) {
    one_encoding::<Vec<Option<Node>>>(bytes);
    let suite = CipherSuite::X25519Aes128Sha256Ed25519;
    let Ok(nodes) = decode::<Vec<Option<Node>>>(bytes) else {
        return;
    };
    if let Ok(mut tree) = RatchetTree::from_nodes(suite, nodes.clone()) {
        assert_eq!(tree.to_nodes(), nodes);
        let _ = tree.validate_structure(&Extensions::default());
        tree.resolution(tree.size().root());
    }
}

fn annotated_welcome(bytes: &[u8]) {
    one_encoding::<AnnotatedWelcome>(bytes);
    one_encoding::<SenderAuthenticated<PrivateMessage>>(bytes);
}
