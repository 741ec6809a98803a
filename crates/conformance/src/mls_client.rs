//! The MLSClient interface, generated from `proto/mls_client.proto`.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::uninlined_format_args
)]

tonic::include_proto!("mls_client");
