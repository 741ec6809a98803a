use conclave_mls_public::wire::{self, decode};
use openmls::prelude::{MlsMessageIn, tls_codec::DeserializeBytes as _};

/// The same bytes as an MLSMessage for ours, OpenMLS and mls-rs: ours refuses nothing that both others
/// take, and what it shares with mls-rs both write again as it was.
///
/// All or none would be too much to ask, since they look at some things at different times: OpenMLS
/// refuses suites that it does not know when it decodes, mls-rs looks at the version
/// later and bounds leaf indices at once; and both may happen in one message.
pub fn differential(input: &[u8]) {
    let ours = decode::<wire::MlsMessage>(input);
    let openmls = MlsMessageIn::tls_deserialize_exact_bytes(input);
    let mls_rs = mls_rs::MlsMessage::from_bytes(input);
    if let (Ok(message), Ok(theirs)) = (&ours, &mls_rs) {
        let again = wire::encode(message).expect("what was decoded is not too large");
        assert_eq!(again, input);
        assert_eq!(theirs.to_bytes().ok().as_deref(), Some(input), "mls-rs");
    }
    let is_alone = ours.is_err() && openmls.is_ok() && mls_rs.is_ok();
    assert!(!is_alone, "OpenMLS and mls-rs take it");
}
