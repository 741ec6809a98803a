//! The first moderators, whom whoever runs the server appoints.

use std::path::Path;

use conclave_protocol::{UnixMillis, UserId};
use conclave_safety::{Actor, Book, Role};

use super::ledger::Ledger;
use crate::{
    error::{Refusal, ServeError},
    folder,
    store::{Store, StoreError},
};

/// Makes users chiefs who are none.
pub(crate) fn appoint_chiefs(
    store: &dyn Store,
    users: &[UserId],
    now: UnixMillis,
) -> Result<(), Refusal> {
    let ledger = Ledger::default();
    ledger.catch_up(store)?;
    for user in users {
        let role = ledger.book().role(user);
        if role != Some(Role::Chief) {
            appoint(store, &ledger, (user, Some(Role::Chief)), now)?;
        }
    }
    Ok(())
}

fn appoint(
    store: &dyn Store,
    ledger: &Ledger,
    (user, role): (&UserId, Option<Role>),
    now: UnixMillis,
) -> Result<(), Refusal> {
    let propose = |book: &Book| book.appoint(Actor::Operator, user.clone(), role, now);
    ledger.write(store, None, propose, |_, _| None).map(drop)
}

/// Gives somebody a moderator's role, or takes it, in the data of a server that is not running. It stands in the
/// audit log as the operator's doing.
///
/// # Errors
/// [`ServeError::InUse`] while the server runs, [`ServeError::Database`] and [`ServeError::Folder`] where there is
/// no server's data.
pub fn appoint_moderator(
    data: &Path,
    user: &UserId,
    role: Option<Role>,
    now: UnixMillis,
) -> Result<(), ServeError> {
    folder::alone_with_store(data, |store| {
        appoint(store, &Ledger::default(), (user, role), now).map_err(|refusal| match refusal {
            Refusal::Store(error) => error,
            _ => StoreError::Corrupt("the audit log"),
        })
    })
}
