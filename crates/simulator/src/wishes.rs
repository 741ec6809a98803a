//! What clients want, and what becomes of it.

use conclave_client::{
    ClientError, GroupId, Permissions, Role, UserId,
    session::{IntentId, Session},
};

use crate::{
    Deed, Violation,
    world::{World, broken},
};

/// Something that a client wanted, and what became of it.
pub(crate) struct Wanted {
    pub(crate) client: usize,
    pub(crate) group: usize,
    pub(crate) intent: IntentId,
    pub(crate) text: Option<String>,
    pub(crate) outcome: Option<Result<u64, String>>,
}

impl World<'_> {
    /// A client wants something, where it can.
    pub(crate) fn want(
        &mut self,
        client: usize,
        deed: &Deed,
        index: usize,
    ) -> Result<(), Violation> {
        let now = self.now();
        let users = |clients: &[usize]| -> Vec<_> {
            let machines = &self.machines;
            clients
                .iter()
                .map(|it| machines[*it].user.clone())
                .collect()
        };
        let text = format!("c{client}#{index}");
        let (number, others) = match deed {
            Deed::Add(group, clients) => (*group, users(clients)),
            Deed::Remove(group, other) | Deed::Promote(group, other, _) => {
                (*group, users(&[*other]))
            }
            Deed::Create(group)
            | Deed::Update(group)
            | Deed::Spoil(group)
            | Deed::Leave(group)
            | Deed::Restrict(group, _)
            | Deed::Send(group) => (*group, Vec::new()),
        };
        let group = self.groups[number];
        let group = group.map(|group| self.lineage(client, group)).transpose()?;
        let group = group.and_then(|lineage| lineage.last().copied());
        let Some(session) = self.machines[client].session() else {
            return Ok(());
        };
        let wanted = match (deed, group) {
            (Deed::Create(_), None) => {
                session
                    .create_group(&format!("g{number}"), now)
                    .map(|(group, intent)| {
                        self.groups[number] = Some(group);
                        self.witness.group(group, number);
                        vec![intent]
                    })
            }
            (Deed::Create(_), Some(_)) | (_, None) => return Ok(()),
            (_, Some(group)) => ask(session, group, deed, &others, &text),
        };
        match wanted {
            Ok(intents) => {
                let text = matches!(deed, Deed::Send(_)).then_some(text);
                if let (Deed::Spoil(_), Some(group)) = (deed, group) {
                    self.spoilers.insert((client, group));
                }
                self.wanted.extend(intents.into_iter().map(|intent| Wanted {
                    client,
                    group: number,
                    intent,
                    text: text.clone(),
                    outcome: None,
                }));
                self.wake_at(client, self.millis);
                Ok(())
            }
            Err(error @ (ClientError::Database(_) | ClientError::Engine(_))) => {
                Err(broken(client, &error))
            }
            Err(refused) => {
                self.trace
                    .tell(self.millis, || format!("  it can't: {refused}"));
                Ok(())
            }
        }
    }

    /// A group and those that it goes on as, as far as a client knows.
    pub(crate) fn lineage(
        &mut self,
        client: usize,
        group: GroupId,
    ) -> Result<Vec<GroupId>, Violation> {
        let mut lineage = vec![group];
        while let Some(session) = self.machines[client].session()
            && let Some(last) = lineage.last()
            && let Some(known) = session.group(*last).map_err(|it| broken(client, &it))?
            && let Some(successor) = known.successor
            && !lineage.contains(&successor)
        {
            lineage.push(successor);
        }
        Ok(lineage)
    }

    /// Keeps how what a client wanted has ended: a client forgets it some time after.
    pub(crate) fn note_outcomes(&mut self, client: usize) -> Result<(), Violation> {
        let Some(session) = self.machines[client].session() else {
            return Ok(());
        };
        let open = |wanted: &&mut Wanted| wanted.client == client && wanted.outcome.is_none();
        for wanted in self.wanted.iter_mut().filter(open) {
            let outcome = session.outcome(wanted.intent);
            let outcome = outcome.map_err(|error| broken(client, &error))?;
            wanted.outcome = outcome.map(|it| it.map(|receipt| receipt.sequence.0));
        }
        Ok(())
    }
}

/// Everybody may speak all the same: what was said is what the world is judged by.
fn permissions(is_strict: bool) -> Permissions {
    let least = if is_strict { Role::Admin } else { Role::Member };
    Permissions {
        add: least,
        remove: least,
        describe: least,
        send: Role::Member,
    }
}

/// What a client wants of a group that is there.
fn ask(
    session: &mut Session,
    group: GroupId,
    deed: &Deed,
    others: &[UserId],
    text: &str,
) -> Result<Vec<IntentId>, ClientError> {
    let one = match deed {
        Deed::Add(..) => return session.add(group, others),
        Deed::Remove(..) => session.remove(group, others),
        Deed::Promote(_, _, is_admin) => {
            let role = if *is_admin { Role::Admin } else { Role::Member };
            session.set_role(group, &others[0], role)
        }
        Deed::Restrict(_, is_strict) => session.set_permissions(group, permissions(*is_strict)),
        Deed::Leave(_) => session.leave(group),
        Deed::Send(_) => session.send(group, text),
        Deed::Create(_) | Deed::Update(_) | Deed::Spoil(_) => session.update(group),
    };
    one.map(|it| vec![it])
}
