//! Compiles the MLSClient interface; protox parses it, so no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    let file = "mls_client.proto";
    println!("cargo::rerun-if-changed={root}/{file}");
    let descriptors = protox::compile([file], [root])?;
    tonic_prost_build::compile_fds(descriptors)?;
    Ok(())
}
