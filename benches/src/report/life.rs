//! The life of a group that was made by adding everybody at once, as each implementation does it.

use super::{Allocated, Row, Time, timed};
use crate::{
    bare::Bare,
    peers::{Device, Invitation, MESSAGE_BYTES, Peer},
};

/// How many of the members that are added are real devices of their own, which then take part.
const READERS_MAX: u32 = 3;

/// How often each thing is done: seldom where it takes seconds.
fn tries(size: u32) -> usize {
    match size {
        0..=100 => 20,
        101..=1_000 => 10,
        _ => 3,
    }
}

/// How often somebody writes.
const BURSTS: usize = 10;

/// Messages that one writes before the next one does: who has just begun finds nothing of its own in the
/// processor's caches.
const MESSAGES_PER_BURST: usize = 20;

/// A group of one implementation, and what was measured of it.
struct Life {
    peer: Peer,
    size: u32,
    founder: Box<dyn Device>,
    readers: Vec<Box<dyn Device>>,
    invitation: Invitation,
    /// The leaf that is removed and filled next.
    guest: u32,
    rows: Vec<Row>,
}

pub(super) fn rows(size: u32, allocated: Allocated) -> anyhow::Result<Vec<Row>> {
    let mut lives = Vec::new();
    for peer in Peer::ALL {
        lives.push(Life::begin(peer, size)?);
    }
    for life in &mut lives {
        life.join(allocated)?;
    }
    // What can be done again is done in turns, so that whatever else goes on meets all alike.
    for _ in 0..tries(size) {
        for life in &mut lives {
            life.load()?;
            life.update()?;
            life.add_and_remove()?;
        }
    }
    let mut bare = [SEND, RECEIVE].map(|what| Row::new(size, what, BARE, Vec::new()));
    for _ in 0..BURSTS {
        for life in &mut lives {
            life.messages()?;
        }
        without_protocol(&mut bare)?;
    }
    let mut rows: Vec<Row> = lives.into_iter().flat_map(|life| life.rows).collect();
    rows.extend(bare);
    // One implementation after the other within each deed.
    rows.sort_by_key(|row| DEEDS.iter().position(|what| *what == row.what));
    Ok(rows)
}

/// What nobody can be faster than.
const BARE: &str = "cryptography alone, AWS-LC";

const CREATE: &str = "Create the group and add everybody";
const WELCOME: &str = "The Welcome of one who joins";
const JOIN: &str = "Join";
const LOAD: &str = "Load from storage";
const SEND: &str = "Send a message";
const RECEIVE: &str = "Receive a message";
const UPDATE: &str = "Renew one's keys";
const RECEIVE_COMMIT: &str = "Receive that Commit";
const ADD: &str = "Add one";
const REMOVE: &str = "Remove one";

/// In the order of the report.
const DEEDS: [&str; 10] = [
    CREATE,
    WELCOME,
    JOIN,
    LOAD,
    SEND,
    RECEIVE,
    UPDATE,
    RECEIVE_COMMIT,
    ADD,
    REMOVE,
];

impl Life {
    fn begin(peer: Peer, size: u32) -> anyhow::Result<Self> {
        let readers = READERS_MAX.min(size - 1);
        let mut packages = Vec::new();
        for number in 1..size - readers {
            packages.push(peer.device(number)?.key_package()?);
        }
        let mut real = Vec::new();
        for number in size - readers..size {
            let mut reader = peer.device(number)?;
            packages.push(reader.key_package()?);
            real.push(reader);
        }
        let mut founder = peer.device(0)?;
        let mut times = Vec::new();
        let invitation = timed(&mut times, || founder.create(packages))?;
        let mut life = Self {
            peer,
            size,
            founder,
            readers: real,
            invitation,
            guest: size,
            rows: Vec::new(),
        };
        let wire = life.invitation.commit_bytes + life.invitation.welcome_bytes;
        let written = life.founder.written();
        life.note(CREATE, times, Some(wire), Some(written));
        let slice = life.invitation.slice_bytes;
        life.note(WELCOME, Vec::new(), Some(slice), None);
        Ok(life)
    }

    fn join(&mut self, allocated: Allocated) -> anyhow::Result<()> {
        let (mut times, mut memory) = (Vec::new(), 0);
        for reader in &mut self.readers {
            reader.written();
            let before = allocated();
            timed(&mut times, || reader.join(&self.invitation))?;
            memory = allocated().saturating_sub(before);
        }
        let wire = self.invitation.slice_bytes + self.invitation.tree.len();
        let written = self.readers[0].written();
        self.note(JOIN, times, Some(wire), Some(written));
        if let Some(row) = self.rows.last_mut() {
            row.memory_bytes = Some(memory as u64);
        }
        Ok(())
    }

    fn load(&mut self) -> anyhow::Result<()> {
        let mut times = Vec::new();
        timed(&mut times, || self.readers[0].load())?;
        self.note(LOAD, times, None, None);
        Ok(())
    }

    /// Messages one after the other, and one more, not timed, for those that take long to say what they wrote.
    fn messages(&mut self) -> anyhow::Result<()> {
        for _ in 0..MESSAGES_PER_BURST {
            let (sending, receiving) = self.message()?;
            let counted = self.founder.counts_writes();
            let written = counted.then(|| (self.founder.written(), self.readers[0].written()));
            self.note(SEND, sending, None, written.map(|it| it.0));
            self.note(RECEIVE, receiving, None, written.map(|it| it.1));
        }
        if !self.founder.counts_writes() {
            self.founder.written();
            self.readers[0].written();
            self.message()?;
            let (sent, received) = (self.founder.written(), self.readers[0].written());
            self.note(SEND, Vec::new(), None, Some(sent));
            self.note(RECEIVE, Vec::new(), None, Some(received));
        }
        Ok(())
    }

    /// How long it took to send one, and to receive it.
    fn message(&mut self) -> anyhow::Result<(Vec<Time>, Vec<Time>)> {
        let (mut sending, mut receiving) = (Vec::new(), Vec::new());
        let content = [b'm'; MESSAGE_BYTES];
        let message = timed(&mut sending, || self.founder.send(&content))?;
        timed(&mut receiving, || self.readers[0].receive(&message))?;
        self.note(SEND, Vec::new(), Some(message.len()), None);
        Ok((sending, receiving))
    }

    fn update(&mut self) -> anyhow::Result<()> {
        let mut times = Vec::new();
        let commit = timed(&mut times, || self.founder.update())?;
        self.committed(UPDATE, times, &commit, commit.len())
    }

    /// Somebody comes and goes again.
    fn add_and_remove(&mut self) -> anyhow::Result<()> {
        let package = self.peer.device(self.guest)?.key_package()?;
        let mut times = Vec::new();
        let made = timed(&mut times, || self.founder.add(&package))?;
        let wire = made.commit.len() + made.welcome.len();
        self.committed(ADD, times, &made.commit, wire)?;
        let mut times = Vec::new();
        // The leaf that was free: none but this one ever goes.
        let commit = timed(&mut times, || self.founder.remove_last(self.size))?;
        self.guest += 1;
        self.committed(REMOVE, times, &commit, commit.len())
    }

    /// Notes what a Commit cost, and has everybody take it in.
    fn committed(
        &mut self,
        what: &'static str,
        times: Vec<Time>,
        commit: &[u8],
        wire: usize,
    ) -> anyhow::Result<()> {
        let written = self.founder.written();
        self.note(what, times, Some(wire), Some(written));
        let mut times = Vec::new();
        for reader in &mut self.readers {
            timed(&mut times, || reader.receive(commit))?;
        }
        let written = self.readers[0].written();
        if what == UPDATE {
            self.note(RECEIVE_COMMIT, times, None, Some(written));
        }
        Ok(())
    }

    /// Adds to what is known of a deed. Of bytes the most counts.
    fn note(
        &mut self,
        what: &'static str,
        times: Vec<Time>,
        wire: Option<usize>,
        written: Option<u64>,
    ) {
        let known = self.rows.iter().position(|row| row.what == what);
        let at = known.unwrap_or_else(|| {
            let row = Row::new(self.size, what, self.peer.name(), Vec::new());
            self.rows.push(row);
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.times.extend(times);
        row.wire_bytes = row.wire_bytes.max(wire.map(|bytes| bytes as u64));
        row.written_bytes.extend(written);
    }
}

/// A burst of signatures and seals.
fn without_protocol([sending, receiving]: &mut [Row; 2]) -> anyhow::Result<()> {
    let (bare, content) = (Bare::new()?, [b'm'; MESSAGE_BYTES]);
    for _ in 0..MESSAGES_PER_BURST {
        let message = timed(&mut sending.times, || bare.send(&content))?;
        timed(&mut receiving.times, || bare.receive(&message))?;
        sending.wire_bytes = Some(message.len() as u64);
    }
    Ok(())
}
