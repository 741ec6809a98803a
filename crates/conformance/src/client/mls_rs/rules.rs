use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use mls_rs::{
    MlsRules,
    group::{GroupContext, Roster},
    mls_rules::{CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle},
};

use crate::client::{Form, Handshakes};

/// How the next Commits and Proposals look; everything that RFC 9420 allows is allowed.
#[derive(Clone, Default)]
pub(super) struct Rules(Arc<Mutex<Asked>>);

#[derive(Clone, Copy, Default)]
struct Asked {
    form: Form,
    handshakes: Handshakes,
}

impl Rules {
    pub(super) fn set_form(&self, form: Form) {
        self.change(|asked| asked.form = form);
    }

    pub(super) fn set_handshakes(&self, handshakes: Handshakes) {
        self.change(|asked| asked.handshakes = handshakes);
    }

    fn change(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn asked(&self) -> Asked {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MlsRules for Rules {
    type Error = Infallible;

    fn filter_proposals(
        &self,
        _: CommitDirection,
        _: CommitSource,
        _: &Roster<'_>,
        _: &GroupContext,
        proposals: ProposalBundle,
    ) -> Result<ProposalBundle, Infallible> {
        Ok(proposals)
    }

    fn commit_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
        _: &ProposalBundle,
    ) -> Result<CommitOptions, Infallible> {
        let form = self.asked().form;
        Ok(CommitOptions::new()
            .with_path_required(form.path)
            .with_ratchet_tree_extension(form.tree))
    }

    fn encryption_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
    ) -> Result<EncryptionOptions, Infallible> {
        let mut options = EncryptionOptions::default();
        options.encrypt_control_messages = self.asked().handshakes == Handshakes::Private;
        Ok(options)
    }
}
