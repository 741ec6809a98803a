//! Bytes and numbers of the wire become the protocol's types here, or an error that names the
//! field.

use conclave_protocol::{DeviceId, GroupId, InstanceNonce, ReportId, RequestId, Sequence};
use thiserror::Error;
use tonic::Status;

/// A field of a request or response that does not hold what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct EdgeError {
    field: &'static str,
    problem: &'static str,
}

impl EdgeError {
    /// What is wrong with a field.
    #[must_use]
    pub const fn new(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem }
    }
}

impl From<EdgeError> for Status {
    fn from(error: EdgeError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

const NOT_AN_ID: &str = "an id has 16 bytes";

/// Reads a group id.
///
/// # Errors
/// [`EdgeError`] where it does not have 16 bytes.
pub fn group_id(bytes: &[u8]) -> Result<GroupId, EdgeError> {
    GroupId::try_from(bytes).map_err(|_| EdgeError::new("group_id", NOT_AN_ID))
}

/// Reads a device id.
///
/// # Errors
/// [`EdgeError`] where it does not have 16 bytes.
pub fn device_id(bytes: &[u8]) -> Result<DeviceId, EdgeError> {
    DeviceId::try_from(bytes).map_err(|_| EdgeError::new("device_id", NOT_AN_ID))
}

/// Reads a request id.
///
/// # Errors
/// [`EdgeError`] where it does not have 16 bytes.
pub fn request_id(bytes: &[u8]) -> Result<RequestId, EdgeError> {
    RequestId::try_from(bytes).map_err(|_| EdgeError::new("request_id", NOT_AN_ID))
}

/// Reads a report's id.
///
/// # Errors
/// [`EdgeError`] where it does not have 16 bytes.
pub fn report_id(bytes: &[u8]) -> Result<ReportId, EdgeError> {
    ReportId::try_from(bytes).map_err(|_| EdgeError::new("report_id", NOT_AN_ID))
}

/// Reads the nonce of a device's state; `field` is where it stands.
///
/// # Errors
/// [`EdgeError`] where it does not have 16 bytes.
pub fn instance_nonce(bytes: &[u8], field: &'static str) -> Result<InstanceNonce, EdgeError> {
    InstanceNonce::try_from(bytes).map_err(|_| EdgeError::new(field, "a nonce has 16 bytes"))
}

/// Reads a cursor into a log; databases hold signed numbers, so the upper half is refused.
///
/// # Errors
/// [`EdgeError`] past 2^63 - 1.
pub fn cursor(value: u64) -> Result<Sequence, EdgeError> {
    if i64::try_from(value).is_ok() {
        Ok(Sequence(value))
    } else {
        Err(EdgeError::new("cursor", "past the end of any log"))
    }
}
