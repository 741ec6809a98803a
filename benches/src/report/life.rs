//! The lives that groups of one size lead, one implementation after the other, step by step.

use conclave_benches_life::{
    Allocated, DEEDS, Group, Life, MESSAGE_BYTES, MESSAGES_PER_BURST, RECEIVE, Row, SEND, timed,
};

use super::elsewhere::Elsewhere;
use crate::{bare::Bare, peers::Peer};

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

/// What nobody can be faster than.
const BARE: &str = "cryptography alone, AWS-LC";

pub(super) fn rows(
    size: u32,
    elsewhere: &Elsewhere,
    allocated: Allocated,
) -> anyhow::Result<Vec<Row>> {
    let mut lives: Vec<Box<dyn Life>> = Vec::new();
    for peer in Peer::ALL {
        lives.push(Box::new(Group::begin(Box::new(peer), size, allocated)?));
        if peer == Peer::Openmls {
            lives.push(Box::new(elsewhere.begin(size)?));
        }
    }
    for life in &mut lives {
        life.join()?;
    }
    // What can be done again is done in turns, so that whatever else goes on meets all alike.
    for _ in 0..tries(size) {
        for life in &mut lives {
            life.change()?;
        }
    }
    let mut bare = [SEND, RECEIVE].map(|what| Row::new(size, what, BARE, Vec::new()));
    for _ in 0..BURSTS {
        for life in &mut lives {
            life.messages()?;
        }
        without_protocol(&mut bare)?;
    }
    let mut rows = Vec::new();
    for life in lives {
        rows.extend(life.rows()?);
    }
    rows.extend(bare);
    // One implementation after the other within each deed.
    rows.sort_by_key(|row| DEEDS.iter().position(|what| *what == row.what));
    Ok(rows)
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
