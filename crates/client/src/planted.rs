//! Bugs that a simulation plants in a client, to see that its witness finds them. Only where the
//! feature `planted-bugs` is on, and only where a session is told to.

/// What a session does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// It forgets that it has used a generation of its ratchet (RFC 9420 §9.1), and uses it again.
    GenerationReused,
    /// It merges its Commits before they are accepted (RFC 9420 §14).
    MergedBeforeAccepted,
    /// It is older than the rules of groups: such as are changed are of a version that it does not
    /// know.
    Outdated,
    /// It lets whoever spoilt a group into the one that goes on.
    CulpritKept,
    /// It does not commit to what it encrypts, so that nobody could report it.
    Uncommitted,
    /// It commits to something else than what it encrypts.
    CommittedElsewhere,
    /// It shows the service what it says, beside the commitment to it.
    ContentInClear,
}
