//! What a person can do about an error.

use conclave_client::{AttachmentError, ClientError, Forbidden};

/// A sentence that says what to do, where there is one.
pub(crate) fn hint(error: &anyhow::Error) -> Option<&'static str> {
    Some(match error.downcast_ref::<ClientError>()? {
        ClientError::NotRegistered => {
            "Register first: conclave --home DIR register NAME --server URL"
        }
        ClientError::AlreadyRegistered(_) => {
            "To be somebody else, choose another folder with --home DIR."
        }
        ClientError::NameTaken(_) => "Choose another name.",
        ClientError::Unreachable { .. } => {
            "Is it running? `conclave serve` starts one. What you asked for in a group is kept and \
             goes out with your next command."
        }
        ClientError::Authority => {
            "--ca takes the file with the certificate that signed the server's, as \"BEGIN \
             CERTIFICATE\" says in its first line."
        }
        ClientError::CodeRefused(_) => {
            "Whoever runs the server makes one with `conclave admin invite`; pass it with --code."
        }
        ClientError::UnknownGroup(_) => {
            "`conclave group list` shows your groups, `conclave group create NAME` makes one."
        }
        ClientError::UnknownUser(_) => "Names are those that people registered at your server.",
        ClientError::NoKeyPackages(_) => {
            "Their devices publish new ones the next time they are online."
        }
        ClientError::LinkCode => {
            "The new device shows its code with `conclave device code`; your first device answers \
             with `conclave device link CODE`, and the new one takes that with `conclave device join`."
        }
        ClientError::NotListed => {
            "Run any command on the other device while the server can be reached, then this one again."
        }
        ClientError::OtherDigits => {
            "`conclave verify USER` shows them; compare all 60 with what that user sees."
        }
        ClientError::OtherPhrase(_) => {
            "Is it another user's, or was the name registered anew by somebody else since?"
        }
        ClientError::Attachment(AttachmentError::Exists) => {
            "--to FILE saves it under another name."
        }
        ClientError::Alone => "`conclave group delete GROUP` does.",
        ClientError::Forbidden(Forbidden::LastOwner) => {
            "`conclave group role GROUP USER owner` does; `conclave group leave GROUP --hand-over-to \
             USER` does it and leaves."
        }
        ClientError::Forbidden(_) => {
            "`conclave group permissions GROUP` shows who may, `conclave group members GROUP` who is \
             what."
        }
        ClientError::NotAsked(_) => "`conclave invite list` shows who asks.",
        ClientError::UnknownMessage => {
            "`conclave read GROUP` shows messages with their numbers: 12 for #12."
        }
        ClientError::IdentityChanged(_) => {
            "They registered anew, or somebody pretends to be them. `conclave verify USER` shows the \
             digits to compare; until you accept the new key, you can read on, remove them and leave."
        }
        error => return of_home(error),
    })
}

/// Where it is about the home and what opens it.
fn of_home(error: &ClientError) -> Option<&'static str> {
    Some(match error {
        ClientError::Locked => {
            "Where nobody can be asked, --passphrase-file FILE or CONCLAVE_PASSPHRASE gives it."
        }
        ClientError::WrongPassphrase => {
            "Nothing was changed. Without its passphrase nobody can open this home, whoever runs the \
             server included."
        }
        ClientError::NotLocked => "`conclave passphrase set` gives it one; else pass none.",
        ClientError::LockDamaged => {
            "Restore client.key from a copy of the folder. If there is none, move the folder away and \
             come back with `conclave recover`."
        }
        ClientError::Database(_) => {
            "The file client.db in the home folder is damaged or no database. Restore it, or move \
             it away and register under another name."
        }
        _ => return None,
    })
}
