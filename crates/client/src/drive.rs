//! Driving a session over the network: asking what it wants asked, and waiting when it waits.
//!
//! Nothing is decided here, and nothing is kept: a program that ends at any moment goes on from
//! what the session made durable.

use std::time::Duration;

use conclave_protocol::{DeviceId, GroupId, UnixMillis};

use crate::{
    Client, ClientError, Event, Receipt,
    entropy::now,
    session::{Call, Hint, IntentId, Rejection, Session},
};

/// How often an intent's Commit may come second before the application hears of it; it stays
/// queued.
const RACES_MAX: u32 = 100;

/// The longest wait, such as after a lost race, that the application is not told of.
const PATIENCE: Duration = Duration::from_secs(6);

/// How often whoever waits looks whether something has happened meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// The shortest wait: the clock may stand still between two looks.
const MOMENT: Duration = Duration::from_millis(2);

impl Client {
    /// Reads all that waits at the service and sends all that waits here. A group that can't go on
    /// does not hold up the others; its error comes after they are done.
    pub(crate) async fn sync_all(&self) -> Result<Vec<Event>, ClientError> {
        self.session(|session| session.hint(Hint::Connected))
            .await?;
        let mut events = Vec::new();
        loop {
            events.extend(self.all_that_is_due().await?);
            let wake = self.session(|session| Ok(session.wake_where_well()));
            match soon(wake.await?) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => break,
            }
        }
        self.keep_pictures().await?;
        self.no_problem().await?;
        Ok(events)
    }

    /// Does what is due now, and waits for nothing.
    pub(crate) async fn go_on(&self) -> Result<Vec<Event>, ClientError> {
        let events = self.all_that_is_due().await?;
        self.no_problem().await?;
        Ok(events)
    }

    /// Goes on with a group until an intent is settled. While it waits, others have their turn: what they
    /// read or do may be what it waits for.
    pub(crate) async fn drive(
        &self,
        group: GroupId,
        intent: IntentId,
    ) -> Result<Receipt, ClientError> {
        self.session(|session| {
            session.try_now();
            Ok(())
        })
        .await?;
        let mut races = 0;
        let mut turn = self.inner.turn.lock().await;
        while races <= RACES_MAX {
            let call = self.session(move |session| session.next_call_of(intent, group, now()));
            if let Some(call) = call.await? {
                let (_, rejection) = self.ask(call).await?;
                races += u32::from(matches!(rejection, Some(Rejection::WrongEpoch { .. })));
                continue;
            }
            // What is refused is settled without a call.
            let outcome = self.session(move |session| session.take_outcome(intent));
            if let Some(outcome) = outcome.await? {
                return outcome.map_err(ClientError::GivenUp);
            }
            self.no_problem().await?;
            let wake = self.session(move |session| session.wake_at_of(intent, group));
            let wait = soon(wake.await?).ok_or(ClientError::TooManyRaces)?;
            drop(turn);
            tokio::time::sleep(wait.min(LOOK)).await;
            turn = self.inner.turn.lock().await;
        }
        Err(ClientError::TooManyRaces)
    }

    /// Says in a group what follows from what was just done there: who has come hears what it is called.
    /// What can't be said now is said later.
    pub(crate) async fn say_the_rest(&self, group: GroupId) {
        let _turn = self.inner.turn.lock().await;
        self.send_what_waits(group).await;
    }

    pub(crate) async fn send_what_waits(&self, group: GroupId) {
        while let Ok(Some(call)) = self
            .session(move |session| session.next_call_in(group, now()))
            .await
        {
            if self.ask(call).await.is_err() {
                return;
            }
        }
    }

    /// Hands to others what they are asked to do, and says whose device was asked last.
    pub(crate) async fn hand_over(&self, group: GroupId) -> Result<DeviceId, ClientError> {
        let _turn = self.inner.turn.lock().await;
        while let Some(call) = self
            .session(move |session| session.next_of_asked(group, now()))
            .await?
        {
            if let (_, Some(rejection)) = self.ask(call).await? {
                return Err(rejection.into_error(&self.inner.remote.url));
            }
        }
        let asked = self.session(move |session| Ok(session.asked_last(group)));
        let nobody = || ClientError::Refused("nobody can take it now".into());
        asked.await?.ok_or_else(nobody)
    }

    async fn all_that_is_due(&self) -> Result<Vec<Event>, ClientError> {
        let events = self.session(|session| {
            let mut events = session.take_news();
            events.extend(session.expire(now())?);
            Ok(events)
        });
        let mut events = events.await?;
        while let Some(call) = self.session(|session| session.next_call(now())).await? {
            events.extend(self.ask(call).await?.0);
        }
        Ok(events)
    }

    /// Asks, and has the session take in what came of it. What it was that the service decided
    /// against is given too; where the service did not decide, that is an error.
    async fn ask(&self, call: Call) -> Result<(Vec<Event>, Option<Rejection>), ClientError> {
        let reply = self.inner.remote.perform(&call).await;
        let rejection = reply.as_ref().err().cloned();
        let events = self
            .session(move |session| session.take_in(&call, reply, now()))
            .await?;
        match rejection {
            Some(rejection) if !rejection.is_decision() => {
                Err(rejection.into_error(&self.inner.remote.url))
            }
            decided => Ok((events, decided)),
        }
    }

    async fn no_problem(&self) -> Result<(), ClientError> {
        let problem = self.session(|session| Ok(Session::take_problem(session)));
        problem.await?.map_or(Ok(()), Err)
    }
}

/// How long to wait until then, where it is worth waiting for.
fn soon(wake: Option<UnixMillis>) -> Option<Duration> {
    let wait = Duration::from_millis(wake?.0.saturating_sub(now().0));
    (wait <= PATIENCE).then_some(wait.max(MOMENT))
}
