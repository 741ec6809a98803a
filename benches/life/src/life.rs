//! The life of a group that was made by adding everybody at once, as each implementation does it.

use crate::{
    Allocated, Device, Invitation, MESSAGE_BYTES, MESSAGES_PER_BURST, Peer, Row, Time, timed,
};

/// How many of the members that are added are real devices of their own, which then take part.
const READERS_MAX: u32 = 3;

/// A life, wherever it is led: step by step, so that several of them can take turns.
pub trait Life {
    /// Those who take part join.
    ///
    /// # Errors
    /// Those of the implementation, as everywhere here.
    fn join(&mut self) -> anyhow::Result<()>;

    /// One loads the group; another renews its keys, adds somebody and removes him again, and the others take it in.
    ///
    /// # Errors
    /// Those of the implementation.
    fn change(&mut self) -> anyhow::Result<()>;

    /// A burst of messages.
    ///
    /// # Errors
    /// Those of the implementation.
    fn messages(&mut self) -> anyhow::Result<()>;

    /// What was measured in all its steps.
    ///
    /// # Errors
    /// If it can't be had.
    fn rows(self: Box<Self>) -> anyhow::Result<Vec<Row>>;
}

/// A group of one implementation, and what was measured of it.
pub struct Group {
    peer: Box<dyn Peer>,
    size: u32,
    founder: Box<dyn Device>,
    readers: Vec<Box<dyn Device>>,
    invitation: Invitation,
    /// The leaf that is removed and filled next.
    guest: u32,
    allocated: Allocated,
    rows: Vec<Row>,
}

const CREATE: &str = "Create the group and add everybody";
const WELCOME: &str = "The Welcome of one who joins";
const JOIN: &str = "Join";
const LOAD: &str = "Load from storage";
/// Somebody writes.
pub const SEND: &str = "Send a message";
/// Somebody reads it.
pub const RECEIVE: &str = "Receive a message";
const UPDATE: &str = "Renew one's keys";
const RECEIVE_COMMIT: &str = "Receive that Commit";
const ADD: &str = "Add one";
const REMOVE: &str = "Remove one";

/// All that is done, in the order of the report.
pub const DEEDS: [&str; 10] = [
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

impl Group {
    /// Makes it, with everybody in it.
    ///
    /// # Errors
    /// Those of the implementation.
    pub fn begin(peer: Box<dyn Peer>, size: u32, allocated: Allocated) -> anyhow::Result<Self> {
        let readers = READERS_MAX.min(size - 1);
        let mut packages = Vec::new();
        for number in 1..size - readers {
            packages.push(peer.stranger(number)?);
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
            allocated,
            rows: Vec::new(),
        };
        let wire = life.invitation.commit_bytes + life.invitation.welcome_bytes;
        let written = life.founder.written();
        life.note(CREATE, times, Some(wire), Some(written));
        let slice = life.invitation.slice_bytes;
        life.note(WELCOME, Vec::new(), Some(slice), None);
        Ok(life)
    }

    fn load(&mut self) -> anyhow::Result<()> {
        let mut times = Vec::new();
        timed(&mut times, || self.readers[0].load())?;
        self.note(LOAD, times, None, None);
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
        let package = self.peer.stranger(self.guest)?;
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

impl Life for Group {
    fn join(&mut self) -> anyhow::Result<()> {
        let (mut times, mut memory) = (Vec::new(), 0);
        for reader in &mut self.readers {
            reader.written();
            let before = (self.allocated)();
            timed(&mut times, || reader.join(&self.invitation))?;
            memory = (self.allocated)().saturating_sub(before);
        }
        let wire = self.invitation.slice_bytes + self.invitation.tree.len();
        let written = self.readers[0].written();
        self.note(JOIN, times, Some(wire), Some(written));
        if let Some(row) = self.rows.last_mut() {
            row.memory_bytes = Some(memory as u64);
        }
        Ok(())
    }

    fn change(&mut self) -> anyhow::Result<()> {
        self.load()?;
        self.update()?;
        self.add_and_remove()
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

    fn rows(self: Box<Self>) -> anyhow::Result<Vec<Row>> {
        Ok(self.rows)
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Group(..)")
    }
}
