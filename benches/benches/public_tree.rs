//! The public tree at growing sizes: checking one Commit, and validating the whole tree as somebody
//! who joins. `CONCLAVE_BENCH_MEMBERS` is a list of sizes, by default up to 10,000; 100,000 takes
//! minutes with the peers.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{env, num::NonZeroUsize};

use conclave_benches::{Scene, mls_rs, mls_rs_apply, openmls, openmls_check, ours, ours_check};
use conclave_mls_public::wire::encode;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

/// Beyond this a peer's join takes minutes, and only ours is measured.
const PEERS_MEMBERS_MAX: u32 = 10_000;

fn sizes() -> Vec<u32> {
    let given = env::var("CONCLAVE_BENCH_MEMBERS");
    let given = given.unwrap_or_else(|_| "100,1000,10000".to_owned());
    given.split(',').map(|size| size.parse().unwrap()).collect()
}

fn public_tree(criterion: &mut Criterion) {
    for members in sizes() {
        let scene = Scene::new(members);
        check_one_commit(criterion, members, &scene);
        validate_as_joiner(criterion, members, &scene);
    }
}

fn check_one_commit(criterion: &mut Criterion, members: u32, scene: &Scene) {
    let mut group = criterion.benchmark_group("check one commit");
    group.sample_size(10);
    let mut follower = ours(scene, scene.nodes.clone(), NonZeroUsize::MIN);
    group.bench_function(BenchmarkId::new("ours", members), |bencher| {
        bencher.iter(|| ours_check(&mut follower, &scene.commit));
    });
    if members > PEERS_MEMBERS_MAX {
        return;
    }
    let nodes = encode(&scene.nodes).unwrap();
    let follower = openmls(scene, &nodes);
    group.bench_function(BenchmarkId::new("openmls", members), |bencher| {
        bencher.iter(|| openmls_check(&follower, &scene.commit));
    });
    group.bench_function(BenchmarkId::new("mls-rs", members), |bencher| {
        bencher.iter_batched_ref(
            || mls_rs(scene, &nodes),
            |follower| mls_rs_apply(follower, &scene.commit),
            BatchSize::PerIteration,
        );
    });
}

fn validate_as_joiner(criterion: &mut Criterion, members: u32, scene: &Scene) {
    let mut group = criterion.benchmark_group("validate a tree as a joiner");
    group.sample_size(10);
    for threads in [1, 2] {
        let threads = NonZeroUsize::new(threads).unwrap();
        group.bench_function(
            BenchmarkId::new(format!("ours, {threads} threads"), members),
            |bencher| {
                bencher.iter_batched(
                    || scene.nodes.clone(),
                    |nodes| ours(scene, nodes, threads),
                    BatchSize::PerIteration,
                );
            },
        );
    }
    if members > PEERS_MEMBERS_MAX {
        return;
    }
    let nodes = encode(&scene.nodes).unwrap();
    group.bench_function(BenchmarkId::new("openmls", members), |bencher| {
        bencher.iter(|| openmls(scene, &nodes));
    });
    group.bench_function(BenchmarkId::new("mls-rs", members), |bencher| {
        bencher.iter(|| mls_rs(scene, &nodes));
    });
}

criterion_group!(benches, public_tree);
criterion_main!(benches);
