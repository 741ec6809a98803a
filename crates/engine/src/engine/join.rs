//! Joining a group from a Welcome.

use conclave_protocol::{
    GroupId,
    limits::{RATCHET_TREE_BYTES_MAX, WELCOME_BYTES_MAX},
};
use openmls::prelude::{
    LeafNodeIndex, MlsGroup, MlsMessageBodyIn, MlsMessageIn, RatchetTreeIn, StagedWelcome, Welcome,
    WelcomeError, tls_codec::DeserializeBytes as _,
};

use super::{Engine, Provider, epoch_of, make_room};
use crate::{
    Effects, EngineError, JoinedGroup, Member, State,
    certificates::{self, Roster},
    loaded::Lease,
    profile,
    storage::StorageError,
    vetting::{Vetted, Vetting},
};

impl Engine {
    /// Joins a group from a Welcome, with the tree of the epoch that the Welcome is for.
    ///
    /// Every leaf's certificate is checked, but not whether it is still valid: members stay who
    /// they are when their certificates run out. A group of the same id from which this device was
    /// removed is replaced.
    ///
    /// # Errors
    /// [`EngineError::GroupExists`], [`NotForThisDevice`](EngineError::NotForThisDevice), and
    /// whatever is wrong with the Welcome, the tree or the group's rules.
    pub fn join(
        &self,
        state: &dyn State,
        welcome: &[u8],
        ratchet_tree: &[u8],
    ) -> Result<Effects<JoinedGroup>, EngineError> {
        let welcome = parse_welcome(welcome)?;
        let ratchet_tree = parse_tree(ratchet_tree)?;
        self.transact(state, |provider| {
            let Staged {
                welcome,
                vetted,
                lease,
            } = stage(provider, welcome, ratchet_tree)?;
            let sender = welcome.welcome_sender_index();
            // What this writes is dropped where a check below fails.
            let group = welcome.into_group(provider).map_err(refused)?;
            let joined = inspect(provider, &group, sender, &vetted)?;
            vetted.keep(provider)?;
            provider.keep_made(joined.group, group, lease);
            Ok(joined)
        })
    }
}

/// A group that OpenMLS would join, and what is known of its members' certificates.
struct Staged {
    welcome: StagedWelcome,
    vetted: Vetted,
    lease: Option<Lease>,
}

fn stage(
    provider: &Provider<'_>,
    welcome: Welcome,
    ratchet_tree: RatchetTreeIn,
) -> Result<Staged, EngineError> {
    let builder = StagedWelcome::build_from_welcome(provider, &profile::join_config(), welcome)
        .map_err(refused)?;
    // Before the tree is looked at, so that a group of later rules is named as that. The signature
    // over the context is verified with the tree.
    let context = builder
        .processed_welcome()
        .unverified_group_info()
        .group_context();
    profile::check_group_context(context)?;
    let group = group_id(context.group_id().as_slice())?;
    make_room(provider, group)?;
    let lease = provider.begin_lease(group)?;
    let vetting = Vetting::of(provider, &ratchet_tree)?;
    let builder = builder
        .with_ratchet_tree(ratchet_tree)
        .skip_lifetime_validation();
    let (welcome, vetted) = vetting.beside(|| builder.build().map_err(refused));
    Ok(Staged {
        welcome: welcome?,
        vetted,
        lease,
    })
}

/// Checks what OpenMLS leaves to the application, and says what was joined.
fn inspect(
    provider: &Provider<'_>,
    group: &MlsGroup,
    sender: LeafNodeIndex,
    vetted: &Vetted,
) -> Result<JoinedGroup, EngineError> {
    let mut devices = Roster::default();
    let mut roster = Vec::new();
    for (leaf_index, leaf) in group.treesync().full_leaves() {
        let certificate = vetted.verify_leaf(provider, leaf)?;
        devices.admit(&certificate)?;
        roster.push(Member::from((leaf_index, certificate)));
    }
    Ok(JoinedGroup {
        group: group_id(group.group_id().as_slice())?,
        epoch: epoch_of(group),
        added_by: certificates::member(group, sender)?.address().clone(),
        roster,
    })
}

fn parse_welcome(bytes: &[u8]) -> Result<Welcome, EngineError> {
    if bytes.len() > WELCOME_BYTES_MAX {
        return Err(EngineError::TooLarge);
    }
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes);
    match message.map(MlsMessageIn::extract) {
        Ok(MlsMessageBodyIn::Welcome(welcome)) => Ok(welcome),
        _ => Err(EngineError::Malformed),
    }
}

pub(super) fn parse_tree(bytes: &[u8]) -> Result<RatchetTreeIn, EngineError> {
    if bytes.len() > RATCHET_TREE_BYTES_MAX {
        return Err(EngineError::TooLarge);
    }
    RatchetTreeIn::tls_deserialize_exact_bytes(bytes).map_err(|_| EngineError::Malformed)
}

fn group_id(bytes: &[u8]) -> Result<GroupId, EngineError> {
    GroupId::try_from(bytes).map_err(|_| EngineError::Malformed)
}

fn refused(error: WelcomeError<StorageError>) -> EngineError {
    match error {
        WelcomeError::NoMatchingKeyPackage
        | WelcomeError::JoinerSecretNotFound
        | WelcomeError::PrivateInitKeyNotFound => EngineError::NotForThisDevice,
        WelcomeError::UnableToDecrypt | WelcomeError::GroupSecrets(_) => EngineError::Undecryptable,
        error => EngineError::invalid(error),
    }
}
