//! What the rooms give as what travels.

use conclave_protocol::{DeviceId, GroupId};
use conclave_rpc::v1::{self, mailbox_item::Item};
use prost::Message as _;
use tonic::codegen::Bytes;

use crate::{
    error::Refusal,
    hub::Signal,
    store::{Entry, EntryKind, Mail, MailboxItem, Notice, WaitingWelcome},
    wire::SlicedWelcome,
};

pub(super) fn log_entry(entry: Entry) -> v1::LogEntry {
    let kind = match entry.kind {
        EntryKind::Commit => v1::EntryKind::Commit,
        EntryKind::Proposal => v1::EntryKind::Proposal,
        EntryKind::Application => v1::EntryKind::Application,
        EntryKind::Report => v1::EntryKind::Report,
        EntryKind::Vote => v1::EntryKind::Vote,
    };
    v1::LogEntry {
        sequence: entry.sequence.0,
        epoch: entry.epoch.0,
        kind: kind.into(),
        sender_device_id: id(entry.sender.as_bytes()),
        accepted_millis: entry.accepted.0,
        message: entry.message.into(),
        frank: entry
            .frank
            .map(|frank| frank.to_bytes())
            .unwrap_or_default()
            .into(),
    }
}

pub(super) fn mailbox_item(item: MailboxItem) -> Result<v1::MailboxItem, Refusal> {
    let mail = match item.mail {
        Mail::Welcome(waiting) => Item::Welcome(welcome(waiting)?),
        Mail::Notice(told) => notice(told)?,
    };
    Ok(v1::MailboxItem {
        cursor: item.cursor,
        item: Some(mail),
    })
}

/// Puts the slices of a Welcome together.
fn welcome(waiting: WaitingWelcome) -> Result<v1::Welcome, Refusal> {
    let welcome = SlicedWelcome::join(&waiting.shared, &waiting.secrets)
        .ok_or(Refusal::Internal("a stored Welcome is unreadable"))?;
    Ok(v1::Welcome {
        group_id: id(waiting.group.as_bytes()),
        epoch: waiting.epoch.0,
        sequence: waiting.receipt.sequence.0,
        welcome: welcome.into(),
        added_by: waiting.added_by,
        accepted_millis: waiting.receipt.accepted.0,
        tree_hash: waiting.tree_hash.into(),
    })
}

fn notice(notice: Notice) -> Result<Item, Refusal> {
    Ok(match notice {
        Notice::KeyPackagesLow {
            stock,
            last_resort_used,
        } => Item::KeyPackagesLow(v1::KeyPackagesLow {
            stock,
            last_resort_used,
        }),
        Notice::InvitationAsked {
            group,
            token_hash,
            asker,
            user,
        } => Item::InvitationAsked(v1::InvitationAsked {
            group_id: id(group.as_bytes()),
            token_hash: token_hash.to_vec().into(),
            user: user.as_str().to_owned(),
            device_id: id(asker.as_bytes()),
        }),
        Notice::InvitationApproved { group, token_hash } => {
            Item::InvitationApproved(v1::InvitationApproved {
                group_id: id(group.as_bytes()),
                token_hash: token_hash.to_vec().into(),
            })
        }
        Notice::Intent {
            group,
            sender,
            intent,
            ..
        } => Item::Intent(v1::IntentHandedOver {
            group_id: id(group.as_bytes()),
            sender_device_id: id(sender.as_bytes()),
            intent: intent.into(),
        }),
        Notice::Measure { measure, .. } => {
            let unreadable = |_| Refusal::Internal("a stored notice is unreadable");
            Item::Measure(v1::Measure::decode(&*measure).map_err(unreadable)?)
        }
    })
}

fn id(bytes: &[u8; 16]) -> Bytes {
    bytes.to_vec().into()
}

pub(super) fn devices(devices: &[DeviceId]) -> Vec<Bytes> {
    devices.iter().map(|device| id(device.as_bytes())).collect()
}

pub(super) fn event(event: v1::stream_response::Event) -> v1::StreamResponse {
    v1::StreamResponse { event: Some(event) }
}

pub(super) fn group_entry(group: GroupId, entry: v1::LogEntry) -> v1::StreamResponse {
    event(v1::stream_response::Event::Entry(v1::GroupEntry {
        group_id: id(group.as_bytes()),
        entry: Some(entry),
    }))
}

/// Everything of a group has been sent, or of the mailbox where it is `None`.
pub(super) fn caught_up(group: Option<GroupId>) -> v1::StreamResponse {
    let group_id = group.map(|group| group.as_bytes().to_vec());
    event(v1::stream_response::Event::CaughtUp(v1::CaughtUp {
        group_id: group_id.unwrap_or_default().into(),
    }))
}

/// The leaves of these devices wait to be removed.
pub(super) fn departures(group: GroupId, departed: &[DeviceId]) -> v1::StreamResponse {
    event(v1::stream_response::Event::Departures(v1::Departures {
        group_id: id(group.as_bytes()),
        device_ids: devices(departed),
    }))
}

pub(super) fn signal(signal: Signal) -> v1::StreamResponse {
    event(v1::stream_response::Event::Signal(v1::GroupSignal {
        group_id: id(signal.group.as_bytes()),
        sender_device_id: id(signal.sender.as_bytes()),
        signal: signal.bytes,
    }))
}

pub(super) fn ended(group: GroupId) -> v1::StreamResponse {
    event(v1::stream_response::Event::Ended(v1::GroupEnded {
        group_id: id(group.as_bytes()),
    }))
}

pub(super) fn too_late(group: GroupId, detail: v1::TooLate) -> v1::StreamResponse {
    event(v1::stream_response::Event::TooLate(v1::GroupTooLate {
        group_id: id(group.as_bytes()),
        detail: Some(detail),
    }))
}
