use std::sync::LazyLock;

use conclave_protocol::{Evidence, Frank, FrankBatch, Stamp, StampingKeyCertificate};
use conclave_safety::{CaseFile, Report};

use crate::Target;

/// What stands beside a message and in a report, each chosen by its place.
pub const EVIDENCE_TYPES: [(&str, Target); 5] = [
    ("Stamp", stamp),
    ("Frank", frank),
    ("FrankBatch", frank_batch),
    ("StampingKeyCertificate", certificate),
    ("Evidence", proof),
];

/// All that its operator ever signed: nobody signs by chance.
static SIGNED: LazyLock<CaseFile> = LazyLock::new(|| {
    CaseFile::from_json(include_bytes!("../../corpus/case/signed"))
        .expect("the seed is a case file")
});

/// Whatever is read of a proof has one encoding. The first byte says what to read.
pub fn evidence(input: &[u8]) {
    if let Some((chosen, bytes)) = crate::choose(input, EVIDENCE_TYPES.len()) {
        EVIDENCE_TYPES[chosen].1(bytes);
    }
}

/// A case file and a report mean the same when they are written again, and no file but the one that was signed is
/// taken for it.
pub fn case(input: &[u8]) {
    if let Ok(file) = CaseFile::from_json(input) {
        let again = CaseFile::from_json(file.to_json().as_bytes());
        assert_eq!(again.as_ref(), Ok(&file));
        let _ = file.examine(None);
        let operator = SIGNED
            .case()
            .operator_key()
            .expect("the seed names its operator");
        assert!(!file.is_signed_by(&operator) || file.case() == SIGNED.case());
    }
    if let Some(report) = Report::from_bytes(input) {
        assert_eq!(Report::from_bytes(&report.to_bytes()), Some(report));
    }
}

fn stamp(bytes: &[u8]) {
    if let Some(stamp) = Stamp::from_bytes(bytes) {
        assert_eq!(stamp.to_bytes(), bytes);
    }
}

fn frank(bytes: &[u8]) {
    if let Some(frank) = Frank::from_bytes(bytes) {
        assert_eq!(frank.to_bytes(), bytes);
    }
}

fn frank_batch(bytes: &[u8]) {
    if let Some(batch) = FrankBatch::from_bytes(bytes) {
        assert_eq!(batch.to_bytes(), bytes);
        assert!(batch.frank(0, [0; 32]).is_some());
    }
}

fn certificate(bytes: &[u8]) {
    if let Some(certificate) = StampingKeyCertificate::from_bytes(bytes) {
        assert_eq!(certificate.to_bytes(), bytes);
    }
}

/// What the operator of the seed proves was said is what stands in the seed.
fn proof(bytes: &[u8]) {
    let Ok(evidence) = Evidence::from_bytes(bytes) else {
        return;
    };
    assert_eq!(evidence.to_bytes(), bytes);
    let case = SIGNED.case();
    let operator = case.operator_key().expect("the seed names its operator");
    if evidence.verify(&operator, &case.certificates()).is_ok() {
        let mut said = case.report().items().iter().map(|item| &item.evidence);
        assert!(said.any(|it| it.stamp == evidence.stamp && it.envelope == evidence.envelope));
    }
}
