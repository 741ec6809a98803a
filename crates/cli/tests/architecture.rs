//! The dependency rules of `docs/architecture.md`, checked on what cargo resolves: normal
//! dependencies, all features.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, PackageId};

/// Which crates of ours each crate of ours may depend on.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("crypto", &[]),
    // SQLCipher's cryptography, by the name that its build asks for.
    ("openssl-sys", &[]),
    ("mls-public", &["crypto"]),
    ("mls-member", &["mls-public", "crypto"]),
    ("conformance", &["crypto", "mls-public", "mls-member"]),
    ("benches-life", &[]),
    (
        "benches",
        &[
            "benches-life",
            "crypto",
            "protocol",
            "mls-public",
            "mls-member",
            "engine",
            "conformance",
        ],
    ),
    (
        "fuzz-checks",
        &[
            "crypto",
            "mls-public",
            "mls-member",
            "protocol",
            "rpc",
            "safety",
            "client",
            "conformance",
            "simulator",
        ],
    ),
    ("engine", &["protocol", "crypto"]),
    ("rpc", &["protocol"]),
    ("safety", &["protocol"]),
    ("delivery-service", &["rpc", "protocol", "crypto", "safety"]),
    ("client", &["engine", "rpc", "protocol"]),
    ("simulator", &["client", "delivery-service", "rpc"]),
    ("load", &["client"]),
    ("cli", &["client", "delivery-service", "load", "safety"]),
];

/// Crates that do no I/O: whatever they depend on, it is none of [`IO`].
const PURE: &[&str] = &[
    "protocol",
    "crypto",
    "mls-public",
    "mls-member",
    "engine",
    "safety",
];

/// What I/O comes with.
const IO: &[&str] = &["tokio", "tonic", "mio", "hyper", "rusqlite"];

/// Crates that hold or can derive a group's secrets: never below the service.
const SECRET: &[&str] = &["conclave-engine", "conclave-client", "conclave-mls-member"];

/// Libraries that only some crates may name.
const RESERVED: &[(&str, &[&str])] = &[
    (
        "openmls",
        &[
            "engine",
            "delivery-service",
            "conformance",
            "benches-life",
            "fuzz-checks",
        ],
    ),
    (
        "openmls_traits",
        &[
            "engine",
            "crypto",
            "delivery-service",
            "conformance",
            "benches-life",
        ],
    ),
    ("openmls_rust_crypto", &["conformance", "benches-life"]),
];

/// The one module of the service that knows OpenMLS.
const FOLLOWER: &str = "follower";

#[test]
fn crates_depend_only_on_what_the_plan_allows() {
    let metadata = metadata();
    let allowed: BTreeMap<_, _> = MAY_DEPEND_ON.iter().copied().collect();
    for package in metadata.workspace_packages() {
        let name = short(&package.name);
        let allowed = allowed
            .get(name)
            .unwrap_or_else(|| panic!("no rule for the crate {name}"));
        for dependency in direct(&metadata, &package.id) {
            if let Some(ours) = dependency.strip_prefix("conclave-") {
                assert!(allowed.contains(&ours), "{name} may not depend on {ours}");
            }
            for (library, users) in RESERVED {
                assert!(
                    dependency != *library || users.contains(&name),
                    "{name} may not depend on {library}"
                );
            }
        }
    }
}

#[test]
fn pure_crates_do_no_io() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        if PURE.contains(&short(&package.name)) {
            let below = transitive(&metadata, &package.id);
            let io: Vec<_> = IO.iter().filter(|name| below.contains(**name)).collect();
            assert!(io.is_empty(), "{} reaches {io:?}", package.name);
        }
    }
}

#[test]
fn the_service_is_linked_to_nothing_that_holds_group_secrets() {
    let metadata = metadata();
    let service = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name.as_str() == "conclave-delivery-service")
        .expect("the service is a crate of the workspace");
    let below = transitive(&metadata, &service.id);
    let secret: Vec<_> = SECRET
        .iter()
        .filter(|name| below.contains(**name))
        .collect();
    assert!(secret.is_empty(), "the service reaches {secret:?}");
}

#[test]
fn one_module_of_the_service_knows_openmls() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../delivery-service/src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    assert!(!files.is_empty(), "no source files found");
    let knowing = files
        .iter()
        .filter(|file| fs::read_to_string(file).unwrap().contains("openmls"))
        .filter(|file| !file.strip_prefix(&source).unwrap().starts_with(FOLLOWER))
        .filter(|file| file.file_name().unwrap() != "follower.rs")
        .collect::<Vec<_>>();
    assert!(
        knowing.is_empty(),
        "OpenMLS is named outside the follower: {knowing:?}"
    );
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        // Not offline: what other systems alone need is on no machine that has just built the tests.
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo metadata runs")
}

fn short(name: &str) -> &str {
    name.strip_prefix("conclave-").unwrap_or(name)
}

fn normal<'a>(metadata: &'a Metadata, id: &PackageId) -> Vec<&'a PackageId> {
    let resolve = metadata.resolve.as_ref().expect("cargo metadata resolves");
    let node = resolve
        .nodes
        .iter()
        .find(|node| node.id == *id)
        .expect("every package has a node");
    let is_normal = |dependency: &&cargo_metadata::NodeDep| {
        dependency
            .dep_kinds
            .iter()
            .any(|kind| kind.kind == DependencyKind::Normal)
    };
    node.deps
        .iter()
        .filter(is_normal)
        .map(|dependency| &dependency.pkg)
        .collect()
}

fn direct<'a>(metadata: &'a Metadata, id: &PackageId) -> Vec<&'a str> {
    normal(metadata, id)
        .into_iter()
        .map(|id| metadata[id].name.as_str())
        .collect()
}

fn transitive<'a>(metadata: &'a Metadata, id: &'a PackageId) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![id]);
    while let Some(id) = open.pop() {
        for dependency in normal(metadata, id) {
            if seen.insert(metadata[dependency].name.as_str()) {
                open.push(dependency);
            }
        }
    }
    seen
}

fn rust_files(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
