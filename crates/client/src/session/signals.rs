//! Signals: sent at once or not at all, heard once or not at all.

use std::collections::HashMap;

use conclave_protocol::{DeviceId, GroupId, UnixMillis};
use conclave_rpc::v1;

use super::Session;
use crate::{ClientError, Event, waits::TYPING_WAIT};

/// Devices whose last signal is remembered, so that the service can't repeat it. Where there are more,
/// all are forgotten: a signal is of the moment anyway.
const HEARD_MAX: usize = 4096;

/// What was signalled lately.
#[derive(Debug, Default)]
pub(super) struct Signals {
    sent: HashMap<GroupId, UnixMillis>,
    heard: HashMap<(GroupId, DeviceId), UnixMillis>,
}

impl Session {
    /// What to send so that the members who are there see that this user types; `None` where that was
    /// said a moment ago.
    ///
    /// # Errors
    /// [`ClientError::NotMember`], [`ClientError::Leaving`].
    pub fn typing(
        &mut self,
        group: GroupId,
        now: UnixMillis,
    ) -> Result<Option<v1::SendSignalRequest>, ClientError> {
        let last = self.signals.sent.get(&group);
        if last.is_some_and(|last| now < last.after(TYPING_WAIT)) {
            return Ok(None);
        }
        let key = self.account().signature_key.clone();
        let signal = self.local.read(|tx| {
            tx.require_member(group)?;
            tx.seal_typing(group, &key, now)
        })?;
        self.signals.sent.insert(group, now);
        Ok(Some(v1::SendSignalRequest {
            group_id: group.as_bytes().to_vec().into(),
            signal: signal.into(),
        }))
    }

    /// Takes in a signal that a live stream brought. What is not of a member, of this epoch and of
    /// this moment, or was heard before, is passed over.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn take_signal(
        &mut self,
        signal: &v1::GroupSignal,
        now: UnixMillis,
    ) -> Result<Option<Event>, ClientError> {
        let (Ok(group), Ok(sender)) = (
            conclave_rpc::group_id(&signal.group_id),
            conclave_rpc::device_id(&signal.sender_device_id),
        ) else {
            return Ok(None);
        };
        let opened = self
            .local
            .read(|tx| tx.open_typing(group, sender, &signal.signal, now))?;
        let Some((user, sent)) = opened else {
            return Ok(None);
        };
        if self.signals.heard.len() >= HEARD_MAX {
            self.signals.heard.clear();
        }
        let before = self.signals.heard.insert((group, sender), sent);
        if before.is_some_and(|before| sent <= before) {
            self.signals
                .heard
                .extend(before.map(|before| ((group, sender), before)));
            return Ok(None);
        }
        let is_blocked = self.local.read(|tx| tx.is_blocked(&user))?;
        Ok((!is_blocked).then_some(Event::Typing { group, user }))
    }
}
