//! The delivery service's interface as code, and the conversions at that edge.
//!
//! [`v1`] is generated from `proto/conclave/delivery/v1/delivery.proto`. [`ErrorDetail`] carries
//! what a client acts on inside a gRPC status. There is no logic here.

mod convert;
mod detail;

pub use convert::{EdgeError, cursor, device_id, group_id, instance_nonce, report_id, request_id};
pub use detail::ErrorDetail;

/// Messages, client and server generated from the interface, version 1.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::restriction
)]
pub mod v1 {
    tonic::include_proto!("conclave.delivery.v1");
}

/// Metadata key of the token: `authorization: Bearer TOKEN`.
pub const AUTHORIZATION: &str = "authorization";

/// What stands before the token in [`AUTHORIZATION`].
pub const BEARER: &str = "Bearer ";

/// Metadata key of the client's version, such as `0.2.0`.
pub const VERSION: &str = "conclave-version";
