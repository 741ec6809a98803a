//! Homes with a passphrase, from the terminal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Output, Stdio},
};

use common::{Person, Server, complains, conclave};

const TEXT: &str = "the owl flies at midnight";

/// Runs a command on a home with what is in the environment.
fn run_with(home: &Path, passphrase: &str, args: &[&str]) -> Output {
    let mut command = conclave();
    command.env("CONCLAVE_PASSPHRASE", passphrase);
    command.arg("--home").arg(home).args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Whether a file of a folder holds a text as it is.
fn holds(folder: &Path, text: &str) -> bool {
    let mut files = fs::read_dir(folder).unwrap();
    files.any(|file| {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|it| it == text.as_bytes())
    })
}

#[test]
fn a_home_opens_by_its_passphrase_alone_and_a_killed_program_leaves_nothing_bare() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let home = folder.path().join("alice");
    let register = ["register", "alice", "--server", &server.url];
    let text = said(&run_with(&home, "sesame", &register));
    assert!(!text.contains("passphrase"), "{text}");
    said(&run_with(&home, "sesame", &["group", "create", "club"]));
    said(&run_with(&home, "sesame", &["send", "club", TEXT]));

    let alice = Person { home: home.clone() };
    complains(
        &alice.run(&["read", "club"]),
        &["locked", "--passphrase-file"],
    );
    let wrong = run_with(&home, "sesamee", &["read", "club"]);
    complains(&wrong, &["not the passphrase", "Nothing was changed"]);
    let empty = run_with(&home, "", &["read", "club"]);
    complains(&empty, &["between 1 and"]);

    let mut tail = conclave()
        .env("CONCLAVE_PASSPHRASE", "sesame")
        .arg("--home")
        .arg(&home)
        .args(["read", "club", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(TEXT)));
    tail.kill().unwrap();
    tail.wait().unwrap();
    assert!(home.join("client.db-wal").exists(), "it was killed");
    assert!(!holds(&home, TEXT));
    assert!(said(&run_with(&home, "sesame", &["read", "club"])).contains(TEXT));
}

#[test]
fn a_passphrase_is_set_changed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let name = ["register", "alice", "--server", &server.url];
    let alice = Person {
        home: folder.path().join("alice"),
    };
    let text = alice.says(&name);
    assert!(
        text.contains("no passphrase") && text.contains("passphrase set"),
        "{text}"
    );
    complains(
        &run_with(&alice.home, "sesame", &["whoami"]),
        &["has no passphrase", "passphrase set"],
    );

    let [one, two, empty] = ["one", "two", "empty"].map(|it| folder.path().join(it));
    fs::write(&one, "first\nand a line that does not count\n").unwrap();
    fs::write(&two, "second").unwrap();
    fs::write(&empty, "\n").unwrap();
    let [one, two, empty] = [&one, &two, &empty].map(|it| it.to_str().unwrap());
    complains(
        &alice.run(&["passphrase", "set"]),
        &["--new-passphrase-file"],
    );
    let set = ["passphrase", "set", "--new-passphrase-file"];
    complains(
        &alice.run(&[&set[..], &[empty]].concat()),
        &["between 1 and"],
    );
    alice.says(&[&set[..], &[one]].concat());
    assert!(said(&run_with(&alice.home, "first", &["whoami"])).contains("alice@localhost"));
    alice.says(&[&["--passphrase-file", one][..], &set, &[two]].concat());
    complains(
        &alice.run(&["--passphrase-file", one, "whoami"]),
        &["not the passphrase"],
    );
    let remove = ["--passphrase-file", two, "passphrase", "remove"];
    assert!(alice.says(&remove).contains("no passphrase"));
    alice.says(&["whoami"]);

    fs::remove_file(alice.home.join("client.key")).unwrap();
    complains(&alice.run(&["whoami"]), &["client.key", "Restore"]);
}
