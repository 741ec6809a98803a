use conclave_mls_public::wire::{self, decode};
use openmls::prelude::{MlsMessageIn, tls_codec::DeserializeBytes as _};

/// The same bytes as an MLSMessage for ours, OpenMLS and mls-rs: all take them or none.
pub fn differential(input: &[u8]) {
    let ours = decode::<wire::MlsMessage>(input);
    let openmls = MlsMessageIn::tls_deserialize_exact_bytes(input);
    let mls_rs = mls_rs::MlsMessage::from_bytes(input);
    let verdicts = (ours.is_ok(), openmls.is_ok(), mls_rs.is_ok());
    if let (Ok(message), Ok(theirs)) = (&ours, &mls_rs) {
        let again = wire::encode(message).expect("what was decoded is not too large");
        assert_eq!(again, input);
        assert_eq!(theirs.to_bytes().ok().as_deref(), Some(input), "mls-rs");
    }
    let same = verdicts.0 == verdicts.1 && verdicts.0 == verdicts.2;
    assert!(same, "ours, OpenMLS, mls-rs: {verdicts:?}");
}
