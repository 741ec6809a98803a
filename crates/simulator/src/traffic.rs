//! What goes between the clients and the service: requests, answers, hints.

use std::fmt;

use conclave_client::{
    perform,
    session::{Call, Hint, Rejection, Reply, State},
};
use conclave_rpc::v1::{
    self, delivery_service_client::DeliveryServiceClient, submit_request::Body,
};

use crate::{
    Violation,
    network::fate,
    plan::creator,
    world::{Happening, World, broken},
};

/// How long a client waits for an answer, in milliseconds.
pub(crate) const PATIENCE_MILLIS: u64 = 5_000;

impl World<'_> {
    /// A client that runs and waits for nothing asks what it wants to ask, or sleeps.
    pub(crate) fn go_on(&mut self, client: usize) -> Result<(), Violation> {
        let now = self.now();
        let machine = &mut self.machines[client];
        if machine.asked.is_some() {
            return Ok(());
        }
        let Some(session) = machine.session() else {
            return Ok(());
        };
        let call = session
            .next_call(now)
            .map_err(|error| broken(client, &error))?;
        let Some(call) = call else {
            let wake = session.wake_at();
            if let Some(wake) = wake {
                // A wake that is over and brings no call would turn the world in place.
                let at = wake.0.saturating_sub(self.beginning.0).max(self.millis + 1);
                self.wake_at(client, at);
            }
            return Ok(());
        };
        let number = machine.asks(call.clone());
        self.trace.tell(self.millis, || {
            format!("c{client} asks #{number} {}", kind(&call))
        });
        self.send(client, number, &call);
        self.plan_in(PATIENCE_MILLIS, Happening::Timeout(client, number));
        self.stumble(client)
    }

    fn send(&mut self, client: usize, number: u64, call: &Call) {
        if self.is_cut(client) {
            return;
        }
        for wait in fate(&mut self.machines[client].dice, &self.network) {
            self.plan_in(wait, Happening::Arrive(client, number, call.clone()));
        }
    }

    /// The service answers a request.
    pub(crate) fn serve(
        &mut self,
        client: usize,
        number: u64,
        call: &Call,
    ) -> Result<(), Violation> {
        if self.is_cut(client) {
            return Ok(());
        }
        let asked = call;
        let call = &self.spoil(client, call);
        let answer = match self.saboteur.instead(call) {
            Some(reply) => Ok(reply),
            None => self.ask_service(client, call),
        };
        let answer = self.saboteur.answer(call, answer);
        self.report.requests += 1;
        self.trace.tell(self.millis, || {
            let said = answer.as_ref().err();
            let said = said.map_or_else(|| "done".to_owned(), kind);
            format!("service: c{client} #{number} {}: {said}", kind(call))
        });
        if let Ok(reply) = &answer {
            self.forgive(client, call);
            self.witness.answered(client, call, reply)?;
            self.spread_news(call, reply);
        }
        for wait in fate(&mut self.machines[client].dice, &self.network) {
            let answer = Happening::Answer {
                client,
                number,
                service_life: self.service_life,
                call: asked.clone(),
                answer: answer.clone(),
            };
            self.plan_in(wait, answer);
        }
        Ok(())
    }

    /// A call as the service hears it: a spoiler's Commit has another membership tag, which only
    /// members can check (RFC 9420 §6.2).
    fn spoil(&self, client: usize, call: &Call) -> Call {
        let mut call = call.clone();
        let is_spoilt = self.is_spoilt(client, &call);
        if let (Some(bundle), true) = (member_commit(&mut call), is_spoilt) {
            let mut bytes = bundle.commit.to_vec();
            bytes.last_mut().into_iter().for_each(|last| *last ^= 1);
            bundle.commit = bytes.into();
        }
        call
    }

    /// Who has spoilt a group once lets it be.
    fn forgive(&mut self, client: usize, call: &Call) {
        if member_commit(&mut call.clone()).is_some()
            && let Some(group) = call.group()
            && self.spoilers.remove(&(client, group))
        {
            self.culprits.insert(client);
        }
    }

    fn is_spoilt(&self, client: usize, call: &Call) -> bool {
        let group = call.group();
        group.is_some_and(|group| self.spoilers.contains(&(client, group)))
    }

    fn ask_service(&mut self, client: usize, call: &Call) -> Result<Reply, Rejection> {
        self.service.set_time(self.now());
        let group = call
            .group()
            .and_then(|id| self.groups.iter().position(|it| *it == Some(id)));
        let insider = group.map(|number| self.machines[creator(self.scenario, number)].device);
        let device = self.machines[client].device;
        let device = self.saboteur.caller(device, insider, call);
        let caller = (!matches!(call, Call::Register(_))).then_some(device);
        let stub = DeliveryServiceClient::new(self.service.connect(caller));
        let answer = self.runtime.block_on(perform(&stub, None, call));
        answer.map_err(|status| Rejection::from(&status))
    }

    /// Those whom an entry may concern hear of it, if the network lets them.
    fn spread_news(&mut self, call: &Call, reply: &Reply) {
        use Reply::{ReportCommit, Submit, VoteForSuccessor};
        let (Submit(_) | ReportCommit(_) | VoteForSuccessor(_), Some(group)) =
            (reply, call.group())
        else {
            return;
        };
        self.report.entries += 1;
        self.report.commits += u64::from(member_commit(&mut call.clone()).is_some());
        for client in 0..self.machines.len() {
            for hint in [Hint::Group(group), Hint::Mailbox] {
                for wait in fate(&mut self.machines[client].dice, &self.network) {
                    self.plan_in(wait, Happening::Hint(client, hint));
                }
            }
        }
    }

    pub(crate) fn take_in(
        &mut self,
        client: usize,
        number: u64,
        call: &Call,
        answer: Result<Reply, Rejection>,
    ) -> Result<(), Violation> {
        let now = self.now();
        let machine = &mut self.machines[client];
        if machine
            .asked
            .as_ref()
            .is_some_and(|(asked, _)| *asked == number)
        {
            machine.asked = None;
        }
        // An answer that nobody waits for any more is taken in all the same.
        let Some(session) = machine.session() else {
            return Ok(());
        };
        let events = session
            .take_in(call, answer, now)
            .map_err(|error| broken(client, &error))?;
        for event in &events {
            let told = || format!("c{client} {}", kind(event));
            self.trace.tell(self.millis, told);
        }
        self.look_at(client, call)?;
        self.stumble(client)?;
        self.wake_at(client, self.millis);
        Ok(())
    }

    /// Whether a client stands where others in its epoch stand.
    fn look_at(&mut self, client: usize, call: &Call) -> Result<(), Violation> {
        let known = call.group().filter(|id| self.groups.contains(&Some(*id)));
        let (Some(group), Some(session)) = (known, self.machines[client].session()) else {
            return Ok(());
        };
        let state = session.state(group).map_err(|it| broken(client, &it))?;
        if matches!(state, None | Some(State::Joining | State::Removed)) {
            return Ok(());
        }
        let (epoch, authenticator) = session.epoch(group).map_err(|it| broken(client, &it))?;
        self.witness.stands(group, epoch, authenticator)
    }

    pub(crate) fn give_up(&mut self, client: usize, number: u64) -> Result<(), Violation> {
        let asked = &self.machines[client].asked;
        let Some((_, call)) = asked.clone().filter(|(asked, _)| *asked == number) else {
            return Ok(());
        };
        let away = Err(Rejection::Unreachable("nobody answers".to_owned()));
        self.take_in(client, number, &call, away)
    }
}

/// A member's Commit; not one by which somebody joins. Its sender type (RFC 9420 §6) follows version,
/// wire format, group id and epoch.
fn member_commit(call: &mut Call) -> Option<&mut v1::CommitBundle> {
    match call {
        Call::Submit(v1::SubmitRequest {
            body: Some(Body::Commit(bundle)),
            ..
        }) if bundle.commit.get(29) == Some(&1) => Some(bundle),
        _ => None,
    }
}

/// What a call or an event is, without what it says, which hangs on the time and on chance.
fn kind(of: &impl fmt::Debug) -> String {
    let said = format!("{of:?}");
    said.chars().take_while(|it| it.is_alphanumeric()).collect()
}
