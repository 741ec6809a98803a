//! Before anything else is asked on a connection: whether this device's state is the latest.

use conclave_protocol::{GroupId, UnixMillis};
use conclave_rpc::v1::{self, InstanceState};

use super::{Call, Session};
use crate::{ClientError, Event, local::Checked, waits::SERVICE_WAITS};

/// How far a check has come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Instance {
    /// Nothing was asked since this session began, or was connected.
    #[default]
    Unknown,
    /// Asked with this nonce to come next, which was drawn since.
    Drawn(Vec<u8>),
    /// The service has confirmed a nonce that was drawn since: no copy can have that one too.
    Latest,
}

impl Session {
    pub(super) fn next_for_instance(&mut self) -> Result<Option<Call>, ClientError> {
        if self.instance == Instance::Latest {
            return Ok(None);
        }
        let (was_waiting, question) = self.local.write(|tx| {
            let was_waiting = tx.has_instance_question()?;
            Ok((was_waiting, tx.ask_about_instance()?))
        })?;
        if !was_waiting {
            self.instance = Instance::Drawn(question.next_nonce.to_vec());
        }
        Ok(Some(Call::CheckInstance(question)))
    }

    pub(super) fn take_instance(
        &mut self,
        asked: &v1::CheckInstanceRequest,
        reply: &v1::CheckInstanceResponse,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let state = reply.state();
        let memberships: Vec<GroupId> = reply
            .group_ids
            .iter()
            .filter_map(|id| conclave_rpc::group_id(id).ok())
            .collect();
        let behind = (state == InstanceState::Behind).then_some(&memberships[..]);
        let checked = match state {
            InstanceState::Same | InstanceState::Behind => self
                .local
                .write(|tx| tx.take_instance(asked, behind, now))?,
            InstanceState::Unspecified => Checked::Stale,
        };
        let share = self.share();
        match checked {
            // Another program on the same home may have asked; a service that makes no sense is
            // not asked again and again.
            Checked::Stale if state == InstanceState::Unspecified => {
                self.service.fail(now, SERVICE_WAITS, share);
                Ok(Vec::new())
            }
            Checked::Stale => Ok(Vec::new()),
            Checked::Same => {
                if self.instance == Instance::Drawn(asked.next_nonce.to_vec()) {
                    self.instance = Instance::Latest;
                }
                Ok(Vec::new())
            }
            Checked::Copied(events) => {
                self.instance = Instance::Unknown;
                self.service.fail(now, SERVICE_WAITS, share);
                self.look_at_groups()?;
                Ok(events)
            }
        }
    }
}
