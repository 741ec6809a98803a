//! The program as people run it: a server of its own, and homes.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    missing_docs
)]

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

pub struct Server {
    pub child: Child,
    pub url: String,
}

impl Server {
    pub fn start(data: &Path, extra: &[&str]) -> Self {
        let mut child = conclave()
            .args(["serve", "--data"])
            .arg(data)
            .args(if extra.is_empty() {
                &["--listen", "127.0.0.1:0"]
            } else {
                extra
            })
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .expect(&line)
            .to_owned();
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Person {
    pub home: PathBuf,
}

impl Person {
    pub fn new(folder: &TempDir, name: &str, url: &str) -> Self {
        let person = Self {
            home: folder.path().join(name),
        };
        let text = person.says(&["register", name, "--server", url]);
        assert!(text.starts_with(&format!("registered as {name}@localhost\n")));
        person
    }

    pub fn run(&self, args: &[&str]) -> Output {
        conclave()
            .arg("--home")
            .arg(&self.home)
            .args(args)
            .output()
            .unwrap()
    }

    pub fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, args: &[&str]) -> Vec<Value> {
        let text = self.says(&[args, &["--json"]].concat());
        text.lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }
}

/// A server, and alice and bob with the group `club`, which alice has made.
pub fn club(folder: &TempDir) -> (Server, Person, Person) {
    let server = Server::start(&folder.path().join("server"), &[]);
    let alice = Person::new(folder, "alice", &server.url);
    let bob = Person::new(folder, "bob", &server.url);
    alice.says(&["group", "create", "club"]);
    alice.says(&["group", "add", "club", "bob"]);
    (server, alice, bob)
}

pub fn conclave() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conclave"));
    for variable in [
        "CONCLAVE_HOME",
        "CONCLAVE_PASSPHRASE",
        "CONCLAVE_PASSPHRASE_FILE",
    ] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// Fails with a sentence on the error stream that says all of `parts`, and prints nothing else.
pub fn complains(output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "did not fail; said {said}");
    assert!(said.starts_with("error: "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "\"{part}\" is not in: {said}");
    }
}
