//! RFC 9420 that anybody may know: no secret of a group ever comes here.
//!
//! - [`wire`]: the structures as they travel.

mod error;
pub mod limits;
pub mod wire;

pub use error::Error;
