//! What the library shows an application.

use std::{fmt, time::Duration};

use conclave_protocol::{
    DeviceId, GroupId, Permissions, Role, Sequence, UnixMillis, Unreportable, UserId,
};

use crate::{Asker, Measure, Posted};

/// Where to register, and what the server asks for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// The server's address: `https://` with or `http://` without encryption.
    pub server: String,
    /// The certificate, in PEM, that certifies the server's; `None` for those that browsers trust.
    /// The device remembers it.
    pub authority: Option<String>,
    /// The code that the server asks for, where it does.
    pub code: Option<String>,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.as_ref().map(|_| "redacted");
        f.debug_struct("Registration")
            .field("server", &self.server)
            .field("authority", &self.authority)
            .field("code", &code)
            .finish()
    }
}

impl Registration {
    /// At a server that asks for nothing else.
    #[must_use]
    pub fn at(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            ..Self::default()
        }
    }

    /// With the certificate, in PEM, that certifies the server's, where browsers would not know it.
    #[must_use]
    pub fn with_authority(self, authority: impl Into<String>) -> Self {
        Self {
            authority: Some(authority.into()),
            ..self
        }
    }

    /// With the code that the server asks for.
    #[must_use]
    pub fn with_code(self, code: impl Into<String>) -> Self {
        Self {
            code: Some(code.into()),
            ..self
        }
    }
}

/// A group that this device knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id, which never changes.
    pub id: GroupId,
    /// What the members call it; unknown until the first message after joining says so.
    pub name: Option<String>,
    /// Whether this device is a member.
    pub standing: Standing,
    /// How far this device has read the group's log.
    pub cursor: Sequence,
    /// The group that it goes on as, where members could not process a Commit of somebody who is
    /// not there any more. Then it has ended; what was read stays readable.
    pub successor: Option<GroupId>,
}

/// Where this device stands with a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Created here; the service does not know it yet.
    Creating,
    /// About to join from outside: a Welcome could not be used.
    Joining,
    /// A member.
    Member,
    /// A member that asked to leave.
    Leaving,
    /// No longer a member; what was read stays readable.
    Ended,
}

impl Standing {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Joining => "joining",
            Self::Member => "member",
            Self::Leaving => "leaving",
            Self::Ended => "ended",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [
            Self::Creating,
            Self::Joining,
            Self::Member,
            Self::Leaving,
            Self::Ended,
        ]
        .into_iter()
        .find(|standing| standing.as_str() == text)
    }
}

/// A user in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The person.
    pub user: UserId,
    /// What the group's rules have them be. Where no owner is left, the admins act for them, and
    /// where these have left or nobody is listed, everybody does.
    pub role: Role,
    /// The person's devices in this group.
    pub devices: Vec<DeviceId>,
}

/// One line of a group's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The group.
    pub group: GroupId,
    /// Its place in the group's log.
    pub sequence: Sequence,
    /// When the service accepted it.
    pub accepted: UnixMillis,
    /// Whose device sent it.
    pub author: UserId,
    /// What it is.
    pub kind: EntryKind,
}

impl Entry {
    /// The text, where it is a message.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.message().map(Posted::text)
    }

    /// The message, where it is one.
    #[must_use]
    pub fn message(&self) -> Option<&Posted> {
        match &self.kind {
            EntryKind::Message(posted) => Some(posted),
            _ => None,
        }
    }
}

/// What a line of history says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// The author said this, as it stands now.
    Message(Posted),
    /// The author calls the group this.
    Named(String),
    /// The author added these users.
    Added(Vec<UserId>),
    /// The author removed these users; those who had asked to leave are among them.
    Removed(Vec<UserId>),
    /// The author did both in one Commit, as when somebody had asked to leave.
    Changed {
        /// These users were added.
        added: Vec<UserId>,
        /// These were removed.
        removed: Vec<UserId>,
    },
    /// The author put out devices of these users that their lists did not name: they had been revoked,
    /// or came in when nobody was looking. Only the author sees it so; to others it is a removal.
    Expelled(Vec<UserId>),
    /// The author describes the group like this.
    Described(String),
    /// The author gave the group another picture, or none.
    Pictured,
    /// The author has messages be gone after this time, or stay.
    Expiring(Option<Duration>),
    /// The author has changed who may do what.
    Governed {
        /// What these users are from then on.
        roles: Vec<(UserId, Role)>,
        /// From which role on somebody may do what, where that has changed.
        permissions: Option<Permissions>,
    },
    /// The author has this become of messages that nobody could report.
    Reporting(Unreportable),
    /// The author asked to leave.
    Leaves,
    /// A device of the author came back into the group with new keys. Where it is this one, what
    /// was said while it could not follow is missing before this line. Whoever had asked to leave by
    /// then is gone from here on.
    Rejoined,
    /// The author's device can't process a Commit by this user. One who says so proves nothing.
    Reported(UserId),
    /// Most members could not process a Commit, and the group goes on as another.
    Continued {
        /// The group that goes on.
        to: GroupId,
        /// Who made that Commit and is not there any more, where this device knows.
        without: Option<UserId>,
    },
    /// A message of a kind that this program does not know: the bytes that were encrypted.
    Unknown(Vec<u8>),
    /// A message that could not be decrypted.
    Unreadable,
    /// A message that nobody could report, which the group's rules have members refuse: nothing else is
    /// kept of it.
    Unreportable,
}

/// Something that happened, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A new line in a group's history.
    Entry(Entry),
    /// A message was edited, deleted or reacted to: how it stands now.
    Changed(Entry),
    /// A user has received and read a group's log up to these places.
    Receipt {
        /// The group.
        group: GroupId,
        /// Who; where it is this user, another device has read it.
        user: UserId,
        /// Up to where a device of theirs has received it.
        delivered: Sequence,
        /// Up to where they have read it.
        read: Sequence,
    },
    /// Somebody types at this moment. It is said again every few seconds; where it is not, they have
    /// stopped.
    Typing {
        /// The group.
        group: GroupId,
        /// Who.
        user: UserId,
    },
    /// A message's time was over; nothing of it is left here.
    Expired {
        /// The group.
        group: GroupId,
        /// Where it stood in the group's log.
        sequence: Sequence,
    },
    /// What was said in a group before this device came, which another device of its user has handed
    /// over.
    HistoryCame {
        /// The group.
        group: GroupId,
        /// Lines of history that were not there before.
        lines: usize,
    },
    /// Moderators of the server decided something about this user, or took it back.
    Moderated(Measure),
    /// Somebody asks to be let in, by an invitation that this device made.
    Asked(Asker),
    /// This device became a member of a group.
    Joined(GroupId),
    /// This device is no longer a member of a group.
    Ended(GroupId),
    /// A group goes on as another, without somebody whose Commit its members could not process. What
    /// was to be done in it is done there.
    Continued {
        /// The group that has ended.
        from: GroupId,
        /// The group that goes on.
        to: GroupId,
    },
    /// This device was invited to a group and did not accept.
    Refused {
        /// The group.
        group: GroupId,
        /// Why, in a sentence.
        reason: String,
    },
    /// A user appeared under another identity key than before: registered anew after losing it, or
    /// somebody else. Nothing is encrypted to the new key until it is
    /// [accepted](crate::Client::accept_identity); what others say is read on.
    IdentityChanged {
        /// Who.
        user: UserId,
    },
    /// What this device had [asked others to do](crate::Client::ask_for) has ended.
    WishEnded {
        /// The group.
        group: GroupId,
        /// Who was to be added or removed.
        user: UserId,
        /// Whether it was to be added.
        is_add: bool,
        /// How it ended.
        end: WishEnd,
    },
    /// This device can't follow a group any longer, and comes back by itself.
    Resyncing {
        /// The group.
        group: GroupId,
        /// Why, in a sentence.
        reason: String,
    },
    /// This device is back in a group.
    Resynced(GroupId),
    /// A part of a long log has been read, and there is more of it.
    CatchingUp {
        /// The group.
        group: GroupId,
        /// How far it has been read.
        read: Sequence,
        /// How far there is something to read.
        of: Sequence,
    },
    /// Everything that was waiting has been read.
    CaughtUp,
    /// The connection was lost; it is being made again.
    Disconnected,
}

/// How something ended that a device had asked others to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WishEnd {
    /// It is as it was to be, by whomever.
    Done,
    /// The group's rules do not let this user ask for it any longer.
    Forbidden,
    /// This device is no longer in the group.
    NotMember,
    /// Nobody did it, and this device, which tried it last, can't: there may be no such user, or none of its
    /// devices can be added. The reason is a sentence, where there is more to say.
    Impossible(Option<String>),
}

/// Where an intent ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The place in the group's log; everybody sees it there.
    pub sequence: Sequence,
    /// How often it had to be made anew because another member changed the group first.
    pub rebased: u32,
}
