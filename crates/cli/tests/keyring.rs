//! A home whose passphrase the system's keyring keeps: a real Secret Service on a bus of its own.
//!
//! Without the programs for it nothing is tested, and a line says so; where `CI=true` they have to be
//! there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]
#![cfg(target_os = "linux")]

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{Server, complains, conclave};

/// How long a keyring may take to be there.
const START: Duration = Duration::from_secs(20);

/// What somebody who logs in types, and unlocks the keyring with.
const LOGIN: &[u8] = b"swordfish";

/// A bus for everybody on it that starts nothing by itself: a keyring comes with its person.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// Somebody's session at a computer: a bus, and a keyring on it.
struct Session {
    folder: PathBuf,
    address: String,
    bus: Child,
    keyring: Option<Child>,
}

impl Session {
    fn begin(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let settings = folder.join("bus.conf");
        fs::write(&settings, BUS).unwrap();
        let mut bus = Command::new("dbus-daemon")
            .args(["--nofork", "--print-address", "--config-file"])
            .arg(&settings)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let mut out = BufReader::new(bus.stdout.take().unwrap());
        out.read_line(&mut address).unwrap();
        let mut session = Self {
            folder: folder.to_owned(),
            address: address.trim().to_owned(),
            bus,
            keyring: None,
        };
        session.log_in();
        session
    }

    fn log_in(&mut self) {
        let mut keyring = Command::new("gnome-keyring-daemon");
        keyring.args(["--foreground", "--unlock", "--components=secrets"]);
        let mut keyring = self.within(&mut keyring).stdin(Stdio::piped());
        keyring = keyring.stdout(Stdio::null()).stderr(Stdio::null());
        let mut keyring = keyring.spawn().unwrap();
        keyring.stdin.take().unwrap().write_all(LOGIN).unwrap();
        self.keyring = Some(keyring);
        let begun = Instant::now();
        while !self.has_keyring() {
            assert!(begun.elapsed() < START, "no keyring came");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn log_out(&mut self) {
        let mut keyring = self.keyring.take().unwrap();
        keyring.kill().unwrap();
        keyring.wait().unwrap();
    }

    fn has_keyring(&self) -> bool {
        let name = "string:org.freedesktop.secrets";
        let mut asks = Command::new("dbus-send");
        asks.args([
            "--session",
            "--print-reply",
            "--dest=org.freedesktop.DBus",
            "/",
        ]);
        asks.args(["org.freedesktop.DBus.NameHasOwner", name]);
        let answer = self.within(&mut asks).output().unwrap();
        String::from_utf8_lossy(&answer.stdout).contains("boolean true")
    }

    fn within<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("HOME", &self.folder)
            .env("XDG_DATA_HOME", self.folder.join("data"))
            .env("XDG_RUNTIME_DIR", &self.folder)
    }

    fn run(&self, home: &Path, args: &[&str]) -> Output {
        let mut command = conclave();
        command.arg("--home").arg(home).args(args);
        self.within(&mut command).output().unwrap()
    }

    fn says(&self, home: &Path, args: &[&str]) -> String {
        let output = self.run(home, args);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {complaint}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in self.keyring.iter_mut().chain([&mut self.bus]) {
            // One that has ended already needs no end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether there is a keyring to test with.
fn is_there() -> bool {
    let programs = ["dbus-daemon", "dbus-send", "gnome-keyring-daemon"];
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let Some(missing) = programs.into_iter().find(|it| !has(it)) else {
        return true;
    };
    assert!(
        std::env::var_os("CI").is_none_or(|it| it != "true"),
        "{missing} is not installed"
    );
    eprintln!("skipped: {missing} is not installed");
    false
}

#[test]
fn a_home_opens_for_whoever_is_logged_in() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let mut session = Session::begin(&folder.path().join("session"));
    let home = folder.path().join("alice");
    session.says(&home, &["register", "alice", "--server", &server.url]);
    let kept = session.says(&home, &["passphrase", "keyring"]);
    assert!(kept.contains("keyring"), "{kept}");
    assert!(session.says(&home, &["whoami"]).contains("alice@localhost"));

    session.log_out();
    let away = session.run(&home, &["whoami"]);
    complains(&away, &["keyring", "--passphrase-file"]);
    session.log_in();
    session.says(&home, &["whoami"]);

    // Another one is kept in its place.
    session.says(&home, &["passphrase", "keyring"]);
    session.says(&home, &["whoami"]);
    opens_by_either_of_two_names(&session, &folder.path().join("bob"), &home, &server);

    // One of one's own needs no keyring.
    let own = folder.path().join("own");
    fs::write(&own, "sesame").unwrap();
    let own = own.to_str().unwrap();
    session.says(&home, &["passphrase", "set", "--new-passphrase-file", own]);
    complains(&session.run(&home, &["whoami"]), &["locked"]);
    session.log_out();
    session.says(&home, &["--passphrase-file", own, "whoami"]);
    let refused = ["--passphrase-file", own, "passphrase", "keyring"];
    complains(&session.run(&home, &refused), &["keyring"]);
    session.says(&home, &["--passphrase-file", own, "whoami"]);
}

/// As a program leaves it that dies while another passphrase takes a home's place in the keyring.
fn opens_by_either_of_two_names(session: &Session, bob: &Path, alice: &Path, server: &Server) {
    session.says(bob, &["register", "bob", "--server", &server.url]);
    session.says(bob, &["passphrase", "keyring"]);
    let file = alice.join("client.keyring");
    let own = fs::read_to_string(&file).unwrap();
    let others = fs::read_to_string(bob.join("client.keyring")).unwrap();
    for names in [
        format!("{own}{others}"),
        format!("{others}{own}"),
        format!("gone\n{own}"),
    ] {
        fs::write(&file, names).unwrap();
        session.says(alice, &["whoami"]);
    }
    // The next one takes the place of both.
    session.says(alice, &["passphrase", "keyring"]);
    session.says(alice, &["whoami"]);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
}
