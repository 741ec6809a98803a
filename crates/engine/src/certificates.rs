//! Certificates as MLS credentials.

use conclave_protocol::{CREDENTIAL_TYPE, DeviceCertificate};
use openmls::prelude::{Credential, CredentialType};

/// The credential of a leaf whose device has this certificate.
pub(crate) fn credential(certificate: &DeviceCertificate) -> Credential {
    Credential::new(
        CredentialType::Other(CREDENTIAL_TYPE),
        certificate.to_bytes(),
    )
}
