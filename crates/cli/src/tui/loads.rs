//! What is being read: of each thing one reading at a time, so that none overtakes another and what is
//! told last is true; and never the same twice in the queue.

use std::collections::{HashMap, VecDeque};

use conclave_client::GroupId;

use super::event::{Load, Span};

/// What is read one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Thing {
    History(GroupId),
    Other(Load),
}

/// What is being read, and what is to be read after it.
#[derive(Debug, Default)]
pub(super) struct Loads(HashMap<Thing, VecDeque<Load>>);

impl Loads {
    /// Whether to begin reading now; otherwise it is read later.
    pub(super) fn begins(&mut self, load: &Load) -> bool {
        let Some(queue) = self.0.get_mut(&thing(load)) else {
            self.0.insert(thing(load), VecDeque::new());
            return true;
        };
        // What is shown is read again as it is then.
        if is_again(load) {
            queue.retain(|waiting| !is_again(waiting));
        }
        if !queue.contains(load) {
            queue.push_back(load.clone());
        }
        false
    }

    /// What to read next, where something has been read.
    pub(super) fn ended(&mut self, load: &Load) -> Option<Load> {
        let thing = thing(load);
        let next = self.0.get_mut(&thing)?.pop_front();
        if next.is_none() {
            self.0.remove(&thing);
        }
        next
    }
}

fn thing(load: &Load) -> Thing {
    match load {
        Load::History(group, _) => Thing::History(*group),
        other => Thing::Other(other.clone()),
    }
}

fn is_again(load: &Load) -> bool {
    matches!(load, Load::History(_, Span::Again(..)))
}

#[cfg(test)]
mod tests {
    use conclave_client::Sequence;

    use super::*;
    use crate::tui::tests::group;

    #[test]
    fn however_often_something_is_wanted_it_is_read_once_and_once_more() {
        let mut loads = Loads::default();
        assert!(loads.begins(&Load::Groups));
        for _ in 0..100 {
            assert!(!loads.begins(&Load::Groups));
        }
        assert!(loads.begins(&Load::Files(String::new())));
        assert_eq!(loads.ended(&Load::Groups), Some(Load::Groups));
        assert_eq!(loads.ended(&Load::Groups), None);
        assert!(loads.begins(&Load::Groups));
    }

    #[test]
    fn parts_of_one_history_are_read_one_after_the_other() {
        let mut loads = Loads::default();
        let part = |span| Load::History(group(1), span);
        let (last, before) = (part(Span::Last), part(Span::Before(Sequence(9))));
        assert!(loads.begins(&last));
        assert!(!loads.begins(&part(Span::Again(Sequence(1), 5))));
        assert!(!loads.begins(&before));
        assert!(!loads.begins(&part(Span::Again(Sequence(1), 6))));
        assert!(loads.begins(&Load::History(group(2), Span::Last)));
        assert_eq!(loads.ended(&last), Some(before.clone()));
        let again = part(Span::Again(Sequence(1), 6));
        assert_eq!(loads.ended(&before), Some(again.clone()));
        assert_eq!(loads.ended(&again), None);
    }
}
