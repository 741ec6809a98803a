//! Having a member who is online do what is wanted here, until it is done.
//!
//! What is asked for is durable before anybody hears of it. Where the log does not show in some time that it is
//! done, another member is asked: whoever was asked first may have left, or be away again. After a few turns this
//! device does it itself, which it may, since nobody asks for what it may not do. So it always ends, and the
//! application hears how ([`Event::WishEnded`]).

use conclave_protocol::{
    DeviceId, GroupId, MembershipIntent, RequestId, UnixMillis, UserId,
    limits::{ADDS_PER_COMMIT_MAX, INTENT_LIFETIME, PASSED_OVER_MAX},
};
use conclave_rpc::v1;

use super::{Call, Session, pace::Due};
use crate::{
    ClientError, Event,
    local::Asked,
    waits::{ASK_TURNS_MAX, ASK_WAITS},
};

/// What is known of what was asked for in one group.
#[derive(Debug)]
pub(super) struct Asking {
    /// Whether it has to be looked up what is open.
    unknown: Due,
    is_any: bool,
    /// Whether something was asked of nobody yet.
    is_fresh: bool,
    /// When somebody else is asked.
    at: Option<UnixMillis>,
    /// What is being handed over.
    request: Option<(v1::SubmitIntentRequest, MembershipIntent)>,
    /// Who was asked, the last one at the end.
    passed_over: Vec<DeviceId>,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            unknown: Due::NOW,
            is_any: false,
            is_fresh: false,
            at: None,
            request: None,
            passed_over: Vec::new(),
        }
    }
}

impl Asking {
    pub(super) fn look_again(&mut self) {
        self.unknown.set();
    }

    /// When it has to be looked up what is open.
    pub(super) fn looks_at(&self) -> Option<UnixMillis> {
        self.unknown.is_due().then_some(UnixMillis(0))
    }

    /// When the next thing is due; nobody is asked before `not_before`.
    pub(super) fn wake_at(&self, not_before: UnixMillis) -> Option<UnixMillis> {
        let is_due = self.is_fresh || self.request.is_some() || self.at.is_none();
        let at = if is_due { Some(UnixMillis(0)) } else { self.at };
        let asks = at.filter(|_| self.is_any).map(|at| at.max(not_before));
        self.looks_at().into_iter().chain(asks).min()
    }

    fn is_time(&self, now: UnixMillis) -> bool {
        self.at.is_some_and(|at| at <= now)
    }
}

impl Session {
    /// Asks a member who is online to add and remove users: with the next call.
    ///
    /// # Errors
    /// [`ClientError::NotMember`], [`ClientError::Leaving`], [`ClientError::Forbidden`],
    /// [`ClientError::Refused`] where too much is asked for already.
    pub fn ask_for(
        &mut self,
        group: GroupId,
        add: &[UserId],
        remove: &[UserId],
    ) -> Result<(), ClientError> {
        self.check_may_change(group, add, remove)?;
        let wanted = MembershipIntent {
            add: add.to_vec(),
            remove: remove.to_vec(),
        };
        self.local.write(|tx| {
            tx.require_member(group)?;
            tx.keep_asked(group, &wanted)
        })?;
        if let Some(progress) = self.groups.get_mut(&group) {
            let asking = &mut progress.asking;
            // What they were asked before says nothing of this.
            asking.passed_over.clear();
            asking.look_again();
        }
        Ok(())
    }

    /// Whose device was asked last.
    pub(crate) fn asked_last(&self, group: GroupId) -> Option<DeviceId> {
        let asking = &self.groups.get(&group)?.asking;
        asking.passed_over.last().copied()
    }

    /// Whom to ask now, without regard to how the group stands otherwise.
    pub(crate) fn next_of_asked(
        &mut self,
        group: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        self.look_at_asked(group, now)?;
        self.ask_now(group, now)
    }

    /// Looks what has ended of what was asked for, where that is not known.
    pub(super) fn look_at_asked(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(());
        };
        let asking = &mut progress.asking;
        if asking.is_any && asking.is_time(now) {
            asking.unknown.set();
        }
        if !asking.unknown.is_due() {
            return Ok(());
        }
        asking.unknown.ask();
        asking.unknown.done();
        let mut asked = self.local.read(|tx| tx.asked(id))?;
        if !asked.is_empty() {
            // Most often nothing is asked for, and a look costs no wait for the disk.
            let ended = self.local.write(|tx| tx.end_asked(id, asked))?;
            self.news
                .extend(ended.into_iter().map(|(wish, end)| Event::WishEnded {
                    group: id,
                    user: wish.user,
                    is_add: wish.is_add,
                    end,
                }));
            asked = self.local.read(|tx| tx.asked(id))?;
        }
        asking.is_any = !asked.is_empty();
        asking.is_fresh = asked.iter().any(|it| it.turns == 0);
        if !asking.is_any {
            *asking = Asking {
                unknown: asking.unknown,
                passed_over: std::mem::take(&mut asking.passed_over),
                ..Asking::default()
            };
        }
        Ok(())
    }

    /// Whom to ask now, where nothing speaks against it.
    pub(super) fn next_to_ask(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let progress = self.groups.get(&id);
        match progress.is_some_and(|it| it.asking.is_any && it.outbox_backoff.is_over(now)) {
            true => self.ask_now(id, now),
            false => Ok(None),
        }
    }

    fn ask_now(&mut self, id: GroupId, now: UnixMillis) -> Result<Option<Call>, ClientError> {
        let Some(progress) = self.groups.get(&id) else {
            return Ok(None);
        };
        let asking = &progress.asking;
        if let Some((request, _)) = &asking.request {
            return Ok(Some(Call::SubmitIntent(request.clone())));
        }
        let is_due = asking.is_fresh || asking.at.is_none() || asking.is_time(now);
        if !asking.is_any || !is_due {
            return Ok(None);
        }
        let wanted = self.wanted_now(id, now)?;
        Ok(wanted.map(|wanted| self.request(id, wanted, now)))
    }

    /// What to ask for now. What was asked for often enough goes into the outbox.
    fn wanted_now(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<Option<MembershipIntent>, ClientError> {
        let share = self.share();
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(None);
        };
        let asking = &mut progress.asking;
        let mut asked = self.local.read(|tx| tx.asked(id))?;
        let turns = asked.iter().map(|it| it.turns).max().unwrap_or_default();
        let is_time = asking.is_time(now);
        asked.retain(|it| it.own_row.is_none() && (it.turns == 0 || is_time));
        asking.is_fresh = false;
        // Whoever was asked before this device was started anew has its time from now.
        if is_time || asking.at.is_none() {
            asking.at = Some(now.after(ASK_WAITS.after(turns + 1, share)));
        }
        let (own, mut others): (Vec<Asked>, Vec<Asked>) =
            asked.into_iter().partition(|it| it.turns >= ASK_TURNS_MAX);
        if !own.is_empty() {
            self.local.write(|tx| tx.do_asked(id, &own))?;
            progress.outbox.set();
        }
        // The rest has its turn with the next call.
        others.truncate(ADDS_PER_COMMIT_MAX);
        Ok((!others.is_empty()).then(|| intent(others)))
    }

    fn request(&mut self, id: GroupId, wanted: MembershipIntent, now: UnixMillis) -> Call {
        let request_id = RequestId::from_bytes(self.local.random());
        let key = &self.local.account().signature_key;
        let asking = self.groups.get_mut(&id).map(|it| &mut it.asking);
        let passed_over = asking.iter().flat_map(|it| &it.passed_over);
        let request = v1::SubmitIntentRequest {
            group_id: id.as_bytes().to_vec().into(),
            request_id: request_id.as_bytes().to_vec().into(),
            intent: wanted.sign(id, now.after(INTENT_LIFETIME), key).into(),
            passed_over_device_ids: passed_over
                .map(|id| id.as_bytes().to_vec().into())
                .collect(),
        };
        if let Some(asking) = asking {
            asking.request = Some((request.clone(), wanted));
        }
        Call::SubmitIntent(request)
    }

    /// Who was asked; `None` where nobody could be.
    pub(super) fn take_ask(
        &mut self,
        asked: &v1::SubmitIntentRequest,
        device: Option<DeviceId>,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let Ok(id) = conclave_rpc::group_id(&asked.group_id) else {
            return Ok(());
        };
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(());
        };
        let asking = &mut progress.asking;
        let Some((_, wanted)) = asking.request.take_if(|(it, _)| it == asked) else {
            return Ok(());
        };
        let is_able = self.local.write(|tx| {
            tx.count_turn(id, &wanted)?;
            match device {
                Some(device) => tx.may_do_for_others(id, device, &wanted),
                None => Ok(true),
            }
        })?;
        if let Some(device) = device {
            if asking.passed_over.len() == PASSED_OVER_MAX {
                asking.passed_over.remove(0);
            }
            asking.passed_over.push(device);
        }
        if !is_able {
            // The service does not look who may do it, so the next one is asked at once.
            asking.at = Some(now);
        }
        asking.look_again();
        Ok(())
    }
}

fn intent(asked: Vec<Asked>) -> MembershipIntent {
    let (add, remove): (Vec<Asked>, Vec<Asked>) = asked.into_iter().partition(|it| it.is_add);
    let users = |asked: Vec<Asked>| asked.into_iter().map(|it| it.user).collect();
    MembershipIntent {
        add: users(add),
        remove: users(remove),
    }
}
