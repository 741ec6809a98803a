//! Taking in what members say: in the order of the log, by rules that give all members the same.
//!
//! Whatever names a message counts only where that message stands earlier in the log, was neither
//! deleted nor to be gone when the service accepted what names it; edits and deletions only where
//! they come from a device of the user who wrote it. All else is passed over in silence. A second
//! message of one id, which is the same bytes sent again by the same device, is passed over too.

use conclave_protocol::{Content, DeviceAddress, Message, MessageId, Sequence, UnixMillis, UserId};

use super::{Tx, evidence::Noted, line::Line};
use crate::{ClientError, Entry, EntryKind, Event, Group, Posted};

impl Tx<'_> {
    /// Takes in the bytes that a device encrypted.
    pub(super) fn take_in_content(
        &self,
        line: &mut Line<'_>,
        from: &DeviceAddress,
        bytes: &[u8],
    ) -> Result<(), ClientError> {
        match Content::open(bytes) {
            Content::GroupName(name) => self.take_in_name(line, &from.user, name),
            Content::History { device, sealed } => {
                self.take_in_offer(line.group.id, from, device, &sealed)
            }
            Content::GroupProfile(profile) => self.take_in_profile(line, &from.user, &profile),
            content => self.take_in_saying(line, from, content, bytes),
        }
    }

    /// Keeps what this device said in a part of the log that it will not read. Only what is about
    /// messages: other content is of the moment.
    pub(super) fn take_in_unread(
        &self,
        group: &mut Group,
        sequence: Sequence,
        accepted: UnixMillis,
        bytes: &[u8],
    ) -> Result<Vec<Event>, ClientError> {
        let mut events = Vec::new();
        let mut line = Line {
            group,
            sequence,
            accepted,
            now: accepted,
            evidence: None,
            stamp: Noted::None,
            events: &mut events,
        };
        match Content::open(bytes) {
            Content::GroupName(_) | Content::GroupProfile(_) | Content::History { .. } => {}
            content => {
                let own = self.own_certificate().address();
                self.take_in_saying(&mut line, own, content, bytes)?;
            }
        }
        Ok(events)
    }

    fn take_in_saying(
        &self,
        line: &mut Line<'_>,
        from: &DeviceAddress,
        content: Content,
        bytes: &[u8],
    ) -> Result<(), ClientError> {
        match content {
            Content::Message(message) => self.take_in_message(line, from, message, bytes),
            Content::Edit {
                target,
                text,
                mentions,
            } => match self.target(line, target)? {
                Some((entry, posted)) if entry.author == from.user => {
                    let message = posted.message.with_text(text, mentions);
                    self.set_text(&entry, &message, line.accepted)?;
                    self.keep_instead(line, &entry)?;
                    self.tell_changed(line, &entry)
                }
                _ => Ok(()),
            },
            Content::Deletion { target } => match self.entry_of(line.group.id, target)? {
                Some(entry) if entry.author == from.user && is_deletable(&entry, line) => {
                    self.set_deleted(&entry)?;
                    self.tell_changed(line, &entry)
                }
                _ => Ok(()),
            },
            Content::Reaction {
                target,
                reaction,
                withdrawn,
            } => match self.target(line, target)? {
                Some((entry, _)) => {
                    self.set_reaction(&entry, &from.user, &reaction, withdrawn)?;
                    self.keep_beside(line, entry.sequence)?;
                    self.tell_changed(line, &entry)
                }
                None => Ok(()),
            },
            Content::Receipt { delivered, read } => {
                self.keep_beside(line, line.sequence)?;
                // Nobody has come further than the log.
                let (delivered, read) = (delivered.min(line.sequence), read.min(line.sequence));
                let (group, user) = (line.group.id, from.user.clone());
                if self.raise_receipt(group, &user, delivered, read)? {
                    line.events.push(Event::Receipt {
                        group,
                        user,
                        delivered,
                        read,
                    });
                }
                Ok(())
            }
            Content::Unknown(bytes) => self.take_in_unknown(line, from, bytes),
            _ => Ok(()),
        }
    }

    fn take_in_message(
        &self,
        line: &mut Line<'_>,
        from: &DeviceAddress,
        message: Message,
        bytes: &[u8],
    ) -> Result<(), ClientError> {
        let id = MessageId::of(line.group.id, from.device, bytes);
        let posted = Posted {
            is_reportable: line.evidence.is_some(),
            ..Posted::new(id, message, line.accepted)
        };
        if posted.is_expired(line.now) || self.entry_of(line.group.id, id)?.is_some() {
            return Ok(());
        }
        line.add(self, from.user.clone(), EntryKind::Message(posted))
    }

    /// Keeps the bytes, so that a later version of the program can read them.
    fn take_in_unknown(
        &self,
        line: &mut Line<'_>,
        from: &DeviceAddress,
        bytes: Vec<u8>,
    ) -> Result<(), ClientError> {
        let id = MessageId::of(line.group.id, from.device, &bytes);
        if self.entry_of(line.group.id, id)?.is_some() {
            return Ok(());
        }
        line.add(self, from.user.clone(), EntryKind::Unknown(bytes))?;
        self.name_message((line.group.id, line.sequence), id, None, None)
    }

    fn take_in_name(
        &self,
        line: &mut Line<'_>,
        author: &UserId,
        name: String,
    ) -> Result<(), ClientError> {
        // Who knows no name takes what is said, until somebody says it who may.
        let is_known = line.group.name.is_some();
        if self.rules(line.group.id)?.profile().is_some() {
            return Ok(());
        }
        if line.group.name.as_deref() == Some(&name)
            || (is_known && !self.may_describe(line.group.id, author)?)
        {
            return Ok(());
        }
        self.set_name(line.group.id, &name)?;
        line.group.name = Some(name.clone());
        line.add(self, author.clone(), EntryKind::Named(name))
    }

    /// The message that is named, where naming it counts.
    fn target(
        &self,
        line: &Line<'_>,
        id: MessageId,
    ) -> Result<Option<(Entry, Posted)>, ClientError> {
        Ok(match self.entry_of(line.group.id, id)? {
            Some(mut entry) => match std::mem::replace(&mut entry.kind, EntryKind::Unreadable) {
                EntryKind::Message(posted) if is_open(&entry, &posted, line) => {
                    Some((entry, posted))
                }
                _ => None,
            },
            None => None,
        })
    }

    fn tell_changed(&self, line: &mut Line<'_>, entry: &Entry) -> Result<(), ClientError> {
        let entry = self.shown_entry(entry.group, entry.sequence)?;
        line.events.extend(entry.map(Event::Changed));
        Ok(())
    }
}

fn is_open(entry: &Entry, posted: &Posted, line: &Line<'_>) -> bool {
    entry.sequence < line.sequence && !posted.deleted && !posted.is_expired(line.accepted)
}

/// A message can be taken back also where this program does not know its kind.
fn is_deletable(entry: &Entry, line: &Line<'_>) -> bool {
    match &entry.kind {
        EntryKind::Message(posted) => is_open(entry, posted, line),
        EntryKind::Unknown(_) => entry.sequence < line.sequence,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
