//! Application messages that come after their epoch has ended (RFC 9420 §15.1 leaves it to members for how
//! long they read them).

use std::collections::VecDeque;

use conclave_crypto::{CipherSuite, Secret};
use conclave_mls_public::{
    Error, PublicGroup,
    wire::{AuthenticatedContent, Bytes, ContentType, GroupContext, PrivateMessage, Sender},
};

use super::Group;
use crate::{
    EpochSecrets, MemberError, SecretTree, error::Result, limits::PAST_EPOCHS_MAX, private_message,
};

/// The last few epochs, the oldest first. None is kept unless asked for.
#[derive(Debug, Default)]
pub(super) struct PastEpochs {
    kept_max: usize,
    epochs: VecDeque<PastEpoch>,
}

/// What is needed of a former epoch to read its application messages.
#[derive(Debug)]
struct PastEpoch {
    suite: CipherSuite,
    public: PastPublic,
    sender_data: Secret,
    messages: SecretTree,
}

#[derive(Debug)]
struct PastPublic {
    context: GroupContext,
    /// Signature keys by leaf.
    signers: Vec<Option<Bytes>>,
}

/// An epoch that is about to end.
#[derive(Debug)]
pub(super) struct Former {
    epoch: u64,
    suite: CipherSuite,
    public: Option<PastPublic>,
}

impl Former {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Group {
    /// Says of how many epochs that have ended application messages are read from now on: none at first,
    /// at most [`PAST_EPOCHS_MAX`]. What is kept longer can be taken longer, so forward secrecy pays for
    /// it.
    pub fn keep_past_epochs(&mut self, count: usize) {
        let past = &mut self.past_epochs;
        past.kept_max = count.min(PAST_EPOCHS_MAX);
        past.trim();
    }

    pub(super) fn open_private_or_past(
        &mut self,
        message: &PrivateMessage,
    ) -> Result<AuthenticatedContent> {
        let context = self.public.context();
        let is_late = message.group_id == context.group_id && message.epoch < context.epoch;
        // Handshakes of an epoch mean nothing once it has ended.
        if is_late && message.content_type == ContentType::Application {
            return self.past_epochs.open(message);
        }
        self.open_private(message)
    }
}

impl PastEpochs {
    /// What has to be remembered of an epoch before the public state leaves it.
    pub(super) fn former(&self, public: &PublicGroup) -> Former {
        let signer = |leaf| {
            let leaf = public.tree().leaf(leaf);
            leaf.map(|leaf| leaf.signature_key.clone())
        };
        let leaves = 0..public.tree().size().leaves();
        Former {
            epoch: public.context().epoch,
            suite: public.suite(),
            public: (self.kept_max > 0).then(|| PastPublic {
                context: public.context().clone(),
                signers: leaves.map(signer).collect(),
            }),
        }
    }

    pub(super) fn keep(&mut self, former: Former, secrets: &EpochSecrets, messages: SecretTree) {
        let Some(public) = former.public else { return };
        self.epochs.push_back(PastEpoch {
            suite: former.suite,
            public,
            sender_data: secrets.sender_data().clone(),
            messages,
        });
        self.trim();
    }

    fn trim(&mut self) {
        let surplus = self.epochs.len().saturating_sub(self.kept_max);
        self.epochs.drain(..surplus);
    }

    fn open(&mut self, message: &PrivateMessage) -> Result<AuthenticatedContent> {
        let mut epochs = self.epochs.iter_mut();
        let epoch = epochs.find(|epoch| epoch.public.context.epoch == message.epoch);
        // RFC 9420 §6
        epoch.ok_or(Error::WrongEpoch)?.open(message)
    }
}

impl PastEpoch {
    fn open(&mut self, message: &PrivateMessage) -> Result<AuthenticatedContent> {
        let Self {
            suite,
            public,
            sender_data,
            messages,
        } = self;
        let verify = |content: &AuthenticatedContent| public.verify(*suite, content);
        private_message::open(*suite, message, sender_data, messages, verify)
    }
}

impl PastPublic {
    fn verify(&self, suite: CipherSuite, content: &AuthenticatedContent) -> Result<()> {
        // RFC 9420 §6.1: only members send application data.
        let Sender::Member(leaf) = content.content.sender else {
            return Err(Error::ProposalSender.into());
        };
        let key = self.signers.get(leaf as usize).cloned().flatten();
        let key = key.ok_or(MemberError::UnknownLeaf)?;
        Ok(content.verify(suite, &self.context, key.as_slice())?)
    }
}
