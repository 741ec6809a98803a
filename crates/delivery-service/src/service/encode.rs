//! What the rooms give as what travels.

use conclave_protocol::GroupId;
use conclave_rpc::v1;

use crate::{
    error::Refusal,
    store::{Entry, EntryKind, MailboxItem},
    wire::SlicedWelcome,
};

pub(super) fn log_entry(entry: Entry) -> v1::LogEntry {
    let kind = match entry.kind {
        EntryKind::Commit => v1::EntryKind::Commit,
        EntryKind::Proposal => v1::EntryKind::Proposal,
        EntryKind::Application => v1::EntryKind::Application,
    };
    v1::LogEntry {
        sequence: entry.sequence.0,
        epoch: entry.epoch.0,
        kind: kind.into(),
        sender_device_id: entry.sender.as_bytes().to_vec().into(),
        accepted_millis: entry.accepted.0,
        message: entry.message.into(),
    }
}

/// Puts the slices of a Welcome together.
pub(super) fn mailbox_item(item: MailboxItem) -> Result<v1::MailboxItem, Refusal> {
    let welcome = SlicedWelcome::join(&item.shared, &item.secrets)
        .ok_or(Refusal::Internal("a stored Welcome is unreadable"))?;
    let welcome = v1::Welcome {
        group_id: item.group.as_bytes().to_vec().into(),
        epoch: item.epoch.0,
        sequence: item.receipt.sequence.0,
        welcome: welcome.into(),
        added_by: item.added_by,
        accepted_millis: item.receipt.accepted.0,
    };
    Ok(v1::MailboxItem {
        cursor: item.cursor,
        item: Some(v1::mailbox_item::Item::Welcome(welcome)),
    })
}

pub(super) fn event(event: v1::stream_response::Event) -> v1::StreamResponse {
    v1::StreamResponse { event: Some(event) }
}

pub(super) fn group_entry(group: GroupId, entry: Entry) -> v1::StreamResponse {
    event(v1::stream_response::Event::Entry(v1::GroupEntry {
        group_id: group.as_bytes().to_vec().into(),
        entry: Some(log_entry(entry)),
    }))
}

/// Everything of a group has been sent, or of the mailbox where it is `None`.
pub(super) fn caught_up(group: Option<GroupId>) -> v1::StreamResponse {
    let group_id = group.map(|group| group.as_bytes().to_vec());
    event(v1::stream_response::Event::CaughtUp(v1::CaughtUp {
        group_id: group_id.unwrap_or_default().into(),
    }))
}

pub(super) fn ended(group: GroupId) -> v1::StreamResponse {
    event(v1::stream_response::Event::Ended(v1::GroupEnded {
        group_id: group.as_bytes().to_vec().into(),
    }))
}
