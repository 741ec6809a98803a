//! Fresh vectors.

/// Fresh entries of a kind, as JSON.
///
/// # Errors
///
/// If the kind is unknown or can't be generated.
pub fn generate(kind: &str) -> anyhow::Result<String> {
    anyhow::bail!("vectors of the kind {kind} can't be made yet")
}
