//! Requests that nobody should make, thrown at a live server of each engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attack;

use conclave_conformance::{ENGINE_STACK_BYTES, EngineName, Listening};

#[test]
fn ours_answers_everything() {
    attack_engine(EngineName::Ours);
}

#[test]
fn openmls_answers_everything() {
    attack_engine(EngineName::Openmls);
}

#[test]
fn mls_rs_answers_everything() {
    attack_engine(EngineName::MlsRs);
}

fn attack_engine(engine: EngineName) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(ENGINE_STACK_BYTES)
        .build()
        .unwrap();
    runtime.block_on(async {
        let listening = Listening::bind(engine, "127.0.0.1:0").await.unwrap();
        let address = listening.address().unwrap().to_string();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(listening.serve(async { drop(stopped.await) }));
        attack::attack(&address).await;
        drop(stop);
        server.await.unwrap().unwrap();
    });
}
