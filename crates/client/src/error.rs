//! What can go wrong, split by whose fault it is.

use std::{io, time::Duration};

use conclave_engine::EngineError;
use conclave_protocol::{
    ContentError, DeviceListError, Forbidden, GroupId, IdError, RulesError, Sequence,
    limits::REPORTED_MESSAGES_MAX,
};
use thiserror::Error;

use crate::AttachmentError;

/// Why an operation of the client did not happen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The home holds no account.
    #[error("no account is registered in this home")]
    NotRegistered,
    /// The home already holds an account.
    #[error("this home already holds the account of {0}")]
    AlreadyRegistered(String),
    /// A later version of the program wrote this home.
    #[error("a newer version of Conclave wrote this home; use that version")]
    NewerHome,
    /// The home takes a passphrase, and none was given.
    #[error("this home is locked: it takes its passphrase")]
    Locked,
    /// The passphrase is not the home's.
    #[error("this is not the passphrase of this home")]
    WrongPassphrase,
    /// A passphrase was given for a home that has none.
    #[error("this home has no passphrase: whoever can read the folder can read all of it")]
    NotLocked,
    /// The file that holds the key of the home is damaged or gone.
    #[error("client.key in the home folder is damaged or missing; without it nothing can be read")]
    LockDamaged,
    /// A passphrase is empty, or too long to be one.
    #[error("a passphrase has between 1 and 1024 bytes")]
    Passphrase,
    /// An earlier version of the program has the home open, so that it can't be taken over.
    #[error(
        "another program uses this home, which an earlier version wrote; end that program first"
    )]
    HomeInUse,
    /// The local database can't be used.
    #[error("the local database can't be used: {0}")]
    Database(#[from] rusqlite::Error),
    /// The home can't be used.
    #[error("the home folder can't be used: {0}")]
    Io(#[from] io::Error),

    /// A name or id is not one.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Content can't be sent.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// No group has this name or id.
    #[error("there is no group \"{0}\" here")]
    UnknownGroup(String),
    /// Several groups have this name.
    #[error("{count} groups are called \"{name}\"; use the id that `list` shows")]
    AmbiguousGroup {
        /// The name.
        name: String,
        /// How many groups have it.
        count: usize,
    },
    /// The device is no longer a member.
    #[error("you are no longer a member of this group")]
    NotMember,
    /// The group goes on as another.
    #[error("this group goes on as another, {0}")]
    Continued(GroupId),
    /// The device is still on its way into the group.
    #[error("this device is still joining the group; try again")]
    Joining,
    /// The device has asked to leave.
    #[error("you have asked to leave this group; it ends when another member's device confirms it")]
    Leaving,
    /// Nobody else is in the group who could confirm that the device leaves.
    #[error("nobody else is in this group, to confirm that you leave; it can be deleted")]
    Alone,
    /// Users that the service does not know.
    #[error("no such user: {}", .0.join(", "))]
    UnknownUser(Vec<String>),
    /// Users who can't be added at the moment.
    #[error("these users have no KeyPackage left to be added with: {}", .0.join(", "))]
    NoKeyPackages(Vec<String>),
    /// Users who are members already.
    #[error("already a member: {}", .0.join(", "))]
    AlreadyMember(Vec<String>),
    /// Users who are no members.
    #[error("not a member: {}", .0.join(", "))]
    NoSuchMember(Vec<String>),

    /// The group's rules do not let this user do it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Rules can't be as they are wanted.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// There is no such message here, or no longer.
    #[error("there is no such message here")]
    UnknownMessage,
    /// The message is another user's.
    #[error("only who wrote a message can edit or delete it")]
    NotAuthor,

    /// Nothing here proves that a message was sent.
    #[error("#{0} can't be reported: there is nothing here that proves it")]
    NotReportable(Sequence),
    /// A report is of no message, or of too many.
    #[error("a report is of 1 to {REPORTED_MESSAGES_MAX} messages")]
    ReportSize,
    /// A text is no invitation.
    #[error("this is no invitation; copy it again, all of it")]
    Invitation,
    /// The user does not ask to be let in.
    #[error("{0} does not ask to be let into this group by an invitation of yours")]
    NotAsked(String),
    /// A file can't be attached or saved.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),

    /// A user appears with another identity key than before.
    #[error(
        "the identity key of {0} is not the one seen before; compare keys with them in person \
         before you trust it"
    )]
    IdentityChanged(String),
    /// Digits were given to accept a key that has not changed.
    #[error("this user's identity key has not changed")]
    IdentityUnchanged,
    /// The digits are not those of the key that is to be accepted.
    #[error("these are not the digits of this user's new identity key")]
    OtherDigits,
    /// The keys of this device were used elsewhere.
    #[error("the folder of this device was copied or restored; it comes back with new keys")]
    Copied,
    /// A device was added that its user's device list does not name.
    #[error("a device of {0} was added that their list of devices does not name")]
    Unlisted(String),
    /// The service has no list that names this device.
    #[error(
        "the server has not heard of this device yet: your other device tells it when it is online"
    )]
    NotListed,
    /// A text for linking is none, or is for another device.
    #[error("this is no code for linking this device; copy it again, all of it")]
    LinkCode,
    /// This device does not hold the user's identity key.
    #[error(
        "only a device that holds your identity key can do this: your first device, or one that it \
         was handed to"
    )]
    NoIdentityKey,
    /// The words are no recovery phrase.
    #[error("this is no recovery phrase: 24 words in the order in which they were shown")]
    Phrase,
    /// The recovery phrase is another user's.
    #[error("this is not the recovery phrase of {0}")]
    OtherPhrase(String),
    /// The user has no such other device.
    #[error("you have no other device of this id")]
    UnknownDevice,
    /// A list of devices can't be made.
    #[error(transparent)]
    DeviceList(#[from] DeviceListError),
    /// The group's cryptographic state refused.
    #[error(transparent)]
    Engine(#[from] EngineError),

    /// The server can't be reached. What was to be done is kept and tried again.
    #[error("the server at {url} can't be reached ({reason})")]
    Unreachable {
        /// The server's address.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The address of a server is no URL.
    #[error(
        "\"{0}\" is no server address; write it like https://chat.example.org:4400, or like \
         http://127.0.0.1:4400 for a server without encryption"
    )]
    ServerUrl(String),
    /// The certificate authority is none.
    #[error("the certificate authority that was given is no certificate in PEM")]
    Authority,
    /// The server lets people in by code only; whether one was given.
    #[error("{}", if *.0 {
        "the server does not accept this registration code: it was used, has expired, or is none"
    } else {
        "the server asks for a registration code"
    })]
    CodeRefused(bool),
    /// The service refused for good.
    #[error("the server refused: {0}")]
    Refused(String),
    /// The name belongs to somebody else.
    #[error("the name {0} is already taken")]
    NameTaken(String),
    /// The service asks to come back later.
    #[error("the server asks to wait for {} s", .0.as_secs().max(1))]
    RateLimited(Duration),
    /// The service answered something that it should not.
    #[error("the server's answer makes no sense: {0}")]
    Protocol(String),
    /// An intent was given up, for this reason.
    #[error("{0}")]
    GivenUp(String),
    /// Other members kept committing first.
    #[error("other members kept changing the group first; try again")]
    TooManyRaces,
    /// The work was cut off because the program is ending.
    #[error("the program is shutting down")]
    ShuttingDown,
}

impl ClientError {
    /// Whether it speaks of this device's database, so that trying again may help, and nothing but
    /// that.
    pub(crate) fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Database(_) | Self::Io(_) | Self::Engine(EngineError::State(_))
        )
    }
}
