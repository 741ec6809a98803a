//! Reports of messages, and what moderators make of them. Everything here blocks.
//!
//! What counts follows from the audit log alone: a [`Book`] in memory has read it, and reads what came since before
//! anything is written behind it. A report is verified in full before it is kept, so whatever a moderator is shown
//! was sent.

mod act;
mod appointing;
mod ledger;
mod reports;

use std::sync::{Arc, RwLockReadGuard};

use conclave_protocol::{DeviceAddress, DeviceId, ReportId, UnixMillis, UserId};
use conclave_safety::{
    About, Actor, Book, Category, Chained, Context, Decision, Entry, Refused, Role,
};
use serde::{Deserialize, Serialize};

use crate::{
    edge::Rates,
    error::Refusal,
    hub::{Hub, Topic},
    limits::AUDIT_PAGE,
    stamping::Stamper,
    store::{Asked, Notice, ReportRow, Store},
};

pub(crate) use act::{Deed, measure};
pub(crate) use appointing::appoint_chiefs;
pub use appointing::appoint_moderator;
use ledger::{Ledger, Told};
pub(crate) use reports::{Listed, malformed};

/// Takes reports, and decides on them.
pub(crate) struct Moderation {
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    rates: Arc<Rates>,
    stamper: Arc<Stamper>,
    server_name: String,
    ledger: Ledger,
}

impl Moderation {
    /// Moderation of the server with this name; what moderators did before is read when it is first needed.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        hub: Arc<Hub>,
        rates: Arc<Rates>,
        (stamper, server_name): (Arc<Stamper>, String),
    ) -> Self {
        Self {
            store,
            hub,
            rates,
            stamper,
            server_name,
            ledger: Ledger::default(),
        }
    }

    /// Holds that nobody has suspended whoever wants to reach others.
    pub(crate) fn check_may_reach(&self, device: DeviceId, now: UnixMillis) -> Result<(), Refusal> {
        self.standing_of(device, now).map(drop)
    }

    /// Holds that somebody may send a message, and counts it where they may send few.
    pub(crate) fn check_may_send(&self, device: DeviceId, now: UnixMillis) -> Result<(), Refusal> {
        match self.standing_of(device, now)? {
            Some(slowed) => self.rates.slowed_message_of(&slowed),
            None => Ok(()),
        }
    }

    /// The user, where somebody was slowed down.
    fn standing_of(&self, device: DeviceId, now: UnixMillis) -> Result<Option<UserId>, Refusal> {
        self.ledger.open(&*self.store)?;
        // Nearly always, nobody is anything but in good standing.
        if !self.book().has_measures(now) {
            return Ok(None);
        }
        let who = self.address_of(device)?;
        let standing = self.book().standing(&who, now);
        match standing.suspended {
            Some(active) => Err(Refusal::Suspended(active)),
            None => Ok(standing.slowed.map(|_| who.user)),
        }
    }

    /// What was decided about the user of a device.
    pub(crate) fn decisions_about(&self, device: DeviceId) -> Result<Vec<Decision>, Refusal> {
        let user = self.address_of(device)?.user;
        let book = self.caught_up()?;
        Ok(book.decisions_about(&user).cloned().collect())
    }

    /// A page of the audit log, for moderators.
    pub(crate) fn audit(&self, device: DeviceId, after: u64) -> Result<Vec<Chained>, Refusal> {
        self.require(device, Role::Viewer)?;
        Ok(self.store.audit(after, AUDIT_PAGE)?)
    }

    fn require(&self, device: DeviceId, role: Role) -> Result<Actor, Refusal> {
        let actor = Actor::User(self.address_of(device)?.user);
        self.caught_up()?.require(&actor, role)?;
        Ok(actor)
    }

    fn address_of(&self, device: DeviceId) -> Result<DeviceAddress, Refusal> {
        let user = self.stamper.user_of(device, || {
            let found = self.store.device(device)?;
            let found = found.ok_or(Refusal::Unauthenticated("the device is not registered"))?;
            Ok::<_, Refusal>(found.address.user)
        })?;
        Ok(DeviceAddress { user, device })
    }

    fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.ledger.book()
    }

    fn caught_up(&self) -> Result<RwLockReadGuard<'_, Book>, Refusal> {
        self.ledger.catch_up(&*self.store)?;
        Ok(self.book())
    }

    /// Writes what somebody does, where the log allows it, and tells whom it is about.
    fn write(
        &self,
        asked: Option<Asked>,
        propose: impl Fn(&Book) -> Result<Entry, Refused>,
    ) -> Result<u64, Refusal> {
        let written = self.ledger.write(&*self.store, asked, propose, notice_of);
        let (number, told) = written?;
        for device in told {
            self.hub.hint(Topic::Mailbox(device));
        }
        Ok(number)
    }
}

/// Whom an entry is to be told, and in what words.
fn notice_of(book: &Book, entry: &Entry) -> Option<Told> {
    let decision = act::decision_after(book, entry)?;
    let measure = act::encoded(&decision);
    let target = decision.measure.target;
    let notice = Notice::Measure {
        decision: decision.number,
        measure,
    };
    Some((target.user, target.device, notice))
}

/// What lists show of a report, as it is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Summary {
    category: Category,
    reporter: String,
    accused: Vec<(String, [u8; 16])>,
    reported: u32,
    context: Context,
}

impl Summary {
    fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it is without a form in MessagePack.
        rmp_serde::to_vec(self).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        rmp_serde::from_slice(bytes).map_err(|_| Refusal::Internal("a stored report is unreadable"))
    }

    fn of(row: &ReportRow) -> Result<Self, Refusal> {
        Self::from_bytes(&row.summary)
    }

    /// What bears on a decision.
    fn about(&self, report: ReportId) -> Result<About, Refusal> {
        let unreadable = |_| Refusal::Internal("a stored report is unreadable");
        let accused = self.accused.iter().map(|(user, device)| {
            Ok(DeviceAddress {
                user: user.parse().map_err(unreadable)?,
                device: DeviceId::from_bytes(*device),
            })
        });
        Ok(About {
            report,
            reporter: self.reporter.parse().map_err(unreadable)?,
            accused: accused.collect::<Result<_, Refusal>>()?,
        })
    }
}
