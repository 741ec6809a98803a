//! What was said before a device came: handed over by another device of the same user.

use conclave_protocol::{Attachment, AttachmentKey, GroupId};
use tokio::{sync::mpsc, task::spawn_blocking};
use zeroize::Zeroizing;

use crate::{
    AttachmentError, Client, ClientError, Event, Progress,
    attachment::{open_all, seal_bytes},
    entropy::{now, random},
};

/// How far the history of a group is on its way from one device to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryProgress {
    /// The group.
    pub group: GroupId,
    /// Whether this device hands it over; else it takes it.
    pub gives: bool,
    /// How much of it has been transferred.
    pub bytes: Progress,
}

impl Client {
    /// Has the device that showed this text, and that is [linked](Self::link), get what was said in
    /// this device's groups before it came: sealed so that no other device can read it. It is handed
    /// over at this device's next [`sync`](Self::sync) after that one has come into the group, and
    /// taken at that one's next.
    ///
    /// # Errors
    /// [`ClientError::LinkCode`].
    pub async fn give_history(&self, code: &str) -> Result<(), ClientError> {
        let code = code.to_owned();
        self.session(move |session| session.give_history(&code))
            .await
    }

    /// Like [`Self::sync`]; `progress` hears how far history is that is handed over or taken.
    ///
    /// # Errors
    /// Those of [`Self::sync`].
    pub async fn sync_history(
        &self,
        progress: impl Fn(HistoryProgress) + Send + Sync,
    ) -> Result<Vec<Event>, ClientError> {
        let _turn = self.inner.turn.lock().await;
        let mut events = self.sync_all().await?;
        events.extend(self.move_histories(progress).await?);
        Ok(events)
    }

    /// Hands over and takes what is due. What can't be done now is done later.
    pub(crate) async fn move_histories(
        &self,
        progress: impl Fn(HistoryProgress) + Send + Sync,
    ) -> Result<Vec<Event>, ClientError> {
        let heirs = self.session(|session| session.heirs()).await?;
        for heir in heirs {
            let group = heir.group;
            let packed = self.session(move |session| session.pack_past(group, now()));
            let tell = |bytes| {
                progress(HistoryProgress {
                    group,
                    gives: true,
                    bytes,
                });
            };
            let Ok(parcel) = self.store(group, packed.await?, &tell).await else {
                continue;
            };
            self.session(move |session| session.offer_past(&heir, parcel))
                .await?;
            self.send_what_waits(group).await;
        }
        let mut events = Vec::new();
        for (group, parcel) in self.session(|session| session.parcels()).await? {
            let tell = |bytes| {
                progress(HistoryProgress {
                    group,
                    gives: false,
                    bytes,
                });
            };
            match self.fetch(group, &parcel, tell).await {
                Ok(bytes) => {
                    let lines = self
                        .session(move |session| session.unpack_past(group, &bytes))
                        .await?;
                    events.push(Event::HistoryCame { group, lines });
                }
                Err(ClientError::Attachment(_)) => {
                    self.session(move |session| session.forget_parcel(group))
                        .await?;
                }
                Err(_) => {}
            }
        }
        Ok(events)
    }

    async fn store(
        &self,
        group: GroupId,
        bytes: Zeroizing<Vec<u8>>,
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<Attachment, ClientError> {
        let (key, home) = (AttachmentKey::from_bytes(random()), self.home().to_owned());
        let sealing_key = key.clone();
        let sealed = spawn_blocking(move || seal_bytes(&bytes, &home, &sealing_key));
        let sealed = sealed.await.map_err(|_| ClientError::ShuttingDown)??;
        let remote = &self.inner.remote;
        let kept_until = remote.upload_blob(group, &sealed, progress).await?;
        Ok(Attachment {
            key,
            content_hash: sealed.content_hash,
            size_bytes: sealed.size_bytes,
            name: "history".to_owned(),
            media_type: String::new(),
            kept_until,
        })
    }

    async fn fetch(
        &self,
        group: GroupId,
        parcel: &Attachment,
        progress: impl Fn(Progress),
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let (parts, receiver) = mpsc::channel(4);
        let expected = parcel.clone();
        let reader = spawn_blocking(move || open_all(receiver, &expected));
        let remote = &self.inner.remote;
        let fetched = remote
            .download_blob(group, &parcel.content_hash, &parts, progress)
            .await;
        drop(parts);
        let opened = reader.await.map_err(|_| ClientError::ShuttingDown)?;
        match fetched {
            Err(_) if parcel.kept_until <= now() => Err(AttachmentError::Gone.into()),
            Err(error) => Err(error),
            Ok(()) => Ok(opened?),
        }
    }
}
