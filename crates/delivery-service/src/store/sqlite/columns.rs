//! Our types as columns. What does not fit was not written by this program.

use conclave_protocol::{DeviceId, GroupId, InstanceNonce, ReportId, UserId, VerifyingKey};
use rusqlite::{
    Row,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};

/// A value that stands in one column.
pub(super) struct Column<T>(pub(super) T);

macro_rules! blob_column {
    ($type:ty) => {
        impl FromSql for Column<$type> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let bytes = value.as_blob()?;
                <$type>::try_from(bytes)
                    .map(Self)
                    .map_err(|_| FromSqlError::InvalidType)
            }
        }
    };
}

blob_column!(DeviceId);
blob_column!(GroupId);
blob_column!(InstanceNonce);
blob_column!(ReportId);
blob_column!(VerifyingKey);

impl FromSql for Column<[u8; 32]> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?.try_into();
        bytes.map(Self).map_err(|_| FromSqlError::InvalidType)
    }
}

impl FromSql for Column<UserId> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let user = value.as_str()?.parse();
        user.map(Self).map_err(|_| FromSqlError::InvalidType)
    }
}

/// One of our types out of a column.
pub(super) fn typed<T>(row: &Row<'_>, at: usize) -> rusqlite::Result<T>
where
    Column<T>: FromSql,
{
    row.get::<_, Column<T>>(at).map(|column| column.0)
}

/// One of our types out of a column that may be empty.
pub(super) fn optional<T>(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<T>>
where
    Column<T>: FromSql,
{
    let column = row.get::<_, Option<Column<T>>>(at)?;
    Ok(column.map(|column| column.0))
}
