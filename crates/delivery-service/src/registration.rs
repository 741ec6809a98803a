//! Codes that let somebody register where not anybody may.
//!
//! A code is 128 random bits, so its hash gives nothing away and needs no salt. It is used up by
//! the registration that succeeds.

use std::{path::Path, time::Duration};

use conclave_protocol::UnixMillis;
use sha2::{Digest as _, Sha256};

use crate::{error::ServeError, folder, store::Store as _};

/// Makes a code that lets one user register at the server whose data is in `data`, within
/// `lifetime`; 32 hexadecimal digits. The server may be running.
///
/// # Errors
/// [`ServeError::Database`] and [`ServeError::Folder`] where there is no server's data.
pub fn registration_code(
    data: &Path,
    lifetime: Duration,
    now: UnixMillis,
) -> Result<String, ServeError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| ServeError::Randomness)?;
    let code: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    folder::with_store(data, |store| {
        store.put_registration_code(&hash(&code), now.after(lifetime), now)
    })?;
    Ok(code)
}

/// What is kept of a code. People copy codes: spaces around it and capitals do not count.
pub(crate) fn hash(code: &str) -> [u8; 32] {
    let code = code.trim().to_ascii_lowercase();
    Sha256::new()
        .chain_update("Conclave registration code")
        .chain_update([0])
        .chain_update(code)
        .finalize()
        .into()
}
