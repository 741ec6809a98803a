//! The deletion of a user by whoever runs the server.

use std::path::Path;

use conclave_protocol::UserId;

use crate::{error::ServeError, folder, store::Store as _};

/// Deletes a user with all devices from the data of a server that is not running, as for somebody who
/// lost the identity key: the name can be registered again, under another key, of which all who knew
/// the user are told by their own devices. Says whether there was such a user.
///
/// # Errors
/// [`ServeError::InUse`] while the server runs, [`ServeError::Database`] and [`ServeError::Folder`]
/// where there is no server's data.
pub fn delete_user(data: &Path, user: &UserId) -> Result<bool, ServeError> {
    folder::alone_with_store(data, |store| {
        if store.identity_key(user)?.is_none() {
            return Ok(false);
        }
        store.delete_user(user)?;
        Ok(true)
    })
}
