//! Compiles the service's interface; protox parses the .proto files, so no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    let file = "conclave/delivery/v1/delivery.proto";
    println!("cargo::rerun-if-changed={root}/{file}");
    let descriptors = protox::compile([file], [root])?;
    tonic_prost_build::configure()
        .bytes(".conclave.delivery.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
