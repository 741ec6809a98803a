//! A run, from the first registration to the report.

use std::{pin::pin, sync::Arc, time::Duration};

use conclave_client::{Client, GroupId, Registration};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};

use crate::{
    LoadError, Plan, Report,
    crowd::Crowd,
    limits::{ASK_AGAIN, ASKS_MAX, SETTLE, TELL, WAITING_MAX},
    metrics::{Metrics, differences, fetch},
    roster::Change,
    schedule::{Act, Deed, Schedule},
    state::Board,
};

/// How often it is looked whether all is done, at the end.
const LOOK: Duration = Duration::from_millis(20);

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Users are registered.
    Registering {
        /// So many.
        done: usize,
        /// Of so many.
        of: usize,
    },
    /// Groups are made.
    Grouping {
        /// So many.
        done: usize,
        /// Of so many.
        of: usize,
    },
    /// The schedule runs, or what is left of it is waited for.
    Running {
        /// Since it began.
        elapsed: Duration,
        /// How long it is.
        of: Duration,
        /// Messages that were due.
        due: u64,
        /// Messages that the server accepted.
        sent: u64,
        /// Times that a member decrypted one.
        decrypted: u64,
        /// What went wrong.
        errors: u64,
    },
}

/// Runs a plan against a server. `metrics` is the address at which the server shows its metrics, as plain
/// HTTP, where it does. When `stop` completes, the schedule ends and the report says what was until then.
///
/// # Errors
/// What keeps the run from beginning; all later trouble stands in the report.
pub async fn run(
    plan: &Plan,
    server: &Registration,
    metrics: Option<&str>,
    stop: impl Future<Output = ()>,
    tell: impl Fn(Progress),
) -> Result<Report, LoadError> {
    plan.check()?;
    let mut stop = pin!(stop);
    let begun = Instant::now();
    let set_up = async {
        let before = asked(metrics).await?;
        let crowd = Crowd::register(plan, server, &tell).await?;
        let registering = begun.elapsed();
        let groups = crowd.make_groups(plan, &tell).await?;
        let grouping = begun.elapsed() - registering;
        Ok::<_, LoadError>((before, crowd, groups, registering, grouping))
    };
    let (before, crowd, groups, registering, grouping) = tokio::select! {
        set_up = set_up => set_up?,
        () = &mut stop => return Err(LoadError::Interrupted),
    };
    let mut run = Run::new(plan, &crowd, groups);
    let was_interrupted = run.keep_to_schedule(stop, &tell).await;
    let length = run.begun.elapsed();
    run.settle(&tell).await;
    let (counts, times, errors, on_their_way) = crowd.board.result();
    Ok(Report {
        server: server.server.clone(),
        users: plan.users,
        groups: plan.groups,
        size: plan.size,
        messages_per_second: plan.messages_per_second,
        churn_per_minute: plan.churn_per_minute,
        seed: plan.seed,
        registering_seconds: registering.as_secs_f64(),
        grouping_seconds: grouping.as_secs_f64(),
        seconds: counts.last.max(length).as_secs_f64(),
        was_interrupted,
        due: counts.due,
        sent: counts.sent,
        decrypted: counts.decrypted,
        missing: counts.missing,
        unanswered: counts.unanswered,
        joined: counts.joined,
        left: counts.left,
        on_their_way,
        commits: run.commits().await,
        times,
        errors,
        // A server that has gone away shows nothing any more, which is no reason to show no report.
        server_metrics: match before {
            Some(before) => asked(metrics)
                .await
                .ok()
                .flatten()
                .map(|after| differences(&before, &after)),
            None => None,
        },
    })
}

async fn asked(metrics: Option<&str>) -> Result<Option<Metrics>, LoadError> {
    match metrics {
        Some(url) => Ok(Some(fetch(url).await?)),
        None => Ok(None),
    }
}

struct Run<'a> {
    plan: &'a Plan,
    crowd: &'a Crowd,
    groups: Vec<GroupId>,
    begun: Instant,
    work: JoinSet<()>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, crowd: &'a Crowd, groups: Vec<GroupId>) -> Self {
        let begun = Instant::now();
        crowd.board.begin(plan, &groups, begun);
        Self {
            plan,
            crowd,
            groups,
            begun,
            work: JoinSet::new(),
        }
    }

    /// Begins all that is due when it is due; whether it was stopped early.
    async fn keep_to_schedule(
        &mut self,
        mut stop: impl Future<Output = ()> + Unpin,
        tell: &impl Fn(Progress),
    ) -> bool {
        let mut schedule = Schedule::new(self.plan);
        let mut next = schedule.next();
        let mut ticks = interval(TELL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let end = self.plan.ramp + self.plan.duration;
        loop {
            let due = self.begun + next.map_or(end, |act| act.due);
            tokio::select! {
                () = &mut stop => return true,
                () = sleep_until(due) => {
                    let Some(act) = next else { return false };
                    self.do_it(&act);
                    next = schedule.next();
                }
                _ = ticks.tick() => tell(self.progress()),
                Some(_) = self.work.join_next(), if !self.work.is_empty() => {}
            }
        }
    }

    /// Waits for what is still on its way, for a while.
    async fn settle(&mut self, tell: &impl Fn(Progress)) {
        let begun = Instant::now();
        let mut told = begun;
        while begun.elapsed() < SETTLE {
            while self.work.try_join_next().is_some() {}
            if self.work.is_empty() && self.crowd.board.is_settled() {
                return;
            }
            if told.elapsed() > TELL {
                tell(self.progress());
                told = Instant::now();
            }
            sleep(LOOK).await;
        }
    }

    fn do_it(&mut self, act: &Act) {
        let is_too_many = self.work.len() >= WAITING_MAX;
        let board = Arc::clone(&self.crowd.board);
        let group = self.groups[act.group];
        let client = |user: usize| self.crowd.clients[user].clone();
        match act.deed {
            Deed::Message => {
                if let Some(due) = board.message(act, is_too_many) {
                    let client = client(due.speaker);
                    self.work.spawn(async move {
                        match client.send(group, due.text()).await {
                            Ok(_) => board.sent(due),
                            Err(error) => board.not_sent(due, &error),
                        }
                    });
                }
            }
            Deed::Change => match board.change(act, is_too_many) {
                Some(Change::Join { user, asker }) => {
                    let clients = Arc::clone(&self.crowd.clients);
                    let join = Join {
                        board,
                        clients,
                        group,
                        number: act.group,
                        user,
                        lot: act.lot,
                    };
                    self.work.spawn(join.go(asker));
                }
                Some(Change::Leave { user }) => {
                    let place = (act.group, user);
                    self.work.spawn(leave(board, client(user), group, place));
                }
                None => {}
            },
        }
    }

    fn progress(&self) -> Progress {
        let counts = self.crowd.board.counts();
        Progress::Running {
            elapsed: self.begun.elapsed(),
            of: self.plan.ramp + self.plan.duration,
            due: counts.due,
            sent: counts.sent,
            decrypted: counts.decrypted,
            errors: counts.errors,
        }
    }

    /// How many Commits the groups have had since they were made, as their owners know. A group begins in
    /// epoch 0, and each Commit is an epoch (RFC 9420 §8).
    async fn commits(&self) -> u64 {
        let mut commits = 0;
        for (number, group) in self.groups.iter().enumerate() {
            if let Some(owner) = self.plan.founders(number).next()
                && let Ok((epoch, _)) = self.crowd.clients[owner].epoch(*group).await
            {
                commits += epoch;
            }
        }
        commits
    }
}

/// Somebody who is to come into a group.
struct Join {
    board: Arc<Board>,
    clients: Arc<[Client]>,
    group: GroupId,
    number: usize,
    user: usize,
    lot: u64,
}

impl Join {
    /// Has a member ask for it, which is done by whoever is online, and another one where nothing comes of it:
    /// whoever was asked may have left, or the newcomer have no KeyPackage at that moment.
    async fn go(self, asker: usize) {
        let wanted = [self.clients[self.user].user().clone()];
        let mut asker = Some(asker);
        for _ in 0..ASKS_MAX {
            let Some(member) = asker else { return };
            let asked = self.clients[member].ask_for(self.group, &wanted, &[]).await;
            if let Err(error) = asked {
                let (number, user) = (self.number, self.user);
                return self.board.not_changed(number, user, "join", &error);
            }
            let asked = Instant::now();
            while asked.elapsed() < ASK_AGAIN {
                sleep(LOOK).await;
                if !self.board.is_coming(self.number, self.user) {
                    return;
                }
            }
            asker = self.board.member(self.number, self.lot);
        }
    }
}

async fn leave(board: Arc<Board>, client: Client, group: GroupId, (number, user): (usize, usize)) {
    if let Err(error) = client.leave(group).await {
        board.not_changed(number, user, "leave", &error);
    }
}
