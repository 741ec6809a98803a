//! Reading, as far as membership reaches.

use conclave_protocol::{DeviceId, Epoch, GroupId, Sequence};

use super::Groups;
use crate::{
    access::Access,
    error::Refusal,
    limits::WORDS_PER_PAGE_MAX,
    store::{Entry, Page, TreePart},
};

/// A page of a log.
#[derive(Debug)]
pub(crate) struct LogPage {
    /// What is in it.
    pub(crate) entries: Vec<Entry>,
    /// Whether the reader is a member.
    pub(crate) is_member: bool,
    /// The last entry that the reader may read.
    pub(crate) readable: Sequence,
    /// The group's epoch, as far as the reader may know it.
    pub(crate) epoch: Epoch,
    /// Devices that were deleted and whose leaf a member has to remove: in a member's last page.
    pub(crate) departed: Vec<DeviceId>,
}

impl Groups {
    /// Reads a page of what a device may read after a cursor.
    pub(crate) fn read(
        &self,
        group: GroupId,
        device: DeviceId,
        after: Sequence,
        entries: usize,
        bytes: usize,
    ) -> Result<LogPage, Refusal> {
        let access = self.access(group, device)?;
        let page = access.next_span(after).map(|span| Page {
            after: span.after,
            up_to: span.up_to,
            entries,
            bytes,
        });
        let entries = page.map(|page| self.read_kept(group, page)).transpose()?;
        let mut entries = entries.unwrap_or_default();
        self.sign_together(group, &mut entries);
        let last = entries.last().map_or(after, |entry| entry.sequence);
        let departed = if access.is_member() && last >= access.readable() {
            self.store.going(group)?.departed
        } else {
            Vec::new()
        };
        Ok(LogPage {
            entries,
            departed,
            is_member: access.is_member(),
            readable: access.readable(),
            epoch: self.visible_epoch(group, &access)?,
        })
    }

    /// What members said of Commits up to a cursor, wherever the reader's own stay began: who has just
    /// joined finds out that the group goes on as another. Reports and votes hold nothing that was said
    /// in the group.
    pub(crate) fn words(
        &self,
        group: GroupId,
        device: DeviceId,
        up_to: Sequence,
    ) -> Result<Vec<Entry>, Refusal> {
        if !self.access(group, device)?.is_member() {
            return Ok(Vec::new());
        }
        Ok(self.store.words(group, up_to, WORDS_PER_PAGE_MAX)?)
    }

    /// Reads entries, of which the first has to be there still: a log has no gaps.
    pub(super) fn read_kept(&self, group: GroupId, page: Page) -> Result<Vec<Entry>, Refusal> {
        let entries = self.store.read_log(group, page)?;
        let first = entries.first().map(|entry| entry.sequence);
        if first == Some(page.after.next()) {
            return Ok(entries);
        }
        Err(Refusal::TooLate {
            first_kept: first.unwrap_or(page.up_to.next()),
        })
    }

    /// The epoch of the tree with this SHA-256.
    pub(crate) fn tree_epoch(&self, group: GroupId, tree_hash: &[u8]) -> Result<Epoch, Refusal> {
        let epoch = self.store.tree_epoch(group, tree_hash)?;
        epoch.ok_or(Refusal::NotFound("no such tree is kept"))
    }

    /// A part of the tree of an epoch that somebody joined, for who may read that epoch; `None`
    /// past its end.
    pub(crate) fn tree_part(
        &self,
        group: GroupId,
        device: DeviceId,
        epoch: Epoch,
        part: u32,
    ) -> Result<Option<TreePart>, Refusal> {
        let access = self.access(group, device)?;
        let found = self.store.tree_part(group, epoch, part)?;
        if found
            .as_ref()
            .is_some_and(|part| !access.covers(part.sequence))
        {
            return Err(Refusal::NotMember);
        }
        Ok(found)
    }

    /// The epoch that the group is in, as far as a device may know: for one that was removed, the
    /// epoch that began without it.
    fn visible_epoch(&self, group: GroupId, access: &Access) -> Result<Epoch, Refusal> {
        if access.is_member() {
            return Ok(access.head().epoch);
        }
        let last = Page {
            after: Sequence(access.readable().0.saturating_sub(1)),
            up_to: access.readable(),
            entries: 1,
            bytes: 0,
        };
        let last = self.store.read_log(group, last)?;
        Ok(last
            .first()
            .map(|entry| entry.epoch.next())
            .unwrap_or_default())
    }

    /// What a device may read of a group.
    pub(super) fn access(&self, group: GroupId, device: DeviceId) -> Result<Access, Refusal> {
        let found = self.store.access(group, device)?;
        let (head, ranges) = found.ok_or(Refusal::UnknownGroup)?;
        Access::new(head, ranges).ok_or(Refusal::NotMember)
    }
}
