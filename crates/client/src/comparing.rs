//! What people compare, to see that nobody stands between them, and what follows from it.

use conclave_protocol::{GroupId, UserId};

use crate::{Client, ClientError, session::Session};

impl Client {
    /// What this user and another compare, in person or by telephone, to see that nobody stands
    /// between them: 60 digits that both see alike.
    ///
    /// # Errors
    /// [`ClientError::UnknownUser`] for one whom this device has not met in a group.
    pub async fn safety_number(&self, user: &UserId) -> Result<String, ClientError> {
        let user = user.clone();
        self.session(move |session| session.safety_number(&user))
            .await
    }

    /// The users who appeared under another identity key than the one that counts on this device:
    /// they, or somebody in their place, may have registered anew. Nothing is encrypted to them.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn changed_identities(&self) -> Result<Vec<UserId>, ClientError> {
        self.session(Session::changed_identities).await
    }

    /// What this user and another compare who appeared under another identity key since; `None`
    /// where there is no other.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn new_safety_number(&self, user: &UserId) -> Result<Option<String>, ClientError> {
        let user = user.clone();
        self.session(move |session| session.new_safety_number(&user))
            .await
    }

    /// Has a user's other identity key count from now on, where the digits are those of
    /// [`Self::new_safety_number`], which a person has compared. What stands in groups under the key
    /// before is removed from there.
    ///
    /// # Errors
    /// [`ClientError::IdentityUnchanged`], [`ClientError::OtherDigits`].
    pub async fn accept_identity(&self, user: &UserId, digits: &str) -> Result<(), ClientError> {
        let (user, digits) = (user.clone(), digits.to_owned());
        self.session(move |session| session.accept_identity(&user, &digits))
            .await
    }

    /// Notes that a person has compared these digits with a user: they have to be those of
    /// [`Self::safety_number`]. It is noted on this device, for its person to see; everything goes
    /// on as before.
    ///
    /// # Errors
    /// [`ClientError::OtherDigits`], [`ClientError::UnknownUser`].
    pub async fn note_compared(&self, user: &UserId, digits: &str) -> Result<(), ClientError> {
        let (user, digits) = (user.clone(), digits.to_owned());
        self.session(move |session| session.note_compared(&user, &digits))
            .await
    }

    /// The users whose digits a person has compared on this device, and whose key is the same still.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn compared_identities(&self) -> Result<Vec<UserId>, ClientError> {
        self.session(Session::compared_identities).await
    }

    /// What the members of a group compare to see that they are in it with the same devices: 60
    /// digits that all see alike.
    ///
    /// # Errors
    /// [`ClientError::NotMember`] for a group that ended.
    pub async fn roster_fingerprint(&self, group: GroupId) -> Result<String, ClientError> {
        self.session(move |session| session.roster_fingerprint(group))
            .await
    }
}
