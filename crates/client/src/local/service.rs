//! What the service says of itself: its operator's key, and the keys that stamp (`docs/franking.md`).

use conclave_protocol::{KeyId, StampingKeyCertificate, UnixMillis, VerifyingKey};
use conclave_rpc::v1;
use rusqlite::OptionalExtension as _;

use super::{Tx, messages::millis};
use crate::ClientError;

/// Certificates that one answer of the service may bring.
const CERTIFICATES_MAX: usize = 32;

impl Tx<'_> {
    /// The key of the service's operator, as this device first heard of it.
    pub(crate) fn operator_key(&self) -> Result<Option<VerifyingKey>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT operator_key FROM service")?;
        let key = query.query_row([], |row| row.get::<_, Option<Vec<u8>>>(0));
        let key = key.optional()?.flatten();
        Ok(key.and_then(|key| VerifyingKey::try_from(&key[..]).ok()))
    }

    /// When the service was last asked for its keys.
    pub(crate) fn keys_read_at(&self) -> Result<Option<UnixMillis>, ClientError> {
        let mut query = self.sql.prepare_cached("SELECT read_millis FROM service")?;
        let read = query.query_row([], |row| row.get::<_, i64>(0)).optional()?;
        Ok(read.map(|read| UnixMillis(read.unsigned_abs())))
    }

    /// Whether a stamping key is known to be the operator's.
    pub(crate) fn knows_stamping_key(&self, key: KeyId) -> Result<bool, ClientError> {
        Ok(self.stamping_key(key)?.is_some())
    }

    /// Takes in what the service says of its keys. Another operator than the one that was first heard of counts
    /// for nothing: groups hold the service to that one.
    pub(crate) fn take_service(
        &self,
        said: &v1::DescribeResponse,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let operator = VerifyingKey::try_from(&said.operator_key[..]).ok();
        let bytes = operator.map(|key| key.as_bytes().to_vec());
        self.sql.execute(
            "INSERT INTO service VALUES (1, ?1, ?2) ON CONFLICT DO UPDATE
             SET operator_key = COALESCE(operator_key, ?1), read_millis = ?2",
            (bytes, millis(now)),
        )?;
        for certificate in said.stamping_certificates.iter().take(CERTIFICATES_MAX) {
            self.keep_certificate(certificate)?;
        }
        Ok(())
    }

    /// Keeps the certificate of a stamping key where the operator signed it, and says so.
    pub(super) fn keep_certificate(&self, bytes: &[u8]) -> Result<bool, ClientError> {
        let certificate = StampingKeyCertificate::from_bytes(bytes);
        let (Some(operator), Some(certificate)) = (self.operator_key()?, certificate) else {
            return Ok(false);
        };
        if certificate.verify(&operator).is_err() {
            return Ok(false);
        }
        self.sql
            .prepare_cached("INSERT OR IGNORE INTO stamping_keys VALUES (?, ?)")?
            .execute((certificate.id().as_bytes(), bytes))?;
        Ok(true)
    }

    /// A key that the operator has certified.
    pub(super) fn stamping_key(
        &self,
        key: KeyId,
    ) -> Result<Option<StampingKeyCertificate>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT certificate FROM stamping_keys WHERE key_id = ?")?;
        let bytes = query.query_row([key.as_bytes()], |row| row.get::<_, Vec<u8>>(0));
        let bytes = bytes.optional()?;
        Ok(bytes.and_then(|bytes| StampingKeyCertificate::from_bytes(&bytes)))
    }

    /// All keys that the operator has certified, as far as this device has heard.
    pub(crate) fn stamping_certificates(&self) -> Result<Vec<StampingKeyCertificate>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT certificate FROM stamping_keys ORDER BY key_id")?;
        let rows = query.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
        let mut certificates = Vec::new();
        for bytes in rows {
            certificates.extend(StampingKeyCertificate::from_bytes(&bytes?));
        }
        Ok(certificates)
    }
}
