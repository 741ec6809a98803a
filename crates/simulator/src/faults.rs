//! What breaks, and how it heals.

use conclave_client::session::Hint;

use crate::{
    Fault, Network, Violation,
    world::{Happening, World, broken},
};

/// How long the longest crash at a step of its own lasts, in milliseconds.
const STUMBLE_MILLIS: u64 = 3_000;

/// When everybody connects anew after the network has healed, in milliseconds.
const AFTER_HEALING_MILLIS: [u64; 3] = [0, 30_000, 90_000];

impl World<'_> {
    pub(crate) fn break_down(&mut self, fault: &Fault) -> Result<(), Violation> {
        match fault {
            Fault::Crash(client, millis) => self.crash(*client, *millis),
            Fault::Restart => {
                self.service.restart();
                self.service_life += 1;
                Ok(())
            }
            Fault::Partition(clients, millis) => {
                for client in clients {
                    self.cut_until[*client] = self.millis + millis;
                }
                Ok(())
            }
            Fault::Restore(client, millis) => {
                self.crash(*client, 0)?;
                let before = self.millis.saturating_sub(*millis);
                self.machines[*client].restore_disk(before);
                Ok(())
            }
        }
    }

    fn crash(&mut self, client: usize, down_millis: u64) -> Result<(), Violation> {
        self.note_outcomes(client)?;
        let millis = self.millis;
        let machine = &mut self.machines[client];
        machine.crash();
        machine
            .copy_disk(millis)
            .map_err(|error| broken(client, &error))?;
        self.report.crashes += 1;
        self.plan_in(down_millis, Happening::Start(client));
        Ok(())
    }

    pub(crate) fn start(&mut self, client: usize) -> Result<(), Violation> {
        let started = self.machines[client].start();
        started.map_err(|error| broken(client, &error))?;
        self.wake_at(client, self.millis);
        Ok(())
    }

    pub(crate) fn heal(&mut self) -> Result<(), Violation> {
        self.is_healed = true;
        self.network = Network::healed();
        self.cut_until.fill(0);
        for client in 0..self.machines.len() {
            self.start(client)?;
            for wait in AFTER_HEALING_MILLIS {
                self.plan_in(wait, Happening::Hint(client, Hint::Connected));
            }
        }
        Ok(())
    }

    /// A process crashes now and then at a step of its own.
    pub(crate) fn stumble(&mut self, client: usize) -> Result<(), Violation> {
        let dice = &mut self.machines[client].dice;
        let stumbles = dice.below(1_000_000) < self.scenario.crashes_per_million_steps as usize;
        let down = dice.next() % STUMBLE_MILLIS;
        if stumbles && !self.is_healed {
            self.trace
                .tell(self.millis, || format!("c{client} crashes"));
            return self.crash(client, down);
        }
        Ok(())
    }
}
