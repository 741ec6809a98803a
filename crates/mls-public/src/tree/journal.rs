use std::collections::BTreeMap;

use super::RatchetTree;
use crate::{
    math::{NodeIndex, TreeSize},
    wire::Node,
};

/// What a change of the tree amounts to: the rest is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The size after it. Nodes beyond it are gone.
    pub size: TreeSize,
    /// The nodes that differ, with what they are now.
    pub nodes: Vec<(NodeIndex, Option<Node>)>,
}

/// What was overwritten since a change began.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    size: TreeSize,
    before: BTreeMap<NodeIndex, Option<Node>>,
}

impl Journal {
    pub(super) fn remember(&mut self, index: NodeIndex, node: Option<Node>) {
        if self.size.contains(index) {
            self.before.entry(index).or_insert(node);
        } else {
            self.before.entry(index).or_insert(None);
        }
    }
}

impl RatchetTree {
    /// From here on the tree remembers what it overwrites. A change that was begun and not kept is
    /// undone first.
    pub fn begin(&mut self) {
        self.roll_back();
        self.journal = Some(Journal {
            size: self.size,
            before: BTreeMap::new(),
        });
    }

    /// Makes everything since [`begin`](Self::begin) final, and says what it was.
    pub fn keep(&mut self) -> Changes {
        let before = self.journal.take().map(|journal| journal.before);
        let changed = before.unwrap_or_default().into_iter();
        let nodes = changed
            .filter(|(index, _)| self.size.contains(*index))
            .map(|(index, before)| (index, before, self.node(index).cloned()))
            .filter(|(_, before, after)| before != after)
            .map(|(index, _, after)| (index, after))
            .collect();
        Changes {
            size: self.size,
            nodes,
        }
    }

    /// Undoes everything since [`begin`](Self::begin).
    pub fn roll_back(&mut self) {
        let Some(Journal { size, before }) = self.journal.take() else {
            return;
        };
        if self.size < size {
            self.resize(size);
        }
        for (index, node) in before {
            self.set(index, node);
        }
        self.resize(size);
    }
}
