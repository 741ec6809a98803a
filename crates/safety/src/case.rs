//! What a court, a hotline or an ombudsman is handed: a report with all its proofs, in one file.

use conclave_protocol::{SigningKey, StampingKeyCertificate, UnixMillis, VerifyingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    audit::{Chain, Entry},
    encoding::{hex, millis, unhex},
    report::Report,
    verdict::Checked,
};

/// What the operator's signature is for.
const LABEL: &str = "CaseFile";

/// The version of the format; others are not read.
const VERSION: u8 = 1;

/// Bytes of a case file that is read: the largest report in hexadecimal digits, and room for what moderators said.
pub(crate) const CASE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why something is no case file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CaseError {
    /// It has more bytes than any.
    #[error("a case file has at most {} MiB", CASE_BYTES_MAX >> 20)]
    TooLarge,
    /// It is not in the form of one.
    #[error("this is no case file: {0}")]
    Form(String),
    /// Another program's.
    #[error("this version reads case files of version {VERSION} only; update the program")]
    Version,
}

/// What the service states of the report, beyond what is proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The reporter was a member of the group when each of the messages was sent.
    pub reporter_could_read: bool,
    /// Between the messages of the windows nothing else was said, by the log as it was when the report came.
    pub windows_are_gapless: bool,
}

/// An entry of the audit log, and the hash up to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditLine {
    /// The entry.
    pub entry: Entry,
    /// The hash, in hexadecimal digits.
    pub hash: String,
}

impl AuditLine {
    /// An entry as it was kept.
    #[must_use]
    pub fn new(entry: Entry, hash: &[u8; 32]) -> Self {
        Self {
            entry,
            hash: hex(hash),
        }
    }
}

/// What the operator signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    version: u8,
    server: String,
    operator_key: String,
    certificates: Vec<String>,
    #[serde(with = "millis")]
    made_millis: UnixMillis,
    report: Report,
    context: Context,
    audit: Vec<AuditLine>,
    audit_entries: u64,
    audit_hash: String,
}

/// A case, and the operator's signature over it: as compact JSON, its fields in the order that they have here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    case: Case,
    signature: String,
}

/// The operator's key as a person gives it: 64 hexadecimal digits. `None` for anything else.
#[must_use]
pub fn operator_key(text: &str) -> Option<VerifyingKey> {
    VerifyingKey::try_from(&unhex(text.trim())?[..]).ok()
}

impl Case {
    /// The case of a report that was checked. Of the certificates those are kept that stamped its messages;
    /// `audit` has what moderators did about it.
    #[must_use]
    pub fn of(
        checked: &Report,
        context: Context,
        (operator, certificates): (&VerifyingKey, &[StampingKeyCertificate]),
        (audit, chain): (Vec<AuditLine>, &Chain),
        (server, now): (&str, UnixMillis),
    ) -> Self {
        let stamped = |certificate: &&StampingKeyCertificate| {
            let mut messages = checked.items().iter().map(|item| &item.evidence);
            messages.any(|it| {
                it.frank.key() == certificate.id() && certificate.covers(it.stamp.accepted)
            })
        };
        let certificates = certificates.iter().filter(stamped);
        Self {
            version: VERSION,
            server: server.to_owned(),
            operator_key: hex(operator.as_bytes()),
            certificates: certificates.map(|it| hex(&it.to_bytes())).collect(),
            made_millis: now,
            report: checked.clone(),
            context,
            audit,
            audit_entries: chain.entries(),
            audit_hash: hex(chain.hash()),
        }
    }

    /// The case, signed with the operator's key.
    #[must_use]
    pub fn sign(self, operator: &SigningKey) -> CaseFile {
        let signature = hex(&operator.sign(LABEL, &self.to_be_signed()));
        CaseFile {
            case: self,
            signature,
        }
    }

    /// The name of the server whose users it is about.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The key that the case says is the operator's; `None` where it is none.
    #[must_use]
    pub fn operator_key(&self) -> Option<VerifyingKey> {
        operator_key(&self.operator_key)
    }

    /// The operator's word for the keys that stamped; what is none is left out, and then proves nothing.
    #[must_use]
    pub fn certificates(&self) -> Vec<StampingKeyCertificate> {
        let encoded = self.certificates.iter();
        encoded
            .filter_map(|text| StampingKeyCertificate::from_bytes(&unhex(text)?))
            .collect()
    }

    /// When the file was made.
    #[must_use]
    pub fn made(&self) -> UnixMillis {
        self.made_millis
    }

    /// The report.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What the service states of it.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What was done about it, in order.
    #[must_use]
    pub fn audit(&self) -> &[AuditLine] {
        &self.audit
    }

    fn to_be_signed(&self) -> Vec<u8> {
        // Nothing in it is without a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl From<&Checked<'_>> for Context {
    fn from(checked: &Checked<'_>) -> Self {
        Self {
            reporter_could_read: true,
            windows_are_gapless: checked.is_gapless,
        }
    }
}

impl CaseFile {
    /// The case.
    #[must_use]
    pub fn case(&self) -> &Case {
        &self.case
    }

    /// Whether the signature is by this key, over this case.
    #[must_use]
    pub fn is_signed_by(&self, operator: &VerifyingKey) -> bool {
        let signature = unhex(&self.signature).unwrap_or_default();
        let signed = operator.verify(LABEL, &self.case.to_be_signed(), &signature);
        signed.is_ok()
    }

    /// The file, for people and programs.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Nothing in it is without a form in JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads a file. Nothing of it is checked but its form.
    ///
    /// # Errors
    /// [`CaseError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, CaseError> {
        if bytes.len() > CASE_BYTES_MAX {
            return Err(CaseError::TooLarge);
        }
        #[derive(Deserialize)]
        struct Versioned {
            case: Version,
        }
        #[derive(Deserialize)]
        struct Version {
            version: u8,
        }
        let form = |error: serde_json::Error| CaseError::Form(error.to_string());
        let versioned: Versioned = serde_json::from_slice(bytes).map_err(form)?;
        if versioned.case.version != VERSION {
            return Err(CaseError::Version);
        }
        serde_json::from_slice(bytes).map_err(form)
    }
}
