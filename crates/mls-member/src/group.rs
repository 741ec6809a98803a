//! A group as one of its members sees it: the public state, and the secrets that go with it.

mod commit;
mod create;
mod external;
mod follow;
mod info;
mod join;
mod past;
mod psks;
mod successor;

use std::collections::BTreeMap;

use conclave_crypto::{CipherSuite, Hash, HpkeKeyPair, Random, Secret, SigningKey};
use conclave_mls_public::{
    Effects, Error, PublicGroup,
    wire::{
        AuthenticatedContent, Content, FramedContent, GroupContext, LeafNode, LeafNodeSource,
        MlsMessage, PrivateMessage, Proposal, PublicMessage, ReInit, Sender, WireFormat,
    },
};

pub use commit::{CommitForm, Committed, PathRule, PendingCommit};
pub use external::ExternalJoin;
pub use join::Invitee;
use past::{Former, PastEpochs};
use psks::{KnownPsks, find_psks};
pub use successor::{Founded, Founder};

use crate::{
    EncryptionSecret, EpochSecrets, MemberError, MemberSecret, PrivateTree, PskStore, SecretTree,
    error::Result, limits::RESUMPTION_EPOCHS_MAX, private_message,
};

/// A member's state in one epoch.
#[derive(Debug)]
pub struct Group {
    public: PublicGroup,
    keys: PrivateTree,
    secrets: EpochSecrets,
    messages: SecretTree,
    /// Key pairs of this member's Update proposals of this epoch, by their public key.
    updates: BTreeMap<Vec<u8>, HpkeKeyPair>,
    /// Resumption PSKs of former epochs (RFC 9420 §8.6).
    past: BTreeMap<u64, Secret>,
    /// Former epochs whose application messages are still read.
    past_epochs: PastEpochs,
    standing: Standing,
    handshakes: Handshakes,
}

/// How a member sends its Proposals and Commits. What others send is read either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handshakes {
    /// In PublicMessages, which a delivery service can follow.
    #[default]
    Public,
    /// In PrivateMessages, with this many zero bytes at the end.
    Private {
        /// Bytes of padding.
        padding: usize,
    },
}

impl Handshakes {
    fn wire_format(self) -> WireFormat {
        match self {
            Self::Public => WireFormat::PublicMessage,
            Self::Private { .. } => WireFormat::PrivateMessage,
        }
    }
}

/// Whether a member can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Member,
    Removed,
    Reinitialized(Box<ReInit>),
}

/// What a message turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Application data, from the member at this leaf.
    Application {
        /// The sender's leaf.
        sender: u32,
        /// The application's bytes.
        data: Vec<u8>,
        /// Bytes that travelled in clear.
        authenticated_data: Vec<u8>,
    },
    /// A Proposal, which waits for a Commit under this reference.
    Proposal(Vec<u8>),
    /// A Commit: the group is in its next epoch, in which these changes hold.
    Commit(Effects),
    /// A Commit that removed this member, which can't go on.
    Removed,
}

/// The secrets of an epoch that is about to begin.
#[derive(Debug)]
struct NextEpoch {
    secrets: EpochSecrets,
    encryption: EncryptionSecret,
}

impl Group {
    /// The group's suite.
    pub fn suite(&self) -> CipherSuite {
        self.public.suite()
    }

    /// What everybody may know of this epoch.
    pub fn public(&self) -> &PublicGroup {
        &self.public
    }

    /// This epoch's secrets.
    pub fn secrets(&self) -> &EpochSecrets {
        &self.secrets
    }

    /// This member's leaf.
    pub fn leaf(&self) -> u32 {
        self.keys.leaf()
    }

    /// How many secrets this epoch's message keys take now.
    pub fn message_secrets_held(&self) -> usize {
        self.messages.held()
    }

    /// Says how this member sends Proposals and Commits from now on; at first they are public.
    pub fn set_handshakes(&mut self, handshakes: Handshakes) {
        self.handshakes = handshakes;
    }

    /// Takes in a message that somebody else sent in this epoch.
    ///
    /// # Errors
    /// The clause that does not hold. The group is as it was then, but for the key of a PrivateMessage
    /// whose sender really sent it: that is used up.
    pub fn receive(&mut self, message: MlsMessage, psks: &dyn PskStore) -> Result<Received> {
        self.check_standing()?;
        let content = match message {
            MlsMessage::PublicMessage(message) => self.open_public(message)?,
            MlsMessage::PrivateMessage(message) => self.open_private_or_past(&message)?,
            _ => return Err(Error::WireFormat.into()),
        };
        match &content.content.content {
            Content::Application(data) => Ok(Received::Application {
                sender: self.sender(&content)?,
                data: data.as_slice().to_vec(),
                authenticated_data: content.content.authenticated_data.as_slice().to_vec(),
            }),
            Content::Proposal(_) => Ok(Received::Proposal(self.public.receive(&content)?)),
            Content::Commit(_) => self.follow(&content, psks),
        }
    }

    /// Encrypts application data, with `padding` zero bytes at the end. `authenticated_data` travels in
    /// clear.
    ///
    /// # Errors
    /// [`MemberError::ProposalsPending`] while proposals wait for a Commit; what
    /// [`private_message::seal`] gives.
    pub fn encrypt(
        &mut self,
        data: &[u8],
        authenticated_data: &[u8],
        padding: usize,
        key: &SigningKey,
        random: &mut dyn Random,
    ) -> Result<PrivateMessage> {
        self.check_standing()?;
        // RFC 9420 §12.4: proposals are committed before anything else is said.
        if self.public.proposals().next().is_some() {
            return Err(MemberError::ProposalsPending);
        }
        let mut content = self.frame(Content::Application(data.into()));
        content.authenticated_data = authenticated_data.into();
        let format = WireFormat::PrivateMessage;
        let signed = AuthenticatedContent::sign(format, content, self.public.context(), key)?;
        let (suite, secret) = (self.suite(), self.secrets.sender_data());
        private_message::seal(suite, &signed, padding, secret, &mut self.messages, random)
    }

    /// Proposes something, and remembers it for the Commit.
    ///
    /// # Errors
    /// The clause that the proposal breaks.
    pub fn propose(
        &mut self,
        proposal: Proposal,
        key: &SigningKey,
        random: &mut dyn Random,
    ) -> Result<MlsMessage> {
        self.check_standing()?;
        let content = self.frame(Content::Proposal(Box::new(proposal)));
        let format = self.handshakes.wire_format();
        let signed = AuthenticatedContent::sign(format, content, self.public.context(), key)?;
        let message = self.protect(signed.clone(), random)?;
        self.public.receive(&signed)?;
        Ok(message)
    }

    /// Wraps a handshake as it was signed for.
    fn protect(
        &mut self,
        signed: AuthenticatedContent,
        random: &mut dyn Random,
    ) -> Result<MlsMessage> {
        let suite = self.suite();
        Ok(match self.handshakes {
            Handshakes::Public => {
                let membership_key = self.secrets.membership_key().as_bytes();
                let context = self.public.context();
                let message = PublicMessage::protect(suite, signed, context, membership_key)?;
                MlsMessage::PublicMessage(message)
            }
            Handshakes::Private { padding } => {
                let (secret, messages) = (self.secrets.sender_data(), &mut self.messages);
                let message =
                    private_message::seal(suite, &signed, padding, secret, messages, random)?;
                MlsMessage::PrivateMessage(message)
            }
        })
    }

    /// Proposes a fresh key for this member's leaf (RFC 9420 §12.1.2).
    ///
    /// # Errors
    /// As [`propose`](Self::propose).
    pub fn propose_update(
        &mut self,
        key: &SigningKey,
        random: &mut dyn Random,
    ) -> Result<MlsMessage> {
        let pair = self.suite().generate_key_pair(random)?;
        let mut leaf = self.own_leaf()?.clone();
        leaf.encryption_key = pair.public().into();
        leaf.leaf_node_source = LeafNodeSource::Update;
        let group_id = self.public.context().group_id.as_slice();
        leaf.sign(key, Some((group_id, self.leaf())))?;
        let message = self.propose(Proposal::Update(Box::new(leaf)), key, random)?;
        self.updates.insert(pair.public().to_vec(), pair);
        Ok(message)
    }

    fn own_leaf(&self) -> Result<&LeafNode> {
        self.public
            .tree()
            .leaf(self.leaf())
            .ok_or(MemberError::UnknownLeaf)
    }

    fn check_standing(&self) -> Result<()> {
        match &self.standing {
            Standing::Member => Ok(()),
            Standing::Removed => Err(MemberError::Removed),
            // RFC 9420 §12.1.5: nothing follows a ReInit.
            Standing::Reinitialized(_) => Err(MemberError::Reinitialized),
        }
    }

    fn frame(&self, content: Content) -> FramedContent {
        let context = self.public.context();
        FramedContent {
            group_id: context.group_id.clone(),
            epoch: context.epoch,
            sender: Sender::Member(self.leaf()),
            authenticated_data: Vec::new().into(),
            content,
        }
    }

    fn open_public(&self, message: PublicMessage) -> Result<AuthenticatedContent> {
        let context = self.public.context();
        check_place(
            context,
            message.content.group_id.as_slice(),
            message.content.epoch,
        )?;
        let membership_key = self.secrets.membership_key().as_bytes();
        message.verify_membership(self.suite(), context, membership_key)?;
        Ok(self.public.open(message)?)
    }

    fn open_private(&mut self, message: &PrivateMessage) -> Result<AuthenticatedContent> {
        let Self {
            public,
            secrets,
            messages,
            ..
        } = self;
        check_place(public.context(), message.group_id.as_slice(), message.epoch)?;
        private_message::open(
            public.suite(),
            message,
            secrets.sender_data(),
            messages,
            |content| Ok(public.verify(content)?),
        )
    }

    fn sender(&self, content: &AuthenticatedContent) -> Result<u32> {
        match content.content.sender {
            Sender::Member(leaf) if leaf == self.leaf() => Err(MemberError::OwnMessage),
            Sender::Member(leaf) => Ok(leaf),
            // RFC 9420 §6.1: only members send application data.
            _ => Err(Error::ProposalSender.into()),
        }
    }

    /// Begins the epoch that the public state is in already.
    fn begin(&mut self, former: Former, keys: PrivateTree, next: NextEpoch) {
        let secrets = std::mem::replace(&mut self.secrets, next.secrets);
        self.past
            .insert(former.epoch(), secrets.resumption_psk().clone());
        if self.past.len() > RESUMPTION_EPOCHS_MAX {
            self.past.pop_first();
        }
        let size = self.public.tree().size();
        let messages = SecretTree::new(self.suite(), size, next.encryption);
        let messages = std::mem::replace(&mut self.messages, messages);
        self.past_epochs.keep(former, &secrets, messages);
        self.keys = keys;
        self.updates.clear();
    }

    /// Whether the group goes on after the Commit that began this epoch (RFC 9420 §12.1.5).
    fn end_if(&mut self, reinit: Option<ReInit>) {
        if let Some(reinit) = reinit {
            self.standing = Standing::Reinitialized(Box::new(reinit));
        }
    }
}

impl NextEpoch {
    fn derive(member: &MemberSecret, context: &GroupContext) -> Result<Self> {
        let context = conclave_mls_public::wire::encode(context)?;
        let (secrets, encryption) = member.epoch(&context)?;
        Ok(Self {
            secrets,
            encryption,
        })
    }

    /// The tag by which members know that they have the same secrets (RFC 9420 §6.1).
    fn tag(&self, suite: CipherSuite, context: &GroupContext) -> Hash {
        let key = self.secrets.confirmation_key().as_bytes();
        suite.mac(key, context.confirmed_transcript_hash.as_slice())
    }

    /// Checks that whoever made the epoch has the same secrets (RFC 9420 §6.1).
    fn confirm(&self, suite: CipherSuite, context: &GroupContext, tag: &[u8]) -> Result<()> {
        let key = self.secrets.confirmation_key().as_bytes();
        suite
            .verify_mac(key, context.confirmed_transcript_hash.as_slice(), tag)
            .map_err(|_| MemberError::ConfirmationTag)
    }
}

fn check_place(context: &GroupContext, group_id: &[u8], epoch: u64) -> Result<()> {
    // RFC 9420 §6
    if group_id != context.group_id.as_slice() {
        return Err(Error::WrongGroup.into());
    }
    if epoch != context.epoch {
        return Err(Error::WrongEpoch.into());
    }
    Ok(())
}
