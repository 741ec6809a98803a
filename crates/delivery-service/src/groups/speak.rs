//! Who may send: what a group's rules say of application messages.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use conclave_protocol::{Epoch, GroupId, GroupRules, Role, UnixMillis};

use super::{Groups, Request};
use crate::{
    error::Refusal,
    limits::RULES_CACHED_MAX,
    ordering::{Submission, Verdict},
};

/// The rules of groups, each as of one epoch, without those who have left.
#[derive(Default)]
pub(super) struct KnownRules(Mutex<HashMap<GroupId, (Epoch, Arc<GroupRules>)>>);

impl KnownRules {
    fn at(&self, group: GroupId, epoch: Epoch) -> Option<Arc<GroupRules>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, rules) = known.get(&group)?;
        (*at == epoch).then(|| Arc::clone(rules))
    }

    fn learn(&self, group: GroupId, epoch: Epoch, rules: Arc<GroupRules>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is in use is soon known again.
        if known.len() >= RULES_CACHED_MAX {
            known.clear();
        }
        known.insert(group, (epoch, rules));
    }
}

impl Groups {
    /// Holds that the rules let the sender send in this epoch. What is refused for another reason
    /// passes: the store has the last word on it.
    pub(super) fn check_may_send(
        &self,
        request: &Request<'_>,
        submission: &Submission,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let rules = match self.rules.at(request.group, submission.epoch) {
            Some(rules) => rules,
            None => match self.read_rules(request, submission, now)? {
                Some(rules) => rules,
                None => return Ok(()),
            },
        };
        if rules.permissions().send == Role::Member {
            return Ok(());
        }
        let sender = self.store.device(request.sender)?;
        let sender = sender.ok_or(Refusal::NotMember)?;
        // Whoever is listed is there: those who left are not kept.
        rules
            .may_send(&sender.address.user, |_| true)
            .map_err(Refusal::Forbidden)
    }

    /// Asks the group's follower, where the message would be accepted.
    fn read_rules(
        &self,
        request: &Request<'_>,
        submission: &Submission,
        now: UnixMillis,
    ) -> Result<Option<Arc<GroupRules>>, Refusal> {
        let (verdict, head) = self.ask(request, submission, now)?;
        if !matches!(verdict, Verdict::Accept(_)) {
            return Ok(None);
        }
        let slot = self.followers.slot(request.group);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let follower = match self.follower_at(&mut slot, request.group, head) {
            Ok(follower) => follower,
            // The group has moved on since it was asked.
            Err(Refusal::Busy(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let rules = follower.rules().map(Arc::new);
        *slot = Some(follower);
        let rules = rules?;
        self.rules
            .learn(request.group, submission.epoch, Arc::clone(&rules));
        Ok(Some(rules))
    }
}
