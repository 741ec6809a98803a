//! The devices of a user, for an application: linking another one, listing and revoking them.

use conclave_protocol::DeviceId;

use crate::{
    Client, ClientError, Home, Recovery, RecoveryPhrase, Registration,
    client::server_name,
    entropy::{now, seed},
    session::{Database, Session},
};

impl Client {
    /// Makes, in a new home, the keys of another device of a user who has one, and gives the text to
    /// show to that one; the same text where it was begun before.
    ///
    /// # Errors
    /// [`ClientError::AlreadyRegistered`], [`ClientError::Database`].
    pub fn begin_link(home: impl Into<Home>) -> Result<String, ClientError> {
        Session::begin_link(&Database::create(home)?, &seed())
    }

    /// Certifies the device that showed this text, and gives the text to show to it. Once that one
    /// has registered, this one adds it to its groups at the next [`sync`](Self::sync), or while
    /// [`events`](Self::events) are followed.
    ///
    /// # Errors
    /// [`ClientError::LinkCode`], [`ClientError::NoIdentityKey`], [`ClientError::DeviceList`].
    pub async fn link(&self, code: &str) -> Result<String, ClientError> {
        let code = code.to_owned();
        let answer = self.session(move |session| session.link(&code, now()));
        let answer = answer.await?;
        self.publish_now().await?;
        Ok(answer)
    }

    /// Like [`Self::link`], and hands the user's identity key over to that device, sealed so that no
    /// other can read it. It can then link and revoke devices too. Whoever gets hold of such a device
    /// can be the user for good: revoking it does not take the key back.
    ///
    /// # Errors
    /// Those of [`Self::link`].
    pub async fn link_with_identity(&self, code: &str) -> Result<String, ClientError> {
        let code = code.to_owned();
        let answer = self.session(move |session| session.link_with_identity(&code, now()));
        let answer = answer.await?;
        self.publish_now().await?;
        Ok(answer)
    }

    /// The user's identity key as words to be written down, for [`Self::recover`].
    ///
    /// # Errors
    /// [`ClientError::NoIdentityKey`].
    pub async fn recovery_phrase(&self) -> Result<RecoveryPhrase, ClientError> {
        self.session(|session| session.recovery_phrase()).await
    }

    /// Makes, in a new home, a device that takes the place of lost ones. It comes into the user's
    /// groups at the next [`sync`](Self::sync), or while [`events`](Self::events) are followed, and
    /// reads what is said from then on. The other devices are revoked after that, where this is
    /// wanted. What was cut off is taken up again by the same call.
    ///
    /// # Errors
    /// [`ClientError::OtherPhrase`] where the name belongs to another identity key, and those of
    /// [`Self::register_with`].
    pub async fn recover(
        home: impl Into<Home>,
        registration: &Registration,
        recovery: &Recovery,
    ) -> Result<Self, ClientError> {
        let home = home.into();
        let server_name = server_name(&home, &recovery.name, registration).await?;
        let database = Database::create(&home)?;
        let session = Session::recover(
            database,
            registration,
            &server_name,
            recovery,
            &seed(),
            now(),
        )?;
        let client = Self::new(home.folder(), session)?;
        match client.introduced(registration.code.is_some()).await {
            Err(ClientError::NameTaken(name)) => Err(ClientError::OtherPhrase(name)),
            introduced => introduced,
        }
    }

    /// Registers the device that [`Self::begin_link`] began, with what the other one showed.
    ///
    /// # Errors
    /// [`ClientError::LinkCode`], [`ClientError::AlreadyRegistered`], and those of
    /// [`Self::register_with`].
    pub async fn finish_link(
        home: impl Into<Home>,
        registration: &Registration,
        answer: &str,
    ) -> Result<Self, ClientError> {
        let home = home.into();
        let database = Database::open(&home)?;
        let session = Session::finish_link(database, registration, answer, &seed())?;
        Self::new(home.folder(), session)?
            .introduced(registration.code.is_some())
            .await
    }

    /// This user's devices, as this one knows them.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn devices(&self) -> Result<Vec<DeviceId>, ClientError> {
        self.session(Session::devices).await
    }

    /// Revokes another device of this user, for good: the service deletes it, nobody lets it in
    /// again, and it is removed from the groups of this device.
    ///
    /// # Errors
    /// [`ClientError::UnknownDevice`], [`ClientError::NoIdentityKey`].
    pub async fn revoke(&self, device: DeviceId) -> Result<(), ClientError> {
        self.session(move |session| session.revoke(device)).await?;
        self.publish_now().await
    }

    /// Has the service know of changed devices; where it is away, it will at the next sync.
    async fn publish_now(&self) -> Result<(), ClientError> {
        let _turn = self.inner.turn.lock().await;
        match self.go_on().await {
            Ok(_) | Err(ClientError::Unreachable { .. } | ClientError::RateLimited(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
