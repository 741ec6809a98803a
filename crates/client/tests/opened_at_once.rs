//! The first databases of a program may be opened by several threads at once. Alone in its program, since SQLCipher
//! is initialized once in each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Barrier, thread};

use conclave_client::session::Database;

#[test]
fn threads_that_open_the_first_databases_at_once_all_can() {
    let folder = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(16);
    thread::scope(|scope| {
        for number in 0..16 {
            let (barrier, folder) = (&barrier, folder.path());
            scope.spawn(move || {
                barrier.wait();
                Database::create(folder.join(number.to_string())).unwrap();
            });
        }
    });
}
