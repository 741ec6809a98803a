//! Adding many users at once.

use std::collections::BTreeSet;

use conclave_protocol::{GroupId, UserId};

use crate::{Client, ClientError};

/// How far adding many users is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkProgress {
    /// Users who were tried.
    pub done: usize,
    /// Users who are to be.
    pub total: usize,
}

/// What came of adding many users.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct BulkAdded {
    /// Who is in the group now, and was not.
    pub added: Vec<UserId>,
    /// Who was there before.
    pub present: Vec<UserId>,
    /// Who could not be added, and why.
    pub failed: Vec<(UserId, ClientError)>,
}

impl Client {
    /// Creates a group with many users in it, whose owner this user is. Where it is cut off, the group is
    /// there, and the rest are added later; see [`Self::add_many`].
    ///
    /// # Errors
    /// Those of [`Self::create_group`] and [`Self::add_many`].
    pub async fn create_group_with(
        &self,
        name: &str,
        users: &[UserId],
        progress: impl Fn(BulkProgress),
    ) -> Result<(GroupId, BulkAdded), ClientError> {
        let group = self.create_group(name).await?;
        Ok((group, self.add_many(group, users, progress).await?))
    }

    /// Adds many users, with all their devices, in Commits of a bounded size. Who can't be added does
    /// not spoil it for the others. `progress` hears how far it is.
    ///
    /// ```no_run
    /// # use conclave_client::{Client, ClientError, GroupId};
    /// # async fn example(client: Client, club: GroupId, list: &str) -> Result<(), ClientError> {
    /// let users = list.lines().map(|line| client.user_named(line));
    /// let users: Vec<_> = users.collect::<Result<_, _>>()?;
    /// let came = client.add_many(club, &users, |it| println!("{} of {}", it.done, it.total));
    /// for (user, why) in came.await?.failed {
    ///     println!("{user}: {why}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Forbidden`] and those of [`Self::send`]. What keeps single users out stands in
    /// the answer. With [`ClientError::Unreachable`], those who are left are kept and added later.
    pub async fn add_many(
        &self,
        group: GroupId,
        users: &[UserId],
        progress: impl Fn(BulkProgress),
    ) -> Result<BulkAdded, ClientError> {
        let before = self.users(group).await?;
        let wanted: BTreeSet<UserId> = users.iter().cloned().collect();
        let mut came = BulkAdded {
            present: wanted.intersection(&before).cloned().collect(),
            ..BulkAdded::default()
        };
        let missing: Vec<UserId> = wanted.difference(&before).cloned().collect();
        let (mut done, total) = (0, missing.len());
        let asked = missing.clone();
        let parts = self.session(move |session| session.add_many(group, &asked));
        for (intent, count) in parts.await? {
            match self.settle(group, &[intent]).await {
                // Why a part was given up shows where its users are tried one by one.
                Ok(_) | Err(ClientError::GivenUp(_)) => {}
                Err(error) => return Err(error),
            }
            done += count;
            progress(BulkProgress { done, total });
        }
        let after = self.users(group).await?;
        for user in missing {
            if after.contains(&user) {
                came.added.push(user);
                continue;
            }
            match self.add(group, std::slice::from_ref(&user)).await {
                Ok(_) => came.added.push(user),
                Err(error) => came.failed.push((user, error)),
            }
        }
        self.say_the_rest(group).await;
        self.keep_pictures().await?;
        Ok(came)
    }

    async fn users(&self, group: GroupId) -> Result<BTreeSet<UserId>, ClientError> {
        let members = self.members(group).await?;
        Ok(members.into_iter().map(|member| member.user).collect())
    }
}
