//! Following a Commit (RFC 9420 §12.4.2).

use conclave_crypto::Secret;
use conclave_mls_public::{
    Error, Staged,
    wire::{AuthenticatedContent, Content, Sender, UpdatePath, encode},
};

use super::{Group, KnownPsks, Received, Standing, commit::Derived};
use crate::{MemberError, PrivateTree, PskStore, error::Result};

impl Group {
    /// Goes into the epoch that somebody else's Commit begins. If it can't, nothing has changed.
    pub(super) fn follow(
        &mut self,
        content: &AuthenticatedContent,
        psks: &dyn PskStore,
    ) -> Result<Received> {
        let Content::Commit(commit) = &content.content.content else {
            return Err(Error::ContentType.into());
        };
        let (suite, own) = (self.suite(), self.leaf());
        if content.content.sender == Sender::Member(own) {
            return Err(MemberError::OwnMessage);
        }
        let former = self.past_epochs.former(&self.public);
        let mut keys = self.keys.clone();
        let known = KnownPsks {
            context: self.public.context().clone(),
            secrets: &self.secrets,
            past: &self.past,
            others: psks,
        };
        let staged = self.public.stage(content)?;
        let effects = staged.effects().clone();
        if effects.removed.contains(&own) {
            staged.accept();
            self.standing = Standing::Removed;
            return Ok(Received::Removed);
        }
        keys.adopt(staged.tree(), &self.updates);
        keys.retain(staged.tree());
        let commit_secret = commit_secret(&mut keys, &staged, commit.path.as_ref())?;
        let init = match &effects.external_init {
            Some(kem_output) => &self.secrets.external_init(kem_output)?,
            None => self.secrets.init(),
        };
        let psk_secret = known.secret(suite, &effects.psks)?;
        let next = Derived::from_commit(&staged, init, &commit_secret, &psk_secret)?.next;
        // RFC 9420 §12.4.2
        next.confirm(
            suite,
            staged.context(),
            staged.confirmation_tag().as_slice(),
        )?;
        staged.accept();
        self.begin(former, keys, next);
        self.end_if(effects.reinit.clone());
        Ok(Received::Commit(effects))
    }
}

/// RFC 9420 §12.4.2: zero without a path.
fn commit_secret(
    keys: &mut PrivateTree,
    staged: &Staged<'_>,
    path: Option<&UpdatePath>,
) -> Result<Secret> {
    let tree = staged.tree();
    let Some(path) = path else {
        return Ok(Secret::zero(tree.suite().hash_len()));
    };
    let mut added = staged.effects().added.clone();
    added.sort_unstable();
    keys.open(
        tree,
        staged.sender(),
        path,
        &added,
        &encode(staged.provisional())?,
    )
}
