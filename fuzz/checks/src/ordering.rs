use arbitrary::{Arbitrary, Unstructured};
use conclave_simulator::{Deed, Fault, Network, Plan, Scenario, Step, Trace, What, run};

/// Clients of the world; all but the first join by being added.
const CLIENTS: usize = 4;

/// Things that happen in one world: each costs requests of several clients.
const STEPS_MAX: usize = 16;

/// When the group stands, and the rest begins.
const BEGINNING_MILLIS: u64 = 5_000;

/// Something that happens, so many quarters of a second after what came before.
#[derive(Debug, Arbitrary)]
struct Wish {
    wait: u8,
    client: u8,
    other: u8,
    what: Kind,
}

#[derive(Debug, Arbitrary)]
enum Kind {
    Add,
    Remove,
    Update,
    Leave,
    Send,
    Crash,
    Restart,
    Partition,
}

/// Clients of one group over a network that loses and doubles, and the delivery service with its ordering
/// and its follower, as they are; a witness looks at each step and holds it against what it has seen:
/// one Commit an epoch, nothing acknowledged lost, everybody in one epoch at the end.
pub fn ordering(input: &[u8]) {
    let mut source = Unstructured::new(input);
    let Ok((seed, lost, doubled)) = source.arbitrary::<(u16, u8, u8)>() else {
        return;
    };
    let mut steps = beginning();
    let mut at_millis = BEGINNING_MILLIS;
    while steps.len() < STEPS_MAX && !source.is_empty() {
        let Ok(wish) = source.arbitrary::<Wish>() else {
            break;
        };
        at_millis += u64::from(wish.wait) * 250;
        steps.push(Step {
            at_millis,
            what: wish.what(),
        });
    }
    let plan = Plan {
        seed: seed.into(),
        steps,
    };
    let scenario = Scenario {
        clients: CLIENTS,
        groups: 1,
        members: CLIENTS,
        network: Network {
            lost: u32::from(lost) / 8,
            doubled: u32::from(doubled) / 8,
            ..Network::default()
        },
        ..Scenario::default()
    };
    if let Err(failure) = run(&plan, &scenario, None, &mut Trace::default()) {
        panic!("{failure}: {plan:?}");
    }
}

fn beginning() -> Vec<Step> {
    let others = (1..CLIENTS).collect();
    vec![
        Step::deed(2_000, 0, Deed::Create(0)),
        Step::deed(2_500, 0, Deed::Add(0, others)),
    ]
}

impl Wish {
    fn what(&self) -> What {
        let client = usize::from(self.client) % CLIENTS;
        let other = usize::from(self.other) % CLIENTS;
        // The truth about a group is what its creator knows, who therefore stays.
        let not_the_creator = |client: usize| client.max(1);
        let millis = u64::from(self.other) * 100;
        match self.what {
            Kind::Add => What::Deed(client, Deed::Add(0, vec![other])),
            Kind::Remove => What::Deed(client, Deed::Remove(0, not_the_creator(other))),
            Kind::Update => What::Deed(client, Deed::Update(0)),
            Kind::Leave => What::Deed(not_the_creator(client), Deed::Leave(0)),
            Kind::Send => What::Deed(client, Deed::Send(0)),
            Kind::Crash => What::Fault(Fault::Crash(client, millis)),
            Kind::Restart => What::Fault(Fault::Restart),
            Kind::Partition => What::Fault(Fault::Partition(vec![client], millis)),
        }
    }
}
