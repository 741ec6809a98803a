//! Groups, their logs and trees, and the mailbox.

use conclave_protocol::{Epoch, Sequence, limits};
use conclave_rpc::{EdgeError, cursor, group_id, request_id, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use super::{Authenticated, Events, Rooms, Service, encode};
use crate::{
    error::Refusal,
    groups::{Body, Handshake, Request},
    limits::STREAM_EVENTS_MAX,
    store::TreePart,
};

impl Service {
    pub(super) async fn create(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::CreateGroupRequest>,
    ) -> Result<Response<v1::CreateGroupResponse>, Status> {
        let group = group_id(&body.group_id)?;
        self.job(move |rooms| {
            rooms.moderation.check_may_reach(caller, now)?;
            let groups = &rooms.groups;
            groups.create(caller, group, &body.group_info, &body.ratchet_tree, now)
        })
        .await?;
        Ok(Response::new(v1::CreateGroupResponse {}))
    }

    pub(super) async fn append(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let group = group_id(&body.group_id)?;
        let request = request_id(&body.request_id)?;
        let message = body.body.ok_or(EdgeError::new("body", "missing"))?;
        let receipt = self
            .job(move |rooms| {
                match &message {
                    v1::submit_request::Body::ApplicationMessage(_) => {
                        rooms.moderation.check_may_send(caller, now)?;
                    }
                    // It brings others in. Any other Commit keeps the group going, and is let through.
                    v1::submit_request::Body::Commit(bundle) if !bundle.welcome.is_empty() => {
                        rooms.moderation.check_may_reach(caller, now)?;
                    }
                    _ => {}
                }
                let request = Request {
                    sender: caller,
                    group,
                    request,
                    body: decode_body(&message),
                };
                rooms.groups.submit(&request, now)
            })
            .await?;
        Ok(Response::new(v1::SubmitResponse {
            sequence: receipt.sequence.0,
            accepted_millis: receipt.accepted.0,
        }))
    }

    pub(super) async fn take_report(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::ReportCommitRequest>,
    ) -> Result<Response<v1::ReportCommitResponse>, Status> {
        let group = group_id(&body.group_id)?;
        let place = self
            .job(move |rooms| rooms.groups.report(group, caller, &body.report, now))
            .await?;
        Ok(Response::new(v1::ReportCommitResponse {
            sequence: place.unwrap_or_default().0,
        }))
    }

    pub(super) async fn take_vote(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::VoteForSuccessorRequest>,
    ) -> Result<Response<v1::VoteForSuccessorResponse>, Status> {
        let group = group_id(&body.group_id)?;
        let place = self
            .job(move |rooms| rooms.groups.vote(group, caller, &body.vote, now))
            .await?;
        Ok(Response::new(v1::VoteForSuccessorResponse {
            sequence: place.unwrap_or_default().0,
        }))
    }

    pub(super) async fn read_entries(
        &self,
        Authenticated { caller, body, .. }: Authenticated<v1::ReadLogRequest>,
    ) -> Result<Response<v1::ReadLogResponse>, Status> {
        let group = group_id(&body.group_id)?;
        let after = cursor(body.after_sequence)?;
        let entries = page_limit(body.limit);
        let (page, words) = self
            .job(move |rooms| {
                let (groups, bytes) = (&rooms.groups, limits::PAGE_BYTES_MAX);
                let words = match body.with_words {
                    true => groups.words(group, caller, after)?,
                    false => Vec::new(),
                };
                Ok((groups.read(group, caller, after, entries, bytes)?, words))
            })
            .await?;
        Ok(Response::new(v1::ReadLogResponse {
            entries: page.entries.into_iter().map(encode::log_entry).collect(),
            readable_sequence: page.readable.0,
            // A member may read to the head, and nobody else learns where it is.
            head_sequence: page.readable.0,
            current_epoch: page.epoch.0,
            departed_device_ids: encode::devices(&page.departed),
            words: words.into_iter().map(encode::log_entry).collect(),
        }))
    }

    pub(super) async fn send_tree(
        &self,
        Authenticated { caller, body, .. }: Authenticated<v1::FetchTreeRequest>,
    ) -> Result<Response<Events<v1::FetchTreeResponse>>, Status> {
        let group = group_id(&body.group_id)?;
        let Sequence(mut epoch) = cursor(body.epoch)?;
        if !body.tree_hash.is_empty() {
            let find = move |rooms: &Rooms| rooms.groups.tree_epoch(group, &body.tree_hash);
            Epoch(epoch) = self.job(find).await?;
        }
        let read = move |service: Self, part: u32| async move {
            let read =
                service.job(move |rooms| rooms.groups.tree_part(group, caller, Epoch(epoch), part));
            read.await
        };
        let first = read(self.clone(), 0).await?;
        let first = first.ok_or(Refusal::NotFound("no tree of that epoch is kept"))?;
        let (sender, receiver) = mpsc::channel(STREAM_EVENTS_MAX);
        let service = self.clone();
        tokio::spawn(async move {
            let mut next = Ok(Some(first));
            for part in 1.. {
                let response = match next {
                    Ok(None) => break,
                    Ok(Some(part)) => Ok(tree_response(part)),
                    Err(status) => Err(status),
                };
                let failed = response.is_err();
                if sender.send(response).await.is_err() || failed {
                    break;
                }
                next = read(service.clone(), part).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    pub(super) async fn read_items(
        &self,
        Authenticated { caller, body, .. }: Authenticated<v1::ReadMailboxRequest>,
    ) -> Result<Response<v1::ReadMailboxResponse>, Status> {
        let Sequence(after) = cursor(body.after_cursor)?;
        let limit = page_limit(body.limit);
        let mut items = self
            .job(move |rooms| {
                // One more than is given, to see whether there is more.
                let items = rooms.store.read_mailbox(caller, after, limit + 1)?;
                items
                    .into_iter()
                    .map(encode::mailbox_item)
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Response::new(v1::ReadMailboxResponse { items, more }))
    }

    pub(super) async fn drop_items(
        &self,
        Authenticated { caller, body, .. }: Authenticated<v1::AcknowledgeMailboxRequest>,
    ) -> Result<Response<v1::AcknowledgeMailboxResponse>, Status> {
        let Sequence(up_to) = cursor(body.up_to_cursor)?;
        self.job(move |rooms| Ok(rooms.store.acknowledge_mailbox(caller, up_to)?))
            .await?;
        Ok(Response::new(v1::AcknowledgeMailboxResponse {}))
    }
}

fn decode_body(body: &v1::submit_request::Body) -> Body<'_> {
    match body {
        v1::submit_request::Body::Commit(bundle) => Body::Handshake(Handshake::Commit {
            commit: &bundle.commit,
            welcome: &bundle.welcome,
            group_info: &bundle.group_info,
        }),
        v1::submit_request::Body::Proposal(message) => {
            Body::Handshake(Handshake::Proposal(message))
        }
        v1::submit_request::Body::ApplicationMessage(message) => Body::Application(message),
    }
}

/// Zero asks for as much as the service gives at once.
fn page_limit(limit: u32) -> usize {
    match limit as usize {
        0 => limits::PAGE_ENTRIES_MAX,
        limit => limit.min(limits::PAGE_ENTRIES_MAX),
    }
}

fn tree_response(part: TreePart) -> v1::FetchTreeResponse {
    v1::FetchTreeResponse {
        part: part.bytes.into(),
        total_bytes: part.total_bytes,
    }
}
