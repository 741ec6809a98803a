//! What was said before a device came, handed over by another device of the same user.

use conclave_protocol::{Attachment, GroupId, UnixMillis};
use zeroize::Zeroizing;

use super::{Index, Session};
use crate::{ClientError, linking::Request, local::Heir};

impl Session {
    /// Has the device that showed this text get what was said in this device's groups.
    ///
    /// # Errors
    /// [`ClientError::LinkCode`].
    pub fn give_history(&mut self, code: &str) -> Result<(), ClientError> {
        let request = Request::from_text(code)?;
        self.local.write(|tx| tx.name_heir(&request))
    }

    pub(crate) fn heirs(&mut self) -> Result<Vec<Heir>, ClientError> {
        self.local.read(|tx| tx.heirs())
    }

    pub(crate) fn pack_past(
        &mut self,
        group: GroupId,
        now: UnixMillis,
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        self.local.read(|tx| tx.pack_past(group, now))
    }

    pub(crate) fn offer_past(
        &mut self,
        heir: &Heir,
        parcel: Attachment,
    ) -> Result<(), ClientError> {
        self.local.write(|tx| tx.offer_past(heir, parcel))?;
        if let Some(progress) = self.groups.get_mut(&heir.group) {
            progress.outbox.set();
        }
        Ok(())
    }

    pub(crate) fn parcels(&mut self) -> Result<Vec<(GroupId, Attachment)>, ClientError> {
        self.local.read(|tx| tx.parcels())
    }

    pub(crate) fn unpack_past(
        &mut self,
        group: GroupId,
        bytes: &[u8],
    ) -> Result<usize, ClientError> {
        let lines = self.local.write(|tx| tx.unpack_past(group, bytes))?;
        // It was made in the order of the log.
        self.index = Index::default();
        Ok(lines)
    }

    pub(crate) fn forget_parcel(&mut self, group: GroupId) -> Result<(), ClientError> {
        self.local.write(|tx| tx.forget_parcel(group))
    }
}
